"""Arguments are refused where they are given, in words that help and hold no value."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import AfterValidator, Field

from worker.errors import ArgumentsInvalid, CallRejected
from worker.operation import Operation, Steps
from worker.provider import Provider
from worker.request import Answer, Request

ACME = Provider(name="acme", base_url="http://127.0.0.1")


def _known(name: str) -> str:
    if name not in {"left", "right"}:
        raise ValueError("takes left or right")
    return name


def turn(
    side: Annotated[str, AfterValidator(_known)], times: Annotated[int, Field(ge=1, le=9)] = 1
) -> Steps[Answer]:
    """An operation."""
    answer: Answer = yield Request(path=f"/{side}/{times}")
    return answer


OPERATION = Operation(provider=ACME, function=turn, shown=("side",))


def test_arguments_go_on_the_wire_as_they_were_parsed() -> None:
    """By place or by name, as the caller gave them."""
    assert OPERATION.checked(("left",), {"times": "3"}) == (["left", 3], {})


def test_a_default_stays_the_operations_own() -> None:
    """What the caller did not say is not said for it."""
    assert OPERATION.checked(("left",), {}) == (["left"], {})


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("up",), {}, "turn: side: takes left or right"),
        (("left", 10), {}, "turn: times: Input should be less than or equal to 9"),
        ((), {}, "turn: missing a required argument: 'side'; it takes turn(side, times)"),
        (("left",), {"time": 2}, "turn: got an unexpected keyword argument 'time'"),
    ],
)
def test_a_bad_argument_is_named_with_what_it_takes(
    args: tuple[object, ...], kwargs: dict[str, object], message: str
) -> None:
    """The first thing that a caller reads is what to change."""
    with pytest.raises(ArgumentsInvalid) as refused:
        OPERATION.checked(args, kwargs)

    assert str(refused.value).startswith(message)


def add(numbers: list[int]) -> Steps[Answer]:
    """An operation on many."""
    answer: Answer = yield Request(path=f"/{len(numbers)}")
    return answer


def test_many_wrong_items_are_told_by_their_places_and_not_without_end() -> None:
    """A message of ten thousand refusals helps nobody."""
    with pytest.raises(ArgumentsInvalid) as refused:
        Operation(provider=ACME, function=add).checked((["x"] * 23,), {})

    told = str(refused.value).split("; ")
    assert told[0].startswith("add: numbers: [0] Input should be a valid integer")
    assert told[19].startswith("numbers: [19] ")
    assert told[20:] == ["and 3 more"]


def test_a_refusal_holds_no_value() -> None:
    """Arguments may be private; errors are not."""
    with pytest.raises(ArgumentsInvalid) as refused:
        OPERATION.checked(("CANARY",), {})

    assert "CANARY" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, CallRejected)


def test_the_steps_are_the_functions_own() -> None:
    """The worker checks again what a stranger may have sent."""
    steps = OPERATION.steps(("right", "2"), {})

    assert next(steps) == Request(path="/right/2")
    with pytest.raises(ArgumentsInvalid):
        OPERATION.steps(("up",), {})
