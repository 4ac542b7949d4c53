"""A service request as a task's argument: checked in the caller, a plain document on the wire."""

from __future__ import annotations

from typing import Annotated, Any

from tasks.arguments import Parsed
from tasks.city311.city import City
from worker.submissions.external_id import external_id

__all__ = ["ExternalId", "payload_of"]


def payload_of(city: City) -> Any:
    """The annotation of a service request to *city*; pydantic loads with the first one that is checked."""

    def parse(value: Any) -> dict[str, Any]:
        from tasks.city311.service_request import ServiceRequest

        return ServiceRequest.checked(value, city)

    return Annotated[dict[str, Any], Parsed(parse)]


def _external_id(value: Any) -> str:
    if not isinstance(value, str) or (found := external_id(value)) is None:
        raise ValueError('takes the number that the city gave, for example "311-10935582"')
    return found


ExternalId = Annotated[str, Parsed(_external_id)]
