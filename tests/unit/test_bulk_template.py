"""A message made by filling slots says what one made by Celery says, whatever the arguments hold."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.bulk.template import Template, slot
from worker.errors import ArgumentsInvalid
from worker.operation import Operation, Steps
from worker.provider import Provider
from worker.request import Request

ACME = Provider(name="acme", base_url="https://acme.example")
SLOTS = ("task_id", "args", "kwargs", "argsrepr", "kwargsrepr", "at")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(args=st.lists(JSON), kwargs=st.dictionaries(st.text(), JSON), texts=st.tuples(st.text(), st.text()))
def test_slots_take_any_arguments_and_leave_the_rest_alone(
    args: list[Any], kwargs: dict[str, Any], texts: tuple[str, str]
) -> None:
    """Not even a text that looks like a slot, or like a place for one, is taken for it."""
    around = ["%", "%(args)s", "%s", '"\\u0001args"', "\\\\u0001args", {"mine": 1}]
    template = Template(json.dumps([*map(slot, SLOTS), around, slot("task_id")]))

    found = json.loads(template.filled("an-id", args, kwargs, *texts))

    at = found[5]
    assert found == ["an-id", args, kwargs, *texts, at, around, "an-id"]
    assert isinstance(at, float)


def by_place(number: int, label: str = "x", limit: int = 1) -> Steps[None]:
    """Nothing: parameters that may all be given by place."""
    yield Request(path=f"/{number}{label}{limit}")


def by_name(number: int, *, label: str = "x") -> Steps[None]:
    """Nothing: one parameter that may not."""
    yield Request(path=f"/{number}{label}")


@pytest.mark.parametrize("args", [(), (1,), (1, "a"), (1, "a", 2), (1, "a", 2, 3), ("1", "a", "2")])
@pytest.mark.parametrize("function", [by_place, by_name])
def test_arguments_by_place_are_taken_as_python_takes_them(function: Any, args: tuple[Any, ...]) -> None:
    """However they are bound: as many as there are parameters for them, and no fewer than are needed."""
    operation = Operation(provider=ACME, function=function)
    try:
        inspect.signature(function).bind(*args)
    except TypeError as wrong:
        with pytest.raises(ArgumentsInvalid, match=f"{function.__name__}: {wrong}"):
            operation.checked(args, {})
    else:
        expected = [int(value) if place != 1 else value for place, value in enumerate(args)]
        assert operation.checked(args, {}) == (expected, {})
