"""What is wrong in a city, as our callers say it. Loads pydantic: only where a request is checked.

A city is the validation's context. What is refused is named by its field, and never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tasks.city311.city import City
from tasks.city311.phone import phone
from tasks.city311.refusals import in_words

__all__ = ["Contact", "Location", "ServiceRequest"]

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,63}")
_FIRST_YEAR, _LAST_YEAR = 2000, 2099


def _no_empty(value: Any) -> Any:
    """Forms send empty texts for what nobody filled in."""
    return None if isinstance(value, str) and not value.strip() else value


def _text(longest: int) -> Any:
    return Annotated[str, Field(min_length=1, max_length=longest)]


def _maybe(longest: int) -> Any:
    return Annotated[Annotated[str, Field(max_length=longest)] | None, BeforeValidator(_no_empty)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True, allow_inf_nan=False
    )


class Location(_Part):
    """Where it is: an address, or a place on the map, or both."""

    address: _maybe(200) = None  # type: ignore[valid-type]
    borough: _maybe(50) = None  # type: ignore[valid-type]
    zip: _maybe(10) = None  # type: ignore[valid-type]
    latitude: float | None = None
    longitude: float | None = None

    @field_validator("borough")
    @classmethod
    def _a_borough(cls, value: str | None, info: ValidationInfo) -> str | None:
        return None if value is None else _city(info).borough(value)

    @field_validator("zip")
    @classmethod
    def _a_zip(cls, value: str | None, info: ValidationInfo) -> str | None:
        return None if value is None else _city(info).zip_code(value)

    @field_validator("latitude")
    @classmethod
    def _a_latitude(cls, value: float | None, info: ValidationInfo) -> float | None:
        return None if value is None else _city(info).latitude(value)

    @field_validator("longitude")
    @classmethod
    def _a_longitude(cls, value: float | None, info: ValidationInfo) -> float | None:
        return None if value is None else _city(info).longitude(value)

    @model_validator(mode="after")
    def _somewhere(self) -> Location:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("takes latitude and longitude together")
        if self.address is None and self.latitude is None:
            raise ValueError("takes an address, or latitude and longitude")
        return self


class Contact(_Part):
    """Whom the city may ask. Nothing of it is ever shown."""

    name: _maybe(100) = None  # type: ignore[valid-type]
    phone: _maybe(40) = None  # type: ignore[valid-type]
    email: _maybe(254) = None  # type: ignore[valid-type]

    @field_validator("phone")
    @classmethod
    def _e164(cls, value: str | None) -> str | None:
        return None if value is None else phone(value)

    @field_validator("email")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not _EMAIL.fullmatch(value):
            raise ValueError("takes an e-mail address, for example ada@example.org")
        return value


class ServiceRequest(_Part):
    """One service request. Without *contact* it is anonymous.

    Attributes:
        observed_at: ISO 8601; without an offset it is the city's own time.
    """

    agency: _text(60)  # type: ignore[valid-type]
    complaint_type: _text(200)  # type: ignore[valid-type]
    descriptor: _maybe(200) = None  # type: ignore[valid-type]
    description: _maybe(5000) = None  # type: ignore[valid-type]
    location: Location
    contact: Contact | None = None
    observed_at: str | None = None

    @field_validator("agency")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        return _city(info).agency(value)

    @field_validator("contact", mode="before")
    @classmethod
    def _filled_in(cls, value: Any) -> Any:
        """None for a form's part that nobody filled in."""
        value = value.model_dump() if isinstance(value, Contact) else value
        if not isinstance(value, Mapping) or not value.keys() <= Contact.model_fields.keys():
            return _no_empty(value)
        return value if any(_no_empty(each) is not None for each in value.values()) else None

    @field_validator("observed_at", mode="before")
    @classmethod
    def _moment(cls, value: Any, info: ValidationInfo) -> str | None:
        if (value := _no_empty(value)) is None:
            return None
        wanted = "takes a time as ISO 8601, for example 2026-01-31T08:30:00"
        zone = ZoneInfo(_city(info).zone)
        try:
            when = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            local = when.astimezone(zone) if when.tzinfo else when.replace(tzinfo=zone)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(wanted) from None
        if not _FIRST_YEAR <= local.year <= _LAST_YEAR:
            raise ValueError(f"{wanted}, of the years {_FIRST_YEAR} to {_LAST_YEAR}")
        return local.isoformat(timespec="seconds")

    @classmethod
    def checked(cls, value: Any, city: City) -> dict[str, Any]:
        """*value* as it goes on the wire, each field normalised; a ValidationError names all wrong ones."""
        if isinstance(value, cls):
            value = value.model_dump()
        try:
            return cls.model_validate(value, context=city).model_dump(mode="json", exclude_none=True)
        except ValidationError as wrong:
            raise in_words(wrong, cls) from None


def _city(info: ValidationInfo) -> City:
    assert isinstance(info.context, City)  # noqa: S101 - checked() gives it
    return info.context
