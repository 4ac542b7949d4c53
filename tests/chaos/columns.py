"""What became of the submissions at each desk, beside one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from tests.chaos.endings import Ending

__all__ = ["Column", "alone", "ours", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One desk.

    Attributes:
        silent: Nobody was told what became of it; *lost* are those that did not arrive either.
        lied: Its caller was told that it failed, and it arrived.
    """

    name: str
    submitted: int
    accepted: int
    rejected: int
    doubtful: int
    once: int
    more: int
    lied: int
    silent: int
    lost: int


def ours(name: str, endings: Iterable[Ending]) -> Column:
    """The desk of that name, asked by us."""
    own = [ending for ending in endings if ending.desk == name]
    states = [ending.state for ending in own]
    silent = [ending for ending in own if ending.state not in {"accepted", "rejected", "in_doubt"}]
    return Column(
        name=name,
        submitted=len(own),
        accepted=states.count("accepted"),
        rejected=states.count("rejected"),
        doubtful=states.count("in_doubt"),
        once=sum(ending.arrived == 1 for ending in own),
        more=sum(ending.arrived > 1 for ending in own),
        lied=sum(ending.state == "rejected" and ending.arrived > 0 for ending in own),
        silent=len(silent),
        lost=sum(ending.arrived == 0 for ending in silent),
    )


def alone(name: str, told: Mapping[str, str | None], arrived: Mapping[str, int]) -> Column:
    """A desk that Celery alone asked.

    Args:
        name: What it is called.
        told: Of each note that was submitted how its task ended, or None.
        arrived: How often each came.
    """
    ends = list(told.values())
    return Column(
        name=name,
        submitted=len(told),
        accepted=ends.count("SUCCESS"),
        rejected=ends.count("FAILURE"),
        doubtful=0,
        once=sum(arrived.get(note, 0) == 1 for note in told),
        more=sum(arrived.get(note, 0) > 1 for note in told),
        lied=sum(end == "FAILURE" and arrived.get(note, 0) > 0 for note, end in told.items()),
        silent=ends.count(None),
        lost=sum(end is None and not arrived.get(note, 0) for note, end in told.items()),
    )


_ROWS = {
    "submitted": "submitted",
    "accepted": "told: accepted",
    "rejected": "told: refused, or failed",
    "doubtful": "told: in doubt, for a person",
    "silent": "told nothing",
    "once": "arrived once",
    "more": "arrived more than once",
    "lied": "arrived, and told failed",
    "lost": "lost: nor arrived, nor told",
}
assert set(_ROWS) == {field.name for field in fields(Column)} - {"name"}


def table(*columns: Column) -> str:
    """All of them."""
    lines = ["".join([" " * 30, *(f"{column.name:>14}" for column in columns)])]
    lines += [
        "".join([f"{title:30}", *(f"{getattr(column, name):>14,}" for column in columns)])
        for name, title in _ROWS.items()
    ]
    return "\n".join(lines)
