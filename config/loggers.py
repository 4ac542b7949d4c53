"""Whose log lines are ours: written with constant phrases and keys, and therefore trusted with both.

Lines of any other logger are taken for a library's, which puts bodies and addresses into its sentences.
"""

from __future__ import annotations

import logging

__all__ = ["OWN", "get_logger", "is_ours"]

OWN = "_narrows_own"
"""The attribute of a record that came through a logger of :func:`get_logger`."""

_OURS = frozenset({"config", "narrows", "tasks", "worker"})


def get_logger(name: str) -> logging.Logger:
    """The logger of that *name*, whose lines are told as ours are: in full, with credentials masked.

    It holds for this very name, not for loggers below it, so that no library is let in unseen.

    Raises:
        ValueError: there is no name, and everybody's lines would pass for ours.
    """
    if not name or name == logging.root.name:
        raise ValueError("a logger of ours needs a name, for instance get_logger(__name__)")
    logger = logging.getLogger(name)
    logger.addFilter(_owned)  # asked for records of this logger only; adding it twice is adding it once
    return logger


def is_ours(record: logging.LogRecord) -> bool:
    """Whether the *record* was made by who keeps to our rules."""
    return record.name.partition(".")[0] in _OURS or bool(record.__dict__.get(OWN))


def _owned(record: logging.LogRecord) -> bool:
    record.__dict__[OWN] = True
    return True
