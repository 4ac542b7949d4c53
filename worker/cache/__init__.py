"""Answers that are kept: in this process's memory, and in a Redis that all workers share."""
