"""Narrows on one machine: its own Valkey and its processes, under one supervisor."""
