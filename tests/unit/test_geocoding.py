"""Geocoding: when Mapbox answers for Geoclient, and when a call rather waits."""

from __future__ import annotations

from typing import Any

import pytest

from config.provider import ProviderSettings
from tasks import geoclient, mapbox
from tasks.arguments.location import location
from tasks.arguments.place import Geocoding
from tasks.geocoding import located
from tests.driver import Driver
from worker.choice import Choice, chosen
from worker.errors import (
    BucketEmpty,
    CallError,
    CircuitBreakerOpenError,
    CredentialsAside,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    QuotaSpent,
    RequestInvalid,
    ResourceMissing,
    ResponseUnreadable,
)
from worker.request import Answer, Request

ADDRESS = "280 Riverside Drive, Manhattan"
REJECTED = {"status": "REJECTED", "results": []}
FOUND = {"address": {"geosupportReturnCode": "00", "firstStreetNameNormalized": "X STREET"}}
POSSIBLE = {
    "status": "OK",
    "results": [{"status": "POSSIBLE_MATCH", "response": FOUND["address"]}],
}
POINT = {"coordinates": {"longitude": -73.9, "latitude": 40.7}, "match_code": {"confidence": "exact"}}
MATCH = {"features": [{"properties": {"full_address": "X Street", **POINT}}]}
NO_MATCH: dict[str, Any] = {"features": []}
KEYED = chosen(mapbox.PROVIDER, ProviderSettings(api_key="k"))


def here(**options: str) -> Choice:
    """Geoclient as a deployment chose it."""
    return chosen(geoclient.PROVIDER, ProviderSettings(api_key="k", options=options))


def passing(error: CallError) -> CallError:
    """*error*, which the engine will try again."""
    error.passing = True
    return error


class Both:
    """Geoclient and Mapbox, each with one thing to say."""

    def __init__(self, geoclient: Any, mapbox: Any = MATCH) -> None:
        self.says = {"": geoclient, "mapbox": mapbox}
        self.driver = Driver(answer=self._answer)

    def ask(self, said: Any = ADDRESS, ours: Choice | None = None, theirs: Choice = KEYED) -> Geocoding:
        """What the composite makes of it."""
        return self.driver.run(located(location(said), ours or here(), theirs))

    @property
    def asked(self) -> list[str]:
        """Who was."""
        return [request.provider or "geoclient" for request in self.driver.requests]

    def _answer(self, request: Request) -> Answer | CallError:
        said = self.says[request.provider]
        return said if isinstance(said, CallError) else Answer(status=200, data=said)


@pytest.mark.parametrize("said", [FOUND, POSSIBLE])
def test_what_geoclient_finds_is_not_asked_again(said: dict[str, Any]) -> None:
    """Nor are several possible matches, which are its answer."""
    both = Both(said)

    assert both.ask().source == "geoclient"
    assert both.asked == ["geoclient"]


def test_what_geoclient_does_not_find_mapbox_may() -> None:
    """It is asked the same address, in words."""
    both = Both(REJECTED)

    found = both.ask({"house_number": "72-03", "street": "37 Avenue", "zip": "11372"})

    assert (found.status, found.source, both.asked) == ("found", "mapbox", ["geoclient", "mapbox"])
    assert both.driver.requests[1].params["q"] == "72-03 37 AVENUE, NY 11372"


@pytest.mark.parametrize("why", [RequestInvalid(), ResourceMissing(), CredentialsRefused()])
def test_what_geoclient_refuses_mapbox_may_answer(why: CallError) -> None:
    """A credential that is refused has raised its alarm by then."""
    both = Both(why)

    assert both.ask().source == "mapbox"


@pytest.mark.parametrize(
    "why",
    [
        ProviderThrottled(),
        ProviderUnavailable(),
        passing(ProviderUnavailable()),
        BucketEmpty(),
        QuotaSpent(),
        CircuitBreakerOpenError(),
        CredentialsAside(),
        ResponseUnreadable(),
    ],
    ids=lambda why: type(why).__name__,
)
def test_what_geoclient_will_answer_later_is_waited_for(why: CallError) -> None:
    """An outage buys no worse answers for money; an answer that cannot be read is for a person to see."""
    both = Both(why)

    with pytest.raises(type(why)):
        both.ask()
    assert both.asked == ["geoclient"]


@pytest.mark.parametrize("said", ["1018890001", "1057127"])
@pytest.mark.parametrize("why", [REJECTED, RequestInvalid()], ids=["rejected", "refused"])
def test_mapbox_is_not_asked_for_lots_and_buildings(said: str, why: Any) -> None:
    """It knows neither."""
    both = Both(why)

    if isinstance(why, CallError):
        with pytest.raises(type(why)):
            both.ask(said)
    else:
        assert both.ask(said).status == "not_found"
    assert both.asked == ["geoclient"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (here(fallback="none"), KEYED),
        (here(), chosen(mapbox.PROVIDER, None)),
        (here(fallback="mapbox"), chosen(mapbox.PROVIDER, None)),
    ],
    ids=["switched off", "no key", "no key, though wanted"],
)
def test_there_is_no_fallback_unless_it_is_configured(ours: Choice, theirs: Choice) -> None:
    """Who pays for Mapbox decides."""
    both = Both(REJECTED)

    assert both.ask(ours=ours, theirs=theirs).status == "not_found"
    assert both.asked == ["geoclient"]


@pytest.mark.parametrize(
    "why", [RequestInvalid(), CredentialsRefused(), CircuitBreakerOpenError(), ResponseUnreadable(), NO_MATCH]
)
def test_not_found_stays_geoclients_word_when_mapbox_cannot_say_more(why: Any) -> None:
    """A spare that fails takes nothing from the answer that there is."""
    found = Both(REJECTED, why).ask()

    assert (found.status, found.source) == ("not_found", "geoclient")


@pytest.mark.parametrize("why", [RequestInvalid(), CredentialsRefused(), CircuitBreakerOpenError()])
def test_the_first_refusal_counts_when_mapbox_cannot_answer_either(why: CallError) -> None:
    """What a person has to mend is what Geoclient said."""
    first = ResourceMissing()

    with pytest.raises(ResourceMissing) as raised:
        Both(first, why).ask()

    assert raised.value is first


@pytest.mark.parametrize("first", [REJECTED, RequestInvalid()], ids=["rejected", "refused"])
def test_what_may_pass_at_mapbox_is_waited_for(first: Any) -> None:
    """Geoclient's answer is kept meanwhile, so that it is not asked again."""
    with pytest.raises(BucketEmpty):
        Both(first, BucketEmpty()).ask()


def test_mapbox_may_not_move_an_address_to_another_borough() -> None:
    """280 Broadway in Staten Island was found in Manhattan once, for certain."""
    context = {"locality": {"name": "Manhattan"}, "postcode": {"name": "10007"}}
    moved = {"features": [{"properties": {"full_address": "280 Broadway", "context": context, **POINT}}]}

    found = Both({"address": {"geosupportReturnCode": "42"}}, moved).ask(
        {"house_number": "280", "street": "Broadway", "borough": "Staten Island", "zip": "10301"}
    )

    assert (found.status, found.place) == ("ambiguous", None)
    assert [each.borough for each in found.candidates] == ["Manhattan"]


def test_mapbox_may_have_candidates_only() -> None:
    """A guess is reported as one."""
    guess = {"features": [{"properties": {**POINT, "match_code": {"confidence": "low"}}}]}

    found = Both(REJECTED, guess).ask()

    assert (found.status, found.source, len(found.candidates)) == ("ambiguous", "mapbox", 1)
