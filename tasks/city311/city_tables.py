"""The tables of a city's file, each key with what it takes. Loads pydantic."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tasks.city311.adapter import Lookup
from tasks.city311.city import Area, City
from tasks.city311.doubt import Resend
from tasks.city311.told_fields import OURS, WANTED, clash, wants

__all__ = [
    "Address",
    "Answered",
    "AreaTable",
    "AuthTable",
    "LookupTable",
    "Positive",
    "SubmitTable",
    "Table",
    "Word",
    "Zips",
    "Zone",
]

_ANSWERED = frozenset({"external_id", "external_status", "agency", "updated_at"})


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError('takes an address such as "https://311.example.org/v1"')
    if parts.username or parts.password:
        raise ValueError("takes an address without credentials; NARROWS_PROVIDERS__…__API_KEY holds the key")
    return url.rstrip("/")


def _path(path: str) -> str:
    if not path.startswith("/") or "?" in path:
        raise ValueError('takes a path with its leading slash and without a query, such as "/requests"')
    return path


def _zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError('takes a time zone such as "America/New_York"')
    return zone


def _zips(given: list[str]) -> list[str]:
    City(name="", zone="", zips=tuple(given))
    return given


def _fields(given: dict[str, str], known: frozenset[str]) -> dict[str, str]:
    if strange := sorted(set(given) - known):
        raise ValueError(f"has no field {strange[0]!r}; there are {', '.join(sorted(known))}")
    for value in given.values():
        _dotted(value)
    return given


def _dotted(path: str) -> str:
    if not all(path.split(".")):
        raise ValueError('takes their names, dotted where they lie deeper, such as "contact.phone"')
    return path


def _told(given: dict[str, str]) -> dict[str, str]:
    if wants(_fields(given, OURS)):
        raise ValueError(f"takes {WANTED}")
    return given


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    for name in given:
        _dotted(name)
    try:
        json.dumps(given)
    except (TypeError, ValueError):
        raise ValueError("takes texts, numbers, true and false; write a date as a text") from None
    return given


Address = Annotated[str, AfterValidator(_address)]
Zone = Annotated[str, AfterValidator(_zone)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Path_ = Annotated[str, AfterValidator(_path)]
Zips = Annotated[list[str], AfterValidator(_zips)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Ours = Annotated[dict[str, str], AfterValidator(_told)]
Answered = Annotated[dict[str, str], AfterValidator(lambda given: _fields(given, _ANSWERED))]


class Table(BaseModel):
    """Part of a city's file: no key that nobody knows, no text where a number belongs."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True)


class AreaTable(Table):
    """``[area]``: degrees."""

    south: float
    west: float
    north: float
    east: float

    @model_validator(mode="after")
    def _a_box(self) -> AreaTable:
        Area(**self.model_dump())
        return self


class AuthTable(Table):
    """``[auth]``: where the key goes, not the key."""

    header: Word | None = None
    query: Word | None = None
    scheme: str = ""
    required: bool = True

    @model_validator(mode="after")
    def _one_place(self) -> AuthTable:
        if (self.header is None) == (self.query is None):
            raise ValueError("takes one of header and query")
        return self


class SubmitTable(Table):
    """``[submit]``: how a service request is sent, and what is done when it may have arrived."""

    path: Path_
    resend: Resend = "never"
    idempotency_header: Word = "Idempotency-Key"
    correlation: str = ""
    verify_after: Positive = 60.0
    verify_within: Positive = 86_400.0
    yes: Any = True
    no: Any = False
    zoneless: bool = False
    fields: Ours
    constants: Annotated[dict[str, Any], AfterValidator(_plain)] = {}

    @model_validator(mode="after")
    def _apart(self) -> SubmitTable:
        tag = [self.correlation] if self.correlation else []
        if both := clash([*self.fields.values(), *self.constants, *map(_dotted, tag)]):
            first, second = both
            raise ValueError(
                f'would send "{first}" and "{second}" in one place; each of fields, constants and '
                "correlation takes a place of its own"
            )
        return self


class LookupTable(Table):
    """``[check]`` and ``[find]``: how one is asked for."""

    path: Path_
    params: dict[str, str] = {}
    within: str = ""

    @model_validator(mode="after")
    def _asks_for_one(self) -> LookupTable:
        if not any("{id}" in text for text in (self.path, *self.params.values())):
            raise ValueError('takes "{id}" in its path or in one of its params')
        return self

    @property
    def lookup(self) -> Lookup:
        """The same as a value."""
        return Lookup(path=self.path, params=self.params, within=self.within)
