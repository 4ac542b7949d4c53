"""How the table counts, on ledgers of a few lines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.chaos.ledger import Line, read
from tests.chaos.load import calls
from tests.chaos.report import Outcome, outcome, table


def counted(*lines: Line, stored: tuple[str, ...] = (), letters: tuple[str, ...] = ()) -> Outcome:
    """The outcome of three calls, taken at 100 s."""
    return outcome(
        "side",
        taken=dict.fromkeys("abc", 100.0),
        refused=0,
        lines=list(lines),
        stored=stored,
        letters=letters,
        asked=Counter(a=2, b=1),
        held=["c"],
    )


def test_a_call_without_an_end_is_lost() -> None:
    """Also when it has started, or lies unacknowledged."""
    found = counted(Line("ended", "a", 101.5), Line("start", "b", 101.0), Line("ran", "b", 102.0))

    assert (found.ended_once, found.lost, found.held, found.kept) == (1, 2, 1, False)
    assert found.longest == 1.5


def test_a_stored_result_or_a_dead_letter_is_an_end_without_a_line() -> None:
    """Its worker may have been killed before it could write."""
    found = counted(Line("ended", "a", 101.0), stored=("a", "b"), letters=("c",))

    assert (found.ended_once, found.lost, found.dead_letters, found.kept) == (3, 0, 1, True)


def test_two_ends_are_one_too_many() -> None:
    """Two lines, or two letters."""
    twice = Line("ended", "a", 101.0)

    assert counted(twice, twice, letters=("b", "b")).ended_twice == 2


def test_the_longest_silence_is_what_a_loss_cost() -> None:
    """Of a call that was started, lost with its worker, and started again."""
    lines = [Line("start", "a", 100.5), Line("start", "a", 131.0), Line("ended", "a", 131.5)]

    found = counted(*lines)

    assert (found.silence, found.longest) == (30.5, 31.5)


def test_a_call_that_was_made_again_is_told_apart_from_one_that_ended_twice() -> None:
    """The first is no loss: a GET may be made again."""
    found = counted(Line("ended", "a", 101.0), stored=("b", "c"))

    assert (found.made_again, found.ended_twice, found.kept) == (1, 0, True)


def test_a_ledger_reads_as_it_was_written(tmp_path: Path) -> None:
    """Whole lines, in order."""
    path = tmp_path / "ledger"
    path.write_text("start a 1.250\nended a 2.500\n", encoding="ascii")

    assert list(read(path)) == [Line("start", "a", 1.25), Line("ended", "a", 2.5)]


def test_no_two_calls_are_alike() -> None:
    """Else the second were answered from the cache."""
    made = calls(3000)

    assert len({call.bbl for call in made}) == len({call.task_id for call in made}) == 3000


def test_the_table_shows_sides_beside_one_another() -> None:
    """And says what of the lost is only late."""
    text = table(counted(), counted(Line("ended", "a", 101.0)))

    assert text.splitlines()[0].split() == ["side", "side"]
    assert "lost                                         3               2" in text
    assert "1 of the lost lie unacknowledged" in text
