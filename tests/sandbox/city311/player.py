"""A city's 311, mounted under its provider's name.

    POST /service-requests                      201 {"trackingNumber", "status"}; X-Api-Key
    GET  /service-requests/<number>             one; 404 when it is not known
    GET  /service-requests?correlationId=<id>   {"requests": [...]}, none for an id that never arrived
    POST /create-sr/api/CreateServiceRequest    200 {"SRNumber", "SLALanguage"}; Ocp-Apim-Subscription-Key
    GET  /public/api/GetServiceRequest          ?srnumber=<number>
    POST /public/api/GetServiceRequestList      {"SRNumbers": [...]}: in another order, without the unknown
    GET  /_desk                                 {"arrivals": {mark: n}, "filed": [...]}: no credential
    POST /_desk                                 {"number", "status"}: the city goes on with it

Read on  2026-11-21, from PROVIDERS.md section 2 and contracts/recorded/nyc311
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from tests.sandbox.city311 import envelopes
from tests.sandbox.city311.requests import Filed, Files
from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["CityPlayer"]

KEY_HEADERS = ("x-api-key", "ocp-apim-subscription-key")
CREATE, ONE, LIST = (
    "/create-sr/api/CreateServiceRequest",
    "/public/api/GetServiceRequest",
    "/public/api/GetServiceRequestList",
)


class CityPlayer:
    """Plays one city's 311 in both interfaces.

    A create is counted under its *mark*: the caller's correlation id, or else its description.

    Attributes:
        keys: Subscription keys that are known.
        spent: Whether the day's calls are used up; there are more after *replenished* (``HH:MM:SS``).
        envelope_in_200: Answers creates with an error envelope and status 200, having taken nothing.
        numberless: Answers creates with 200 and no number, having taken them.
    """

    def __init__(self, name: str = "nyc311", *, keys: Iterable[str], lag: int = 0) -> None:
        self.name = name
        self.keys = set(keys)
        self.spent = self.envelope_in_200 = self.numberless = False
        self.replenished = "01:02:03"
        self.files = Files(lag=lag)

    @property
    def arrivals(self) -> Mapping[str, int]:
        """How often each mark was taken."""
        return self.files.arrivals

    def move(self, number: str, status: str) -> None:
        """Let the city have gone on with a request."""
        self.files.move(number, status)

    async def answer(self, request: Request) -> Reply:
        if request.path == "/_desk":
            return self._desk(request)
        if not any(request.headers.get(header) in self.keys for header in KEY_HEADERS):
            return envelopes.wrong_key()
        if self.spent:
            return envelopes.out_of_quota(self.replenished)
        return self._routed(request)

    def failure(self, status: int) -> Reply:
        return envelopes.failure(status)

    def _routed(self, request: Request) -> Reply:
        return self._posted(request) if request.method == "POST" else self._asked(request)

    def _posted(self, request: Request) -> Reply:
        match request.path:
            case "/service-requests":
                return self._create(request, handbook=True)
            case path if path == CREATE:
                return self._create(request, handbook=False)
            case path if path == LIST:
                return self._listed(request)
            case _:
                return envelopes.gateway(404)

    def _asked(self, request: Request) -> Reply:
        match request.path:
            case "/service-requests" if "correlationId" in request.params:
                found = self.files.correlated(request.params["correlationId"])
                return json_reply({"requests": [one.as_handbook() for one in found]})
            case path if path.startswith("/service-requests/"):
                return self._shown(path.rpartition("/")[2], Filed.as_handbook)
            case path if path == ONE:
                return self._shown(request.params.get("srnumber", ""), Filed.as_public)
            case _:
                return envelopes.gateway(404)

    def _create(self, request: Request, *, handbook: bool) -> Reply:
        if not request.headers.get("content-type", "").startswith("application/json"):
            kind = request.headers.get("content-type", "application/octet-stream")
            return envelopes.backend(500, f"{envelopes.NO_FORMATTER}'{kind}'.")
        try:
            body = request.json()
            assert isinstance(body, dict)
            problem, date, text = _fields(body, handbook=handbook)
        except (ValueError, AssertionError):
            return envelopes.backend(400, "Invalid JSON")
        if not body.get("agency") or not problem:
            return envelopes.backend(400, "Invalid Parameter: agency and problem are required")
        if date and not _is_date(date):
            return envelopes.backend(500, "String was not recognized as a valid DateTime.")
        if self.envelope_in_200:
            refused = {"Error": {"Code": "BadRequest", "Message": "Invalid Parameter: agency"}}
            return json_reply(refused)
        correlation = str(body.get("correlationId", ""))
        made = self.files.file(
            correlation or text,
            body["agency"],
            correlation=correlation,
            key=request.headers.get("idempotency-key", ""),
        )
        return self._created(made, handbook=handbook)

    def _created(self, made: Filed, *, handbook: bool) -> Reply:
        if self.numberless:
            return json_reply({"SLALanguage": "Thank you."})
        if handbook:
            return json_reply({"trackingNumber": made.number, "status": "Open"}, status=201)
        return json_reply({"SRNumber": made.number, "SLALanguage": "The agency will respond in 14 days."})

    def _shown(self, number: str, show: Callable[[Filed], dict[str, Any]]) -> Reply:
        found = self.files.found(number)
        if found is None:
            return envelopes.backend(404, "Service request not found")
        return json_reply(show(found))

    def _listed(self, request: Request) -> Reply:
        try:
            numbers = request.json()["SRNumbers"]
        except (ValueError, KeyError, TypeError):
            return envelopes.backend(400, "Invalid Parameter: SRNumbers")
        found = [one for number in reversed(numbers) if (one := self.files.found(number))]
        return json_reply({"SRResponses": [one.as_public() for one in found]})

    def _desk(self, request: Request) -> Reply:
        if request.method == "POST":
            moved = request.json()
            self.move(moved["number"], moved["status"])
        filed = [
            {"number": one.number, "mark": one.mark, "status": one.status}
            for one in self.files.filed.values()
        ]
        return json_reply({"arrivals": dict(self.arrivals), "filed": filed})


def _fields(body: dict[str, Any], *, handbook: bool) -> tuple[str, str, str]:
    """The problem, its date and what is told of it."""
    names = ("complaintType", "observedAt", "description")
    if not handbook:
        names = ("problem", "dateTimeObserved", "additionalDetails")
    problem, date, text = (str(body.get(name, "")) for name in names)
    return problem, date, text


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
