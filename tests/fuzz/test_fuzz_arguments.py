"""Whatever callers give a task: it is taken as JSON that stays as it is, or refused without a value of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import tasks
from tests.fuzz.asked import OPERATIONS, UNFUZZED, asked, learnt
from tests.fuzz.effort import examples
from tests.fuzz.oddities import CANARY, NUMBER, changed, documents, odd
from worker.errors import ArgumentsInvalid
from worker.operation import Operation
from worker.redaction import excerpt, masked

LONGEST_REFUSAL = 2_000
NAMES = st.sampled_from([CANARY, "bbl", "self", "args", "x" * 3000, "", "\ud800", "days"])
FOREIGN = st.sampled_from(
    [float("nan"), float("inf"), b"bytes", {1: 2}, {None: 1}, (1, 2), {3}, object(), Ellipsis]
)
"""What is no JSON, as a caller in Python may pass it."""


@st.composite
def calls(draw: DrawFn, name: str) -> tuple[list[Any], dict[str, Any]]:
    """Arguments for that task, some by place: right ones that were changed, or none that make any sense."""
    right = dict(draw(st.sampled_from(asked(name))))
    parameters = list(OPERATIONS[name].signature.parameters)
    how = draw(st.sampled_from(["changed", "one", "one", "more", "fewer", "any"]))
    if how == "changed":
        made = draw(changed(right, most=2))
        right = made if isinstance(made, dict) else {parameters[0]: made}
    elif how == "one":
        right[draw(st.sampled_from(parameters))] = draw(odd | documents | FOREIGN)
    elif how == "more":
        right[draw(NAMES)] = draw(odd)
    elif how == "fewer":
        del right[draw(st.sampled_from(sorted(right)))]
    else:
        right = {each: draw(documents | FOREIGN) for each in parameters}
    ahead = draw(st.integers(0, len(parameters)))
    args = []
    for each in parameters[:ahead]:
        if each not in right:
            break
        args.append(right.pop(each))
    return args, {str(each): value for each, value in right.items()}


def held(operation: Operation, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Fails unless the arguments are taken as JSON that stays as it is, or refused as they should be."""
    try:
        wire = operation.checked(tuple(args), kwargs)
    except ArgumentsInvalid as why:
        refused = why
    else:
        stays(operation, wire)
        return
    said = str(refused)
    assert said.startswith(f"{operation.name}: ")
    assert len(said) <= LONGEST_REFUSAL
    assert CANARY not in said
    assert str(NUMBER) not in said
    assert refused.__cause__ is None
    said.encode()


def stays(operation: Operation, wire: tuple[list[Any], dict[str, Any]]) -> None:
    """Fails unless *wire* is JSON, taken again as it is, of which nothing is shown that should not be."""
    args, kwargs = json.loads(json.dumps(wire, allow_nan=False))
    again = operation.checked(tuple(args), kwargs)
    assert json.loads(json.dumps(again)) == [args, kwargs]
    operation.parsed(tuple(args), kwargs)
    for shown in (*masked(operation, args, kwargs), excerpt(operation, args, kwargs)):
        shown.encode()
        assert operation.shown or CANARY not in shown


@pytest.mark.parametrize("name", OPERATIONS)
@examples(30)
@given(data=st.data())
def test_arguments_are_taken_as_json_that_stays_as_it_is_or_refused_without_a_value(
    name: str, data: st.DataObject
) -> None:
    """By place and by name, too many, too few, of any kind and depth."""
    held(OPERATIONS[name], *data.draw(calls(name)))


def test_a_name_that_is_no_parameter_is_not_told_unless_it_looks_like_one() -> None:
    """It may be anything, of any length: somebody's address as a key of a mapping that was spread."""
    operation = OPERATIONS["fetch_permits"]
    for strange in (CANARY, "x" * 3000, "\ud800", "tel2125550123"):
        with pytest.raises(ArgumentsInvalid) as refused:
            operation.checked(("1012650001",), {strange: 1})
        assert strange not in str(refused.value)
    with pytest.raises(ArgumentsInvalid, match="'limits'"):
        operation.checked(("1012650001",), {"limits": 1})


def test_many_complaints_fit_a_refusal() -> None:
    """Those that do not are counted."""
    wrong = {"amount": "x", "type": "x", "frequency": "x"}
    person = {"age": -1, "household_member_type": "HeadOfHousehold", "incomes": [wrong] * 50}

    with pytest.raises(ArgumentsInvalid, match=r"and \d+ more$") as refused:
        OPERATIONS["screen_household"].checked(({}, [person]), {})

    assert len(str(refused.value)) <= LONGEST_REFUSAL


def test_every_task_is_fuzzed_or_named_with_a_reason() -> None:
    """A new task is there by itself; one that has no operation has a line."""
    plain = {name for name in tasks.__all__ if not hasattr(getattr(tasks, name), "operation")}

    assert plain == set(UNFUZZED)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_task_can_be_asked(name: str) -> None:
    """What the table, or else the task's own refusals, say that it takes is taken."""
    for arguments in asked(name):
        OPERATIONS[name].checked((), arguments)


def test_a_task_that_is_in_no_table_is_asked_as_its_refusals_say() -> None:
    """So most new ones need no line."""
    assert learnt(OPERATIONS["lookup_isrc"]) == {"isrc": "USUM71703692"}
    assert learnt(OPERATIONS["current_weather"]) == {"latitude": 40.71, "longitude": -74.01}
