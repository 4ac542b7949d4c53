"""What Narrows is held to; ``tests.sandbox`` plays the providers."""
