"""Spotify, mounted under its provider's name.

    POST /api/token            {"access_token", "token_type", "expires_in"} for Basic and client_credentials
    GET  /v1/tracks/<id>       a track; 404 when there is none, 400 for what is no id
    GET  /v1/search?q=&type=   {"tracks": {"items": [...]}}; 400 "Invalid limit" beyond the app's

Errors of the accounts host are OAuth's (``{"error": "invalid_client"}``), those of the API its own envelope.

Read on  2026-11-21, from PROVIDERS.md section 5, contracts/specs and contracts/recorded/spotify
"""

from __future__ import annotations

import base64
import itertools
import re
import time
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs, urlencode

from tests.sandbox.message import Reply, Request, json_reply
from tests.sandbox.spotify.catalogue import Catalogue, seen_in_development

__all__ = ["SpotifyPlayer"]

DEVELOPMENT_MOST, EXTENDED_MOST = 10, 50
USUAL, LAST_OFFSET = 5, 1000
MESSAGES = {
    401: "The access token expired",
    403: "Forbidden",
    404: "Resource not found",
    429: "API rate limit exceeded",
    500: "Server error",
    502: "Bad gateway.",
    503: "Service unavailable",
}


class SpotifyPlayer:
    """Plays Spotify's accounts host and Web API.

    Attributes:
        clients: ``id:secret`` of each app that is known.
        lifetime: Seconds for which a token that is sold from now on is taken.
        announced: ``expires_in`` of those tokens; the lifetime, unless a test has it say something else.
        development: The app is in development mode: ten results at most, and fewer fields.
        sold: How many tokens were sold.
        takes: Whether the API takes tokens at all; without, every one is "expired".
        catalogue: What it has.
    """

    name = "spotify"

    def __init__(self, *, tokens: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.clients = {f"sandbox:{token}" for token in tokens}
        self.lifetime = 3600.0
        self.announced: float | None = None
        self.development = self.takes = True
        self.sold = 0
        self.catalogue = Catalogue()
        self._clock = clock
        self._ends: dict[str, float] = {}
        self._number = itertools.count(1)

    def revoke(self) -> None:
        """Take no token any more that was sold so far."""
        self._ends.clear()

    async def answer(self, request: Request) -> Reply:
        if request.path == "/api/token" and request.method == "POST":
            return self._token(request)
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if request.path == "/v1/search":
            return self._searched(request)
        if request.path.startswith("/v1/tracks/"):
            return self._shown(request)
        return _refused(404, "Service not found")

    def failure(self, status: int) -> Reply:
        return _refused(status, MESSAGES.get(status, "Something went wrong"))

    def _token(self, request: Request) -> Reply:
        if _client(request) not in self.clients:
            return _no_token("invalid_client", "Invalid client secret")
        form = parse_qs(request.body.decode("latin-1"))
        if form.get("grant_type") != ["client_credentials"]:
            return _no_token("unsupported_grant_type", "grant_type parameter is missing")
        self.sold += 1
        token = f"BQsandbox{next(self._number):06d}{'x' * 80}"
        self._ends[token] = self._clock() + self.lifetime
        seconds = self.lifetime if self.announced is None else self.announced
        said = int(seconds) if seconds >= 1 else seconds
        return json_reply({"access_token": token, "token_type": "Bearer", "expires_in": said})

    def _refusal(self, request: Request) -> Reply | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            return _refused(401, "No token provided")
        if not self.takes or self._clock() >= self._ends.get(token, 0.0):
            return self.failure(401)
        return None

    def _shown(self, request: Request) -> Reply:
        track_id = request.path.removeprefix("/v1/tracks/")
        if not re.fullmatch(r"[0-9A-Za-z]{22}", track_id):
            return _refused(400, "Invalid base62 id")
        track = self.catalogue.track(track_id)
        return self.failure(404) if track is None else json_reply(self._seen(track, request))

    def _searched(self, request: Request) -> Reply:
        asked, most = request.params, DEVELOPMENT_MOST if self.development else EXTENDED_MOST
        if not asked.get("q"):
            return _refused(400, "No search query")
        if asked.get("type") != "track":
            return _refused(400, "Missing parameter type")
        limit, offset = _number(asked.get("limit"), USUAL), _number(asked.get("offset"), 0)
        if not 1 <= limit <= most:
            return _refused(400, "Invalid limit")
        if not 0 <= offset <= LAST_OFFSET:
            return _refused(400, "Invalid offset")
        found = self.catalogue.found(asked["q"], most=LAST_OFFSET + most)
        page = {"query": asked["q"], "type": "track", "offset": offset, "limit": limit}
        here = "https://api.spotify.com/v1/search?"
        beyond = offset + limit
        tracks = {
            "href": here + urlencode(page),
            "items": [self._seen(each, request) for each in found[offset:beyond]],
            "limit": limit,
            "next": here + urlencode({**page, "offset": beyond}) if beyond < len(found) else None,
            "offset": offset,
            "previous": here + urlencode({**page, "offset": max(0, offset - limit)}) if offset else None,
            "total": len(found),
        }
        return json_reply({"tracks": tracks})

    def _seen(self, track: dict[str, object], request: Request) -> dict[str, object]:
        """*track* as this app sees it; in a market it is playable or not instead of having markets."""
        if "market" in request.params:
            track = {name: value for name, value in track.items() if name != "available_markets"}
            track["is_playable"] = True
        return seen_in_development(track) if self.development else track


def _client(request: Request) -> str:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    try:
        return base64.b64decode(text, validate=True).decode() if scheme == "Basic" else ""
    except ValueError:
        return ""


def _number(text: str | None, usual: int) -> int:
    if text is None:
        return usual
    return int(text) if text.isdecimal() else -1


def _refused(status: int, message: str) -> Reply:
    return json_reply({"error": {"status": status, "message": message}}, status=status)


def _no_token(error: str, description: str) -> Reply:
    return json_reply({"error": error, "error_description": description}, status=400)
