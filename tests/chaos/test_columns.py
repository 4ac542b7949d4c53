"""How the table of the storm over submissions counts."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.columns import alone, ours, table
from tests.chaos.test_endings import ACCEPTED, DOUBTFUL, REJECTED


def test_a_desk_of_ours_counts_its_own_only() -> None:
    """By what the ledger says, and what arrived."""
    lost = replace(DOUBTFUL, state=None, arrived=0)
    other = replace(ACCEPTED, desk="verify")

    column = ours("never", [ACCEPTED, DOUBTFUL, replace(DOUBTFUL, arrived=2), REJECTED, lost, other])

    assert (column.submitted, column.accepted, column.rejected, column.doubtful) == (5, 1, 1, 2)
    assert (column.once, column.more, column.silent, column.lost) == (2, 1, 1, 1)


def test_a_desk_of_celery_alone_counts_what_it_told() -> None:
    """Lost is what did not arrive and of which nobody heard; a lie is a failure that arrived."""
    told = {"a": "SUCCESS", "b": "FAILURE", "c": "FAILURE", "d": None, "e": None}

    column = alone("late acks", told, {"a": 1, "b": 2, "d": 1})

    assert (column.submitted, column.accepted, column.rejected, column.doubtful) == (5, 1, 2, 0)
    assert (column.once, column.more, column.lied, column.silent, column.lost) == (2, 1, 1, 2, 1)


def test_the_table_has_a_column_for_each_desk() -> None:
    """Named in its first line."""
    text = table(ours("never", [ACCEPTED]), alone("late acks", {"a": None, "b": None}, {}))

    assert text.splitlines()[0].split() == ["never", "late", "acks"]
    assert text.splitlines()[1].split() == ["submitted", "1", "2"]
