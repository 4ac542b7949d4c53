"""The names by which signed messages are known; apart, for who publishes unsigned ones loads no more."""

__all__ = ["CONTENT", "SERIALIZER"]

SERIALIZER = "auth"
"""Celery's name of its signing serializer, and below the content type of what it makes."""

CONTENT = "application/data"
