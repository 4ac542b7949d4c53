"""What a city is told of a service request: by which dotted names, so that none takes another's place."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise

__all__ = ["OURS", "WANTED", "clash", "untold", "wants"]

OURS = frozenset({
    "agency", "anonymous", "complaint_type", "contact.email", "contact.name", "contact.phone", "description",
    "descriptor", "location.address", "location.borough", "location.coordinates", "location.full_address",
    "location.latitude", "location.longitude", "location.zip", "observed_at",
})  # fmt: skip

WANTED = (
    "agency, complaint_type, and where it is: location.address, location.full_address, location.coordinates, "
    "or location.latitude and location.longitude"
)
"""Without these, what a city is sent is no service request."""

_MADE = {
    "anonymous": (),
    "location.full_address": ("location.address", "location.borough", "location.zip"),
    "location.coordinates": ("location.latitude", "location.longitude"),
}
"""Those that no caller says, and what of a caller's is in them."""

_PLACES = ({"location.address"}, {"location.latitude", "location.longitude"})


def wants(ours: Collection[str]) -> bool:
    """Whether a city that is told *ours* lacks something that it has to be told; see :data:`WANTED`."""
    told = _told(ours)
    return not {"agency", "complaint_type"} <= told or not any(place <= told for place in _PLACES)


def untold(ours: Collection[str]) -> list[str]:
    """What a caller may say and the city is not told when it is told *ours*, sorted."""
    return sorted(OURS - _MADE.keys() - _told(ours))


def clash(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two of these dotted names that cannot both be written: the same twice, or one within the other."""
    for first, second in pairwise(sorted(path.split(".") for path in paths)):
        if second[: len(first)] == first:
            return ".".join(first), ".".join(second)
    return None


def _told(ours: Collection[str]) -> set[str]:
    return {each for name in ours for each in (name, *_MADE.get(name, ()))}
