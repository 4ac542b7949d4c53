"""Findings of replays over stories that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.chaos.replay_findings import GROWTH, QUEUED, Replays
from worker.provider import Rate

RATE = Rate(calls=10, burst=5)
WELL: dict[str, Any] = {"kept": 1, "grown": GROWTH, "queued": QUEUED, "ends": ["done"]}


def found(
    listed: Sequence[str] = ("a",),
    standing: Sequence[str] = ("b",),
    answered: Mapping[str, int] | None = None,
    arrivals: Sequence[float] = (0.0,),
) -> Replays:
    """What is found of the letters a, b and c."""
    return Replays.of(
        "abc",
        listed=listed,
        standing=standing,
        answered={"c": 1} if answered is None else answered,
        arrivals=arrivals,
        rate=RATE,
    )


def wrong(replays: Replays, **changed: Any) -> list[str]:
    """What is wrong, in words."""
    return [what for what, count in replays.wrong(**{**WELL, **changed}).items() if count]


def test_each_letter_in_one_place_is_well() -> None:
    """In the list, in line, or answered; a call that its worker was stopped in stands in line again."""
    assert wrong(found()) == []
    assert wrong(found(standing=["b", "c"])) == []


def test_a_letter_that_is_nowhere_is_lost() -> None:
    """It has left the list, and no call came of it."""
    assert wrong(found(standing=[])) == ["letters were lost"]


@pytest.mark.parametrize(
    "story",
    [
        {"standing": ["a", "b"]},
        {"standing": ["b", "b"]},
        {"answered": {"c": 2}},
        {"answered": {"c": 2, "b": 2}},
    ],
)
def test_a_letter_in_two_places_is_doubled(story: dict[str, Any]) -> None:
    """In list and line, twice in line, or answered twice."""
    assert "letters were doubled" in wrong(found(**story))


def test_a_flood_and_a_fat_process_are_wrong() -> None:
    """So are letters that left against the rules, and a run that did not end."""
    assert len(wrong(found(), grown=GROWTH + 1, queued=QUEUED + 1, kept=2, ends=[])) == 4
    assert wrong(found(answered={}, standing=["b", "c"], arrivals=[])) == [
        "calls were answered: none, so nothing came back"
    ]
    assert any("above the rate" in what for what in wrong(found(arrivals=[0.1] * 30)))


def test_the_table_says_all_of_it() -> None:
    """Each number on its own line."""
    table = found().table(grown=4_200_000, queued=7, seconds=1.25)

    assert len(table.splitlines()) == 9
    assert "4.2" in table
