"""The table over all storms, from what they kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.summary import ALL, main
from tests.chaos.tally import STORMS, Tally, kept

WELL = Tally(
    storm="running",
    faults={"workers killed": 50, "Valkey killed": 2},
    calls=3000,
    once=3000,
    recovery=32.0,
    since="from a loss to the next sign",
)
WAITING = Tally(storm="waiting", faults={"workers killed": 30}, calls=4000, once=4000, recovery=4.5)
SUBMITTING = Tally(storm="submitting", faults={"desks went wrong": 90}, calls=200, once=200, doubt=7)


def summary(folder: Path, tallies: Iterable[Tally], *options: str) -> int:
    """The exit code when these were kept."""
    for number, each in enumerate(tallies):
        each.keep(str(number), folder=folder)
    return main(options, folder=folder)


def others(*own: Tally) -> list[Tally]:
    """All storms, *own* among them."""
    mine = {each.storm for each in own}
    return [*own, *(replace(WELL, storm=name) for name in ALL if name not in mine)]


def rows(told: str) -> dict[str, list[str]]:
    """The table's lines: of each its title and its cells."""
    lines = told.splitlines()
    return {line[:29].strip(): line[29:].split() for line in lines if line[29:].strip()}


def test_what_was_kept_is_read_as_it_was(tmp_path: Path) -> None:
    """In JSON, one file for each; a second run of a storm takes the first one's place."""
    WELL.keep(folder=tmp_path)
    replace(WELL, lost=1).keep(folder=tmp_path)

    assert list(kept(tmp_path)) == [replace(WELL, lost=1)]


def test_the_table_has_each_storm_and_all_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sums, and the longest of the recoveries; what a storm does not measure is a dash."""
    code = summary(tmp_path, [WAITING, SUBMITTING, WELL, replace(WELL, storm="replaying")], "--short")

    told = rows(capsys.readouterr().out)
    assert code == 0
    assert told[""] == ["running", "waiting", "submitting", "replaying", "together"]
    assert told["faults injected"] == ["52", "30", "90", "52", "224"]
    assert told["workers killed"] == ["50", "30", "-", "50", "130"]
    assert told["calls made"] == told["ended once"] == ["3,000", "4,000", "200", "3,000", "10,200"]
    assert told["lost"] == told["doubled"] == ["0"] * 5
    assert told["in doubt, for a person"] == ["-", "-", "7", "-", "7"]
    assert told["longest recovery, s"] == ["32.0", "4.5", "-", "32.0", "32.0"]


def test_parts_of_a_storm_are_one_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the lines of fault points are tried in several tests."""
    part = Tally(storm="fault points", faults={"lines": 100}, calls=90, once=90, doubt=3)

    assert summary(tmp_path, others(part, part)) == 0

    told = capsys.readouterr().out.splitlines()
    assert sum("fault points" in line for line in told[:3]) == 1
    assert any(line.split()[:2] == ["calls", "made"] and "180" in line.split() for line in told)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"lost": 2, "once": 2998}, "the storm running: 2 of 3,000 calls lost"),
        ({"doubled": 1, "once": 2999}, "the storm running: 1 of 3,000 calls doubled"),
        ({"once": 2990}, "the storm running: 10 of 3,000 calls without one end"),
        ({"calls": 0, "once": 0}, "the storm running: no calls were made"),
        ({"held": False}, "the storm running: see what it said was broken"),
    ],
)
def test_one_call_that_is_lost_or_doubled_is_too_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: dict[str, int], told: str
) -> None:
    """So is whatever else a storm found broken, and a storm that did nothing."""
    code = summary(tmp_path, others(replace(WELL, **bad)))  # type: ignore[arg-type]  # each of its own

    assert code == 1
    assert f"broken: {told}" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ALL)
def test_a_storm_that_left_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    """It may have died; what it left half written is nothing. A short run is held to its own."""
    (tmp_path / "half.json").write_text(f'{{"storm": "{missing}", "cal')

    there = [each for each in others() if each.storm != missing]

    assert summary(tmp_path, there) == 1
    assert f"broken: the storm {missing} left no tally" in capsys.readouterr().out
    assert summary(tmp_path, there, "--short") == int(missing in STORMS)
