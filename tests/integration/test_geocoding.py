"""Geocoding with a real gate, a real cache, and both providers behind a socket."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from config.settings import ProviderSettings
from tasks import geoclient, geocoding, mapbox
from tasks.arguments.location import location
from tasks.arguments.place import Geocoding
from tests.integration.deployment import Deployment
from tests.sandbox import TOKEN, Sandbox
from worker.choice import chosen
from worker.claim import Claim
from worker.engine import Engine
from worker.errors import (
    CredentialsRefused,
    ProviderCooling,
    ProviderThrottled,
    RequestInvalid,
    ResponseUnreadable,
)
from worker.performing import Performance
from worker.steps import Steps

ADDRESS, UNKNOWN = "280 Riverside Drive, Manhattan", "281 Riverside Drive, Manhattan"


@dataclass(kw_only=True)
class Map:
    """A deployment that asks the sandbox for both, as it is set."""

    sandbox: Sandbox
    url: str
    geoclient: dict[str, Any]
    mapbox: dict[str, Any]

    @cached_property
    def settings(self) -> dict[str, ProviderSettings]:
        """Both providers as they are deployed."""
        given = {"geoclient": self.geoclient, "mapbox": self.mapbox}
        return {
            name: ProviderSettings(**{"base_url": self.sandbox.base_url(name), "api_key": TOKEN, **changed})
            for name, changed in given.items()
        }

    @cached_property
    def engine(self) -> Engine:
        """Of one worker."""
        return Deployment(url=self.url, changed={"providers": self.settings}).engine

    def geocode(self, said: Any) -> Geocoding:
        """What ``geocode`` makes of it."""
        here = chosen(geoclient.PROVIDER, self.settings["geoclient"])
        there = chosen(mapbox.PROVIDER, self.settings["mapbox"])
        return self._run("geoclient", geocoding.located(location(said), here, there))

    def geocode_mapbox(self, address: str) -> Geocoding:
        """What ``geocode_mapbox`` makes of it."""
        return self._run("mapbox", mapbox.located(address, chosen(mapbox.PROVIDER, self.settings["mapbox"])))

    def _run(self, provider: str, steps: Steps[Geocoding]) -> Geocoding:
        claim = Claim()
        try:
            run = Performance(self.engine.pipeline, provider, "geocode", claim, lambda _: None)
            found: Geocoding = run.of(steps)
        finally:
            self.engine.pipeline.tell(claim)
        return found

    @property
    def asked(self) -> tuple[int, int]:
        """How often Geoclient was, and Mapbox."""
        counts = self.sandbox.control.counts
        return counts("geoclient")["count"], counts("mapbox")["count"]


class Deploy:
    """Makes deployments."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self._sandbox, self._url = sandbox, url

    def __call__(self, geoclient: dict[str, Any] | None = None, mapbox: dict[str, Any] | None = None) -> Map:
        """One with those settings beside the usual."""
        return Map(sandbox=self._sandbox, url=self._url, geoclient=geoclient or {}, mapbox=mapbox or {})


@pytest.fixture
def deploy(sandbox: Sandbox, redis_url: str) -> Deploy:
    """Deployments on an empty Redis."""
    return Deploy(sandbox, redis_url)


def test_an_address_is_asked_once_however_it_is_written(deploy: Deploy) -> None:
    """Its answer is good for a day."""
    here = deploy()

    first, second = here.geocode(ADDRESS), here.geocode("  280 RIVERSIDE  drive,manhattan ")

    assert first.status == "found"
    assert (first.served, second.served, second.place) == ("live", "cache", first.place)
    assert here.asked == (1, 0)


def test_the_handbooks_contract_can_be_chosen(deploy: Deploy) -> None:
    """Both parts of its credential stand in the query, and in no other place."""
    here = deploy({"contract": "handbook", "api_key": f"sandbox:{TOKEN}"})

    found = here.geocode("1018890001")

    assert found.place is not None
    assert (found.place.bbl, found.place.borough) == ("1018890001", "Manhattan")
    (seen,) = here.sandbox.control.journal("geoclient", raw=True)
    assert seen["query"] == f"q=1018890001&app_id=sandbox&app_key={TOKEN}"


