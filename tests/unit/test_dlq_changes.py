"""Changes to arguments as a command line has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import typer

from worker.cli.dlq_changes import by_name, changed, document, given
from worker.operation import Operation, Steps
from worker.provider import Provider
from worker.request import Request

ACME = Provider(name="acme", base_url="https://acme.example")


def turn(side: str, payload: dict[str, Any] | None = None, *, limit: int = 5) -> Steps[None]:  # noqa: ARG001
    """Nothing."""
    yield Request(path="/")


TURN = Operation(provider=ACME, function=turn)
BEFORE = {"side": "left", "payload": {"zip": "10001", "floors": [1, 2], "owner": None}, "limit": 5}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("side=right", {"side": "right"}),
        ("side=12", {"side": "12"}),
        ("side=", {"side": ""}),
        ("side=a=b", {"side": "a=b"}),
        ("side:=12", {"side": 12}),
        ("limit=7", {"limit": 7}),
        ("limit=many", {"limit": "many"}),
        ("payload.zip=00501", {"payload": {**BEFORE["payload"], "zip": "00501"}}),  # type: ignore[dict-item]
        ("payload.floors.1=3", {"payload": {**BEFORE["payload"], "floors": [1, 3]}}),  # type: ignore[dict-item]
        ("payload.owner=1", {"payload": {**BEFORE["payload"], "owner": "1"}}),  # type: ignore[dict-item]
        ("payload.owner.name=x", {"payload": {**BEFORE["payload"], "owner": {"name": "x"}}}),  # type: ignore[dict-item]
        ("payload.new:=[1]", {"payload": {**BEFORE["payload"], "new": [1]}}),  # type: ignore[dict-item]
        ("payload=null", {"payload": None}),
    ],
)
def test_text_stays_text_and_json_stays_json(change: str, expected: dict[str, Any]) -> None:
    """By what is there already, so that a number in a text field is not made a number."""
    made = changed(TURN, BEFORE, [change])

    assert made == {**BEFORE, **expected}


def test_what_was_there_is_not_touched() -> None:
    """The audit is to have it."""
    changed(TURN, BEFORE, ["payload.zip=1", "payload.floors.0=9"])

    assert BEFORE["payload"] == {"zip": "10001", "floors": [1, 2], "owner": None}


@pytest.mark.parametrize(
    "change",
    [
        "side",
        "other=1",
        "=1",
        "side.inner=1",
        "payload.floors.7=1",
        "payload.floors.x=1",
        "limit.a=1",
        "side:=x",
    ],
)
def test_a_change_that_leads_nowhere_is_refused(change: str) -> None:
    """As wrong usage."""
    with pytest.raises(typer.BadParameter):
        changed(TURN, BEFORE, [change])


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [(["left"], {}), ([], {"side": "left"}), (["left", {"a": 1}], {"limit": 2}), ([], {"limit": 1})],
)
def test_arguments_go_under_their_names_and_back(args: list[Any], kwargs: dict[str, Any]) -> None:
    """They bind as they did, or are as incomplete as they were."""
    named = by_name(TURN, args, kwargs)

    again = given(TURN, named)

    assert by_name(TURN, *again) == named == TURN.signature.bind_partial(*args, **kwargs).arguments


def test_arguments_that_fit_no_parameter_have_to_be_written_anew() -> None:
    """There is no name to change them by."""
    with pytest.raises(typer.BadParameter, match="--args or --kwargs"):
        by_name(TURN, [], {"other": 1})


@pytest.mark.parametrize(
    "read", [lambda: document("canary", list, "--args"), lambda: document('"canary"', dict, "--kwargs")]
)
def test_a_document_that_is_none_is_refused_without_a_quotation(read: Callable[[], Any]) -> None:
    """It may be private."""
    with pytest.raises(typer.BadParameter) as refused:
        read()

    assert "canary" not in str(refused.value)
