"""How the commands write times and tables, and read durations."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from worker.cli.options import moment, seconds
from worker.cli.output import cell, complain, console, iso, span, table


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0.0, "0.0 s"),
        (-3.0, "0.0 s"),
        (9.94, "9.9 s"),
        (42.4, "42 s"),
        (60.0, "1 m"),
        (252.0, "4 m 12 s"),
        (3600.0, "1 h"),
        (3605.0, "1 h"),
        (11_100.0, "3 h 5 m"),
        (187_200.0, "2 d 4 h"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(length: float, expected: str) -> None:
    """Nobody plans by the seconds of a day."""
    assert span(length) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90.0), ("10m", 600.0), ("1h", 3600.0), ("2d", 172_800.0), ("1h30m", 5400.0), (" 1.5H ", 5400.0)],
)
def test_a_duration_is_read(text: str, expected: float) -> None:
    """As a person writes it."""
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "10", "m", "10x", "-5m", "0s", "1h-30m", "1 h", "1e3s", "nan"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    """Above all a number without a unit."""
    with pytest.raises(typer.BadParameter, match="10m"):
        seconds(text)


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_complaint(text: str) -> None:
    """Never another exception."""
    with suppress(typer.BadParameter):
        assert seconds(text) > 0


def test_a_moment_is_a_while_ago_or_a_date() -> None:
    """A date without a zone is UTC, as all that the commands print."""
    assert moment("1970-01-02") == 86_400.0
    assert moment("1970-01-01T01:00+01:00") == 0.0
    assert abs(moment("1h") - (time.time() - 3600)) < 5


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01"])
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    """Both ways to write one."""
    with pytest.raises(typer.BadParameter, match="1h for an hour ago"):
        moment(text)


def test_a_moment_beyond_the_calendar_is_none() -> None:
    """A breaker that is open for good has no date."""
    assert iso(None) is None
    assert iso(1e15) is None
    assert iso(0.0) == "1970-01-01T00:00:00.000Z"


def test_a_pipe_gets_whole_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A table is as wide as it must be when nobody looks, so that scripts may cut it."""
    drawn = table("Id", "Error")
    drawn.add_row(cell("x" * 36), cell("word " * 30))

    console().print(drawn)

    assert "word " * 29 in capsys.readouterr().out


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_is_a_dash(value: str | None) -> None:
    """So that columns can be counted."""
    assert cell(value).plain == "-"


def test_zero_is_not_nothing() -> None:
    """It is a statement."""
    assert cell(0).plain == "0"


def test_control_characters_and_markup_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What others said may not draw on an operator's terminal, in a table or a complaint."""
    hostile = "\x1b]0;title\x07[red]\u202egnp.exe\n"

    console().print(cell(hostile))
    complain(hostile)

    captured = capsys.readouterr()
    for shown in (captured.out, captured.err):
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
        assert "[red]" in shown
