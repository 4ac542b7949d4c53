"""MusicBrainz, mounted under its provider's name.

    GET /ws/2/isrc/<ISRC>?inc=&fmt=json           {"isrc", "recordings"}; 404 unknown, 400 for what is no code
    GET /ws/2/recording?query=&limit=&fmt=json    {"created", "count", "offset", "recordings"}, with scores

While more than one call a second comes in, from whomever, each of them is answered 503: also the first. A
blank User-Agent, or one of a library, is answered 403.

Assumed: the words of the 403 and of a 400 for a query, the scores, and over how many seconds the rate is
taken. The 400 for a code is in the service's own source, the 503 is quoted in public threads.

Read on  2026-11-21, from PROVIDERS.md section 6 and contracts/recorded/musicbrainz
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from tests.sandbox.message import Reply, Request, json_reply
from tests.sandbox.musicbrainz.catalogue import ISRCS, RECORDINGS
from tests.sandbox.musicbrainz.lucene import Clause, QueryInvalid, parsed

__all__ = ["MusicBrainzPlayer"]

HELP = "For usage, please see: https://musicbrainz.org/development/mmd"
TOO_FAST = (
    "Your requests are exceeding the allowable rate limit. "
    "Please see http://wiki.musicbrainz.org/XMLWebService for more information."
)
LIBRARIES = ("curl/", "go-http-client/", "java/", "python-requests/", "python-urllib/", "urllib3/", "wget/")
INCLUDED = {"artist-credits": "artist-credit", "releases": "releases"}
WINDOW = 4.0
SPARE = 1
"""Calls in the window beyond the rate that are let pass: a second is not measured to the millisecond."""

_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")


class MusicBrainzPlayer:
    """Plays MusicBrainz's web service.

    Attributes:
        rate: Calls a second that it bears, over all its callers; None is any number.
    """

    name = "musicbrainz"

    def __init__(self, *, rate: float | None = 1.0, clock: Callable[[], float] = time.time) -> None:
        self.rate = rate
        self._clock = clock
        self._came: deque[float] = deque()

    async def answer(self, request: Request) -> Reply:
        if self._hurried():
            return self._too_fast()
        agent = request.headers.get("user-agent", "").strip().lower()
        if not agent or agent.startswith(LIBRARIES):
            return _refused(403, "Forbidden: your User-Agent does not say who you are.")
        path = request.path.removeprefix("/ws/2")
        if request.method != "GET" or path == request.path or request.params.get("fmt") != "json":
            return _refused(404, "Not Found")
        if path.startswith("/isrc/"):
            return _looked_up(path.removeprefix("/isrc/"), request.params.get("inc", "").split())
        return _searched(request) if path == "/recording" else _refused(404, "Not Found")

    def failure(self, status: int) -> Reply:
        """Too often is a 503 here, whatever others call it."""
        if status in {429, 503}:
            return self._too_fast()
        said = {400: "Invalid isrc.", 404: "Not Found"}
        return _refused(status, said.get(status, HTTPStatus(status).phrase))

    def _hurried(self) -> bool:
        """Whether the rate is too high, this call included."""
        if self.rate is None:
            return False
        now = self._clock()
        self._came.append(now)
        while self._came[0] <= now - WINDOW:
            self._came.popleft()
        return len(self._came) > self.rate * WINDOW + SPARE

    def _too_fast(self) -> Reply:
        now, most = self._clock(), int((self.rate or 1.0) * WINDOW) + SPARE
        last = len(self._came) - most  # once this one is forgotten there is room for another
        free = self._came[last] + WINDOW if last >= 0 else now
        headers = {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(math.ceil(max(free, now + 1.0))),
            "X-RateLimit-Zone": "per-ip",
        }
        return json_reply({"error": TOO_FAST}, status=503, headers=headers)


def _looked_up(isrc: str, included: list[str]) -> Reply:
    if not _ISRC.fullmatch(isrc):
        return _refused(400, "Invalid isrc.")
    if isrc not in ISRCS:
        return _refused(404, "Not Found")
    left_out = {key for name, key in INCLUDED.items() if name not in included}
    found = [
        {key: value for key, value in RECORDINGS[each].items() if key not in left_out} for each in ISRCS[isrc]
    ]
    return json_reply({"isrc": isrc, "recordings": found})


def _searched(request: Request) -> Reply:
    limit, offset = request.params.get("limit", "25"), request.params.get("offset", "0")
    try:
        clauses = parsed(request.params.get("query", ""))
    except QueryInvalid:
        return _refused(400, "Unable to parse search")
    if not (limit.isdecimal() and offset.isdecimal() and 1 <= int(limit) <= 100):
        return _refused(400, "Invalid limit")
    scored = [(score, each) for each in RECORDINGS.values() if (score := _score(each, clauses))]
    scored.sort(key=lambda pair: (-pair[0], pair[1]["id"]))
    page = scored[int(offset) : int(offset) + int(limit)]
    body = {
        "created": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "count": len(scored),
        "offset": int(offset),
        "recordings": [{**each, "score": score} for score, each in page],
    }
    return json_reply(body)


def _score(recording: dict[str, Any], clauses: list[Clause]) -> int:
    """100 for what is exactly so, 80 for what only holds all the words, 0 for the rest."""
    artist = "".join(f"{each['name']}{each['joinphrase']}" for each in recording["artist-credit"])
    fields = {"recording": recording["title"], "artist": artist}
    scores = []
    for clause in clauses:
        texts = [fields.get(clause.field, "")] if clause.field else list(fields.values())
        wanted = clause.text.casefold()
        exact = any(wanted == text.casefold() for text in texts)
        scores.append(100 if exact else 80 * any(wanted in text.casefold() for text in texts))
    return min(scores)


def _refused(status: int, said: str) -> Reply:
    return json_reply({"error": said, "help": HELP}, status=status)
