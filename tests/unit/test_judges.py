"""What every provider has to hold whose answers are kept: they are looked at before."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

import tasks
from worker.http.verdict import verdict
from worker.provider import Provider


def kept() -> Iterator[Provider]:
    """The providers with a cache, each of their contracts for itself."""
    for module in iter_modules(tasks.__path__, "tasks."):
        declared = vars(import_module(module.name)).get("PROVIDER")
        for each in [declared, *declared.contracts.values()] if isinstance(declared, Provider) else []:
            if each.caching is not None:
                yield each


KEPT = list(kept())
GARBAGE: list[Any] = [None, {}, {"id": "x"}, {"tracks": {"items": [{}]}}, [None], "OK", {"features": [{}]}]


@pytest.mark.parametrize("provider", KEPT, ids=lambda each: f"{each.name}{each.contract}")
@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_no_answer_is_kept_of_which_nothing_can_be_made(provider: Provider, status: int) -> None:
    """An empty 204 of a gateway, or a track without a name, was the answer for days."""
    meant = {verdict(provider, status, {}, body) for body in GARBAGE}

    assert meant <= {"unreadable", "pending"}


def test_all_who_keep_answers_are_looked_at() -> None:
    """Should a module hide its provider, this says so."""
    assert {each.name for each in KEPT} == {
        "geoclient", "lastfm", "mapbox", "musicbrainz", "nyc_open_data", "openweather", "spotify"
    }  # fmt: skip
