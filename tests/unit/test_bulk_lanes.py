"""Lanes as callers and operations name them."""

from __future__ import annotations

from typing import Any

import pytest

from tasks import fetch_permits
from worker import registry
from worker.errors import ArgumentsInvalid
from worker.lane import LANES, lane_named, lane_of
from worker.operation import operation
from worker.provider import Provider

BBL = "1012650001"


@pytest.mark.parametrize("lane", ["express", "", "Batch", 1, ["batch"], {}])
def test_a_lane_that_does_not_exist_is_refused_with_those_that_do(lane: Any) -> None:
    """In the caller, before anything is written."""
    with pytest.raises(
        ArgumentsInvalid, match="fetch_permits: lane: takes 'interactive', 'batch' or 'replay'"
    ):
        fetch_permits.apply_async((BBL,), lane=lane)


@pytest.mark.parametrize("lane", ["express", None])
def test_so_is_one_in_the_header_that_a_caller_here_writes(lane: Any) -> None:
    """A misspelt lane would be the interactive one without a word."""
    with pytest.raises(ArgumentsInvalid, match="lane: takes"):
        fetch_permits.apply_async((BBL,), headers={"narrows": {"lane": lane}})


def test_so_is_one_of_a_signature() -> None:
    """Where it is enqueued."""
    with pytest.raises(ArgumentsInvalid, match="lane: takes"):
        fetch_permits.si(BBL).set(lane="express").apply_async()


@pytest.mark.parametrize("header", [None, "batch", {}, {"lane": "express"}, {"lane": 3}, {"lane": ["batch"]}])
def test_a_strangers_header_names_a_lane_or_none(header: Any) -> None:
    """Anyone may have written it, so nothing is refused."""
    assert lane_of(header) == "interactive"
    assert lane_of(header, default="replay") == "replay"


@pytest.mark.parametrize("lane", LANES)
def test_a_lane_that_exists_is_taken_at_its_word(lane: str) -> None:
    """From a caller as from a header."""
    assert lane_named(lane, "x") == lane_of({"lane": lane}, default="x") == lane


def test_an_operation_cannot_be_declared_in_a_lane_that_does_not_exist() -> None:
    """It is found when the module is imported, not when the first call is made."""
    provider = Provider(name="laneless", base_url="http://127.0.0.1:9")

    with pytest.raises(ValueError, match="laneless: lane: takes"):
        operation(provider, lane="express")

    assert provider.name not in registry.names()
