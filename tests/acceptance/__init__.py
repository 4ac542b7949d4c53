"""Tests against real worker processes, which share their servers."""
