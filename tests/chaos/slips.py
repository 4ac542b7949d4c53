"""What is submitted in a storm, how often, and by which way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from tests.chaos.desk import UNWANTED

__all__ = ["PRODUCERS", "Send", "Slip", "Way", "sends", "slips"]

Way = Literal["ours", "own_id", "bare"]

PRODUCERS = 3

_WAYS: tuple[tuple[Way, ...], ...] = (
    ("ours",),
    ("ours", "ours"),
    ("bare",),
    ("ours", "bare"),
    ("own_id", "ours", "bare"),
)
"""A slip that is sent by several has an idempotency key; the others have none."""

_REFUSED_EACH = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """One thing to be submitted, at one desk, once.

    Attributes:
        key: Its idempotency key; None when it is sent by one producer only.
        ways: By which each of its producers sends it: through our code, under a task id of its own, or as
            a service without our code does.
        task_id: Where only one task submits it.
    """

    note: str
    desk: str
    key: str | None
    ways: tuple[Way, ...]
    task_id: str = field(default_factory=lambda: uuid4().hex)

    @property
    def refused(self) -> bool:
        """Whether the desk refuses it."""
        return self.note.startswith(UNWANTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One producer's wish that *slip* be submitted."""

    slip: Slip
    way: Way
    task_id: str = field(default_factory=lambda: uuid4().hex)


def slips(count: int, desks: tuple[str, ...]) -> list[Slip]:
    """*count* of them, over all *desks* in turn, in all ways, some of which every desk refuses."""
    made = []
    for number in range(count):
        ways = _WAYS[number // len(desks) % len(_WAYS)]
        word = "slip" if (number + 1) % _REFUSED_EACH else UNWANTED
        made.append(
            Slip(
                note=f"{word} {number}",
                desk=desks[number % len(desks)],
                key=f"key-{number}" if len(ways) > 1 else None,
                ways=ways,
            )
        )
    return made


def sends(made: list[Slip]) -> list[list[Send]]:
    """What each producer sends, in the order of the slips, so that those of one slip fall close together."""
    parts: list[list[Send]] = [[] for _ in range(PRODUCERS)]
    for number, slip in enumerate(made):
        for offset, way in enumerate(slip.ways):
            parts[(number + offset) % PRODUCERS].append(Send(slip=slip, way=way))
    return parts
