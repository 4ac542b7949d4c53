"""Geocoding: Geoclient, and Mapbox for what Geoclient cannot answer.

Mapbox is asked, where it has a key and ``NARROWS_PROVIDERS__GEOCLIENT__OPTIONS__FALLBACK`` is not ``none``,
for what Geoclient does not find or refuses (a 4xx; credentials that are refused raise their alarm all the
same). It is not asked for what Geoclient will answer later: throttled, spent, down or behind an open breaker,
the call waits as every call does. Mapbox costs money, knows neither lots nor buildings, and what it says may
not be kept, so an outage of Geoclient's would buy a worse answer at the price of every call that waits.
"""

from __future__ import annotations

from tasks import geoclient, mapbox
from tasks.arguments.location import Location, LocationArgument
from tasks.arguments.place import Geocoding
from worker.choice import Choice, choice
from worker.errors import CallError, CredentialsRefused, RequestInvalid, ResourceMissing
from worker.operation import Steps, operation
from worker.steps import asking

__all__ = ["geocode", "located"]


@operation(geoclient.PROVIDER)
def geocode(location: LocationArgument) -> Steps[Geocoding]:
    """Where an address, an intersection, a tax lot or a building lies, or which places it may be.

    ``location`` is a text as people type it, a BBL, a BIN, or an object that names its parts
    (:mod:`tasks.arguments.location`). What is ambiguous or not found is an answer, not an error.
    """
    return (yield from located(location, choice(geoclient.PROVIDER), choice(mapbox.PROVIDER)))


def located(where: Location, here: Choice, there: Choice) -> Steps[Geocoding]:
    """The steps of :func:`geocode`, as the deployment chose *here* (Geoclient) and *there* (Mapbox)."""
    falls_back = here.option("fallback") == there.provider and there.keyed and bool(where.words)
    try:
        answered = yield from geoclient.located(where, here.contract)
    except (CredentialsRefused, RequestInvalid, ResourceMissing):
        instead = (yield from _instead(where, there)) if falls_back else None
        if instead is None:
            raise
        return instead
    if answered.status != "not_found" or not falls_back:
        return answered
    instead = yield from _instead(where, there)
    return answered if instead is None or instead.status == "not_found" else instead


def _instead(where: Location, there: Choice) -> Steps[Geocoding | None]:
    """What Mapbox says; None when it cannot say anything. What may pass is let through: the call waits."""
    try:
        return (yield from asking(mapbox.PROVIDER, mapbox.located(where.words, there)))
    except CallError as why:
        if why.passing:
            raise
        return None
