"""Calls that change something outside: recorded, sent once, looked for when in doubt."""