def test_what_mapbox_finds_instead_is_not_kept(deploy: Deploy) -> None:
    """It may not be. That Geoclient found nothing is kept, for minutes."""
    here = deploy()

    found = [here.geocode(UNKNOWN) for _ in range(2)]

    assert [(each.source, each.served, each.status) for each in found] == [
        ("mapbox", "live", "ambiguous")
    ] * 2
    assert here.asked == (1, 2)


def test_a_permanent_answer_of_mapbox_is_kept(deploy: Deploy) -> None:
    """It is paid for, and Mapbox is told so."""
    here = deploy(mapbox={"options": {"permanent": "true"}})

    found = [here.geocode_mapbox("280 RIVERSIDE DRIVE, MANHATTAN") for _ in range(2)]

    assert [(each.status, each.served) for each in found] == [("found", "live"), ("found", "cache")]
    assert "permanent=true" in here.sandbox.control.journal("mapbox")[0]["query"]
    assert here.asked == (0, 1)


def test_refused_credentials_raise_their_alarm_while_mapbox_answers(deploy: Deploy) -> None:
    """The caller is served, and a person hears of it."""
    here = deploy({"api_key": "revoked"})

    found = here.geocode(ADDRESS)

    assert (found.status, found.source) == ("found", "mapbox")
    _, page = here.engine.metrics.page()
    assert b'credentials_refused_total{provider="geoclient"} 1.0' in page
    assert here.asked == (1, 1)


def test_without_a_fallback_the_refusal_is_the_outcome(deploy: Deploy) -> None:
    """One request, and no retry."""
    here = deploy({"api_key": "revoked", "options": {"fallback": "none"}})

    with pytest.raises(CredentialsRefused):
        here.geocode(ADDRESS)
    assert here.asked == (1, 0)


def test_a_bad_request_is_answered_by_mapbox(deploy: Deploy) -> None:
    """And fails where both refuse it."""
    here = deploy()
    here.sandbox.control.fault("geoclient", status=400)

    assert here.geocode(ADDRESS).source == "mapbox"

    here.sandbox.control.fault("mapbox", status=422)
    with pytest.raises(RequestInvalid, match="geoclient"):
        here.geocode(ADDRESS)


def test_a_spent_quota_pauses_the_fleet_for_as_long_as_the_gateway_says(deploy: Deploy) -> None:
    """In words, in a 403, which is no refused credential; and Mapbox is not paid to stand in."""
    here = deploy()
    here.sandbox.geoclient.spent = True

    with pytest.raises(ProviderThrottled) as told:
        here.geocode(ADDRESS)
    with pytest.raises(ProviderCooling) as held:
        here.geocode("100 Broadway, Brooklyn")

    assert told.value.retry_after == 3723.0
    assert 3600 < held.value.wait < 3725
    assert here.asked == (1, 0)


@pytest.mark.parametrize("provider", ["geoclient", "mapbox"])
@pytest.mark.parametrize("mode", ["nonsense", "garbage"])
def test_an_unreadable_answer_is_not_kept(deploy: Deploy, provider: str, mode: str) -> None:
    """The next call asks again, and gets the right one; nor did Mapbox stand in for it."""
    here = deploy(mapbox={"options": {"permanent": "true"}})
    ask = here.geocode if provider == "geoclient" else here.geocode_mapbox
    here.sandbox.control.fault(provider, mode=mode)

    with pytest.raises(ResponseUnreadable):
        ask(ADDRESS.upper())
    here.sandbox.control.clear()

    assert ask(ADDRESS.upper()).status == "found"
    assert sum(here.asked) == 2


def test_an_old_answer_stands_in_when_geoclient_is_down(deploy: Deploy) -> None:
    """It says that it is old."""
    here = deploy({"cache_seconds": 0.001})
    here.geocode(ADDRESS)
    here.sandbox.control.fault("geoclient", mode="reset")

    found = here.geocode(ADDRESS)

    assert (found.status, found.source, found.served) == ("found", "geoclient", "stale")
    assert found.age > 0
