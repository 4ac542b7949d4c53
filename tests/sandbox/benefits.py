"""The City's screening as the sandbox plays it, by its published interface and by our handbook's.

    POST /authToken            {"username", "password"}: 200 {"type": "SUCCESS", "token"}
    POST /eligibilityPrograms  ?interestedPrograms=S2R010|S2R007, Authorization: <token>: 200 with programs
    POST /oauth/token          grant_type=client_credentials, Basic: 200 {"access_token", "expires_in", ...}
    POST /screen               Authorization: Bearer <token>: as /eligibilityPrograms

Who is known is ``sandbox:<key>`` for each key. What goes wrong is said as the owner's specification says it.
Assumed: the answer to a wrong password (400, ``notAuthorized``) and to a token that is not known or has ended
(401, as the City's gateway says it elsewhere), and the handbook's interface as a whole.

Read on  2026-11-21, from PROVIDERS.md section 4 and contracts/specs/nyc-benefits-screening-api.yaml
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from tests.sandbox.benefits_rules import PROGRAMS, complaints, eligible
from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["USER", "BenefitsPlayer"]

USER = "sandbox"
MORE = "See API documentation at https://screeningapidocs.cityofnewyork.us for details on valid requests."
_CODES = {
    404: "notFound",
    405: "httpMethodNotAllowed",
    406: "unsupportedContentType",
    500: "internalServerError",
    504: "gatewayTimeout",
}
_SAID = {
    404: "The requested operation failed because a resource associated with the request could not be found.",
    405: "The HTTP method associated with the request is not supported.",
    406: "The content type of the request is not supported.",
    500: "The request failed due to an internal error.",
    504: "Connection to the rules engine has timed out. Please try again.",
}


class BenefitsPlayer:
    """Screens households for whoever has a token.

    Attributes:
        keys: Passwords, and client secrets, that are known.
        lifetime: Seconds for which a token is good.
        logins: How many tokens were bought.
        tired: How many screenings more the rules engine takes too long for.
    """

    name = "benefits"

    def __init__(self, *, keys: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.keys = set(keys)
        self.lifetime = 3600.0
        self.logins = self.tired = 0
        self._clock = clock
        self._tokens: dict[str, float] = {}

    def end_tokens(self) -> None:
        """Let every token that was bought so far have ended."""
        self._tokens.clear()

    async def answer(self, request: Request) -> Reply:
        match request.method, request.path:
            case "POST", "/authToken":
                return self._login(request)
            case "POST", "/oauth/token":
                return self._granted(request)
            case "POST", "/eligibilityPrograms":
                return self._screened(request, "")
            case "POST", "/screen":
                return self._screened(request, "Bearer ")
            case _, "/authToken" | "/oauth/token" | "/eligibilityPrograms" | "/screen":
                return self.failure(405)
            case _:
                return self.failure(404)

    def failure(self, status: int) -> Reply:
        if status in _SAID:
            return _failed(status, (_CODES[status], None, _SAID[status]))
        return json_reply({"message": "Limit Exceeded" if status == 429 else "Unavailable"}, status=status)

    def _login(self, request: Request) -> Reply:
        if not _is_json(request):
            return self.failure(406)
        told = _parsed(request)
        fields = told if isinstance(told, dict) else {}
        for name in ("username", "password"):
            if not isinstance(fields.get(name), str) or not fields[name]:
                return _failed(400, ("any.required", name, f"{name} is required."))
        if fields["username"] != USER or fields["password"] not in self.keys:
            return _failed(400, ("notAuthorized", "password", "Incorrect username or password."))
        return json_reply({"type": "SUCCESS", "token": self._bought()})

    def _granted(self, request: Request) -> Reply:
        known = ["Basic " + b64encode(f"{USER}:{key}".encode()).decode() for key in self.keys]
        if request.headers.get("authorization") not in known:
            return json_reply({"error": "invalid_client"}, status=401)
        if parse_qs(request.body.decode("latin-1")).get("grant_type") != ["client_credentials"]:
            return json_reply({"error": "unsupported_grant_type"}, status=400)
        granted = {"access_token": self._bought(), "token_type": "Bearer", "expires_in": self.lifetime}
        return json_reply(granted)

    def _bought(self) -> str:
        self.logins += 1
        token = f"eyJsandbox.{self.logins}.{len(self.keys)}"
        self._tokens[token] = self._clock() + self.lifetime
        return token

    def _screened(self, request: Request, scheme: str) -> Reply:
        shown = request.headers.get("authorization", "")
        token = shown.removeprefix(scheme) if shown.startswith(scheme) else ""
        if self._tokens.get(token, 0.0) <= self._clock():
            return json_reply({"message": "Unauthorized"}, status=401)
        if not _is_json(request):
            return self.failure(406)
        body = _parsed(request)
        if wrong := list(complaints(body)):
            return _failed(400, *wrong)
        if self.tired:
            self.tired -= 1
            return self.failure(504)
        wanted = request.params.get("interestedPrograms")
        found = [code for code in eligible(body) if wanted is None or code in wanted.split("|")]
        programs = [{"code": code, "name": PROGRAMS[code]} for code in found]
        return json_reply({"type": "SUCCESS", "eligiblePrograms": programs})


def _failed(status: int, *wrong: tuple[str, str | None, str]) -> Reply:
    """The owner's envelope, with a code, a path and words for each thing that is wrong."""
    errors = [
        {"message": said, "moreInfo": MORE, "code": code, "elementPath": path} for code, path, said in wrong
    ]
    return json_reply({"type": "FAILURE", "errors": errors}, status=status)


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")


def _parsed(request: Request) -> Any:
    try:
        return request.json()
    except ValueError:
        return None
