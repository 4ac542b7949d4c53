"""Arguments are parsed where the task is called, and refused with a right value shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tasks.arguments import iso_date, several, some_of, whole_number

NAMES = ("dob_violations", "hpd_violations", "permits")


@pytest.mark.parametrize("value", [0, 3651, True, "30", 30.0, None])
def test_a_number_is_whole_and_in_its_range(value: object) -> None:
    """True is no number, and text is not guessed at."""
    with pytest.raises(ValueError, match="takes a whole number from 1 to 3650, for example 30"):
        whole_number(1, 3650, example=30).parse(value)


@pytest.mark.parametrize("value", [1, 30, 3650])
def test_a_number_in_its_range_stays_as_it_is(value: int) -> None:
    """Both ends belong to the range."""
    assert whole_number(1, 3650, example=30).parse(value) == value


@pytest.mark.parametrize("value", ["2026-01-31", date(2026, 1, 31)])
def test_a_day_is_text_on_the_wire(value: object) -> None:
    """A date object cannot travel as JSON."""
    assert iso_date(value) == "2026-01-31"


def test_no_day_stays_none() -> None:
    """The operation takes today then."""
    assert iso_date(None) is None


@pytest.mark.parametrize(
    "value",
    [
        "31.01.2026",
        "20260131",
        "2026-W05-6",
        "2026-02-30",
        "1999-12-31",
        "2100-01-01",
        20260131,
        True,
        datetime(2026, 1, 31, tzinfo=UTC),
    ],
)
def test_other_spellings_of_a_day_are_refused(value: object) -> None:
    """One spelling, one fingerprint; and no window that falls off the calendar."""
    with pytest.raises(ValueError, match='takes a day as YYYY-MM-DD, for example "2026-01-31"'):
        iso_date(value)


def test_names_keep_their_order_and_count_once() -> None:
    """A list or a tuple, as JSON makes it."""
    assert some_of(NAMES).parse(["permits", "dob_violations", "permits"]) == ("permits", "dob_violations")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["permit"], "did you mean permits?"),
        (["dob-violations"], "did you mean dob_violations?"),
        (["zzz"], "takes a list of dob_violations, hpd_violations, permits"),
        ([7], "takes a list of dob_violations, hpd_violations, permits"),
        ("permits", 'for example ["dob_violations"]'),
        ([], 'for example ["dob_violations"]'),
        (None, 'for example ["dob_violations"]'),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(value: object, said: str) -> None:
    """A typing error is seen at once, and a bare string is not a list of letters."""
    with pytest.raises(ValueError, match="takes a list of") as refused:
        some_of(NAMES).parse(value)

    assert said in str(refused.value)


@pytest.mark.parametrize("value", [[], "1012650001", None, {"1012650001": 1}, list(range(6))])
def test_a_list_holds_at_least_one_value_and_not_too_many(value: object) -> None:
    """Neither nothing, nor a string taken for a list, nor a whole city."""
    with pytest.raises(ValueError, match='takes a list of 1 to 5 values, for example \\["1012650001"\\]'):
        several(5, example="1012650001").parse(value)


@pytest.mark.parametrize("kind", [list, tuple, set])
def test_values_may_come_in_any_collection(kind: Callable[[list[Any]], Any]) -> None:
    """Callers have sets, too."""
    assert several(5, example="1").parse(kind([1])) == [1]


def test_a_producer_does_not_load_pydantic_to_import_the_annotations() -> None:
    """Importing the tasks is what every service pays for, also those that never call one."""
    code = "import sys, tasks.arguments.bbl; sys.exit('pydantic' in sys.modules or 'requests' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
