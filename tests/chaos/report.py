"""What became of the calls of one side, and the table of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.chaos.ledger import Line, counted

__all__ = ["Outcome", "outcome", "rows", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One side.

    Attributes:
        calls: That were taken; *refused* counts tries that were not.
        ended_once: Ended in exactly one result or dead letter.
        lost: Had not ended when the run was over; *held* of them lie unacknowledged in the broker.
        ended_twice: Ended more than once.
        made_again: Of which the provider heard again because a worker was killed in between, and which
            ended once all the same.
        silence: Seconds at most between two signs of a call: taken, started, ended. What a loss costs.
        longest: Seconds from being taken to the first end, at most; a call may meet several losses.
        restarts: Of workers.
    """

    name: str
    calls: int
    refused: int
    ended_once: int
    lost: int
    held: int
    ended_twice: int
    made_again: int
    dead_letters: int
    silence: float
    longest: float
    restarts: int

    @property
    def kept(self) -> bool:
        """Whether each call ended, and once."""
        return self.ended_once == self.calls


def outcome(
    name: str,
    *,
    taken: Mapping[str, float],
    refused: int,
    lines: list[Line],
    stored: Iterable[str],
    letters: Iterable[str],
    asked: Counter[str],
    held: Iterable[str] = (),
    restarts: int = 0,
) -> Outcome:
    """Add up one side.

    Args:
        name: What it is called.
        taken: When each call was taken, by task id.
        refused: Tries that were not.
        lines: The ledger.
        stored: Task ids with a stored result: an end, though its worker may not have lived to write the line.
        letters: Task ids of dead letters, one for each letter.
        asked: How often the provider was asked, by task id.
        held: Task ids that lie unacknowledged in the broker.
        restarts: Of workers.
    """
    buried = Counter(letters)
    ends = counted(lines, "ended") | Counter(set(stored)) | buried
    signs = _signs(taken, lines)
    first = {line.task_id: line.at for line in reversed(lines) if line.event == "ended"}
    lost = [each for each in taken if not ends[each]]
    return Outcome(
        name=name,
        calls=len(taken),
        refused=refused,
        ended_once=sum(1 for each in taken if ends[each] == 1),
        lost=len(lost),
        held=len(set(lost) & set(held)),
        ended_twice=sum(1 for each in taken if ends[each] > 1),
        made_again=sum(1 for each in taken if asked[each] > 1 and ends[each] == 1),
        dead_letters=sum(buried.values()),
        silence=max(
            (later - earlier for each in signs.values() for earlier, later in pairwise(each)), default=0.0
        ),
        longest=max((at - taken[each] for each, at in first.items() if each in taken), default=0.0),
        restarts=restarts,
    )


def _signs(taken: Mapping[str, float], lines: list[Line]) -> dict[str, list[float]]:
    """When each call was heard of, until its first end; nothing of those that had none."""
    signs = {each: [at] for each, at in taken.items()}
    over = set[str]()
    for line in lines:
        if line.task_id in signs and line.task_id not in over:
            signs[line.task_id].append(line.at)
            over |= {line.task_id} if line.event == "ended" else set()
    return {each: signs[each] for each in over}


_ROWS = {
    "calls": "calls taken",
    "ended_once": "ended once",
    "lost": "lost",
    "ended_twice": "ended twice",
    "made_again": "made again after a loss",
    "dead_letters": "of the ended, dead letters",
    "refused": "tries that were refused",
    "restarts": "workers restarted",
    "silence": "longest recovery, s",
    "longest": "longest until the end, s",
}


def table(*sides: Outcome) -> str:
    """All sides beside one another."""
    lines = ["".join([" " * 30, *(f"{side.name:>16}" for side in sides)])]
    lines += [
        "".join([f"{title:30}", *(f"{_shown(getattr(side, field)):>16}" for side in sides)])
        for field, title in _ROWS.items()
    ]
    notes = [
        f"{side.name}: {side.held} of the lost lie unacknowledged until the visibility timeout of an hour"
        for side in sides
        if side.held
    ]
    return "\n".join([*lines, *notes])


def rows(side: Outcome, *, without: Collection[str] = ()) -> dict[str, str]:
    """One side as titles and values, but for the fields *without*."""
    return {title: _shown(getattr(side, field)) for field, title in _ROWS.items() if field not in without}


def _shown(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else f"{value:,}"
