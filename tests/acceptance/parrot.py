"""A provider that says all back: path, query, headers and body, in every field of its answer."""

from __future__ import annotations

import json
from typing import Any, Literal
from urllib.parse import unquote_plus

from tests.sandbox import Player, Reply, Request

__all__ = ["Parrot", "Way"]

Way = Literal["well", "plain", "coded", "refused", "down", "odd", "garbage", "moved", "throttled"]

_STATUS: dict[Way, int] = {
    "plain": 400,
    "coded": 422,
    "refused": 401,
    "down": 500,
    "odd": 200,
    "throttled": 429,
}
_FIELDS = (
    "message",
    "detail",
    "title",
    "description",
    "error_description",
    "more_info",
    "code",
    "cod",
    "Message",
)


class Parrot:
    """Plays the provider of that name: as *inner* does, or by saying back what it hears.

    Attributes:
        way: ``well`` asks *inner*; the others are errors, or answers that make no sense.
        heard: All that it was told.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.inner: Player | None = None
        self.way: Way = "well"
        self.heard: list[str] = []

    async def answer(self, request: Request) -> Reply:
        """As the way is. Tokens are sold as ever, but where we are refused."""
        assert self.inner is not None
        self.heard.append(heard := _heard(request))
        buys = "token" in request.path.lower() and request.method == "POST"
        if self.way == "well" or (buys and self.way != "refused"):
            return await self.inner.answer(request)
        if self.way == "garbage":
            return Reply(
                status=200, headers={"Content-Type": "application/json"}, body=f'{{"{heard}'.encode()
            )
        if self.way == "moved":
            where = f"http://127.0.0.1:9/elsewhere?{request.target}"
            return Reply(
                status=302, headers={"Location": where, "X-Echo": request.target}, body=heard.encode()
            )
        return self._said(heard, request)

    def failure(self, status: int) -> Reply:
        """The provider's own words."""
        assert self.inner is not None
        return self.inner.failure(status)

    def _said(self, heard: str, request: Request) -> Reply:
        body: dict[str, Any] = dict.fromkeys(_FIELDS, heard)
        if self.way != "coded":
            del body["code"], body["cod"]
        body["error"] = heard if self.way == "refused" else {"message": heard, "status": heard}
        body["errors"] = [{"message": heard, "field": heard, "code": heard}]
        headers = {
            "Content-Type": "application/json",
            "X-Echo": request.target,
            "X-Request-Id": request.target,
        }
        if self.way == "throttled":
            headers |= {"Retry-After": "600", "X-RateLimit-Reset": request.target}
        return Reply(status=_STATUS[self.way], headers=headers, body=json.dumps(body).encode())


def _heard(request: Request) -> str:
    """All of it, as it came and in clear."""
    body = request.body.decode("utf-8", "replace")
    clear = f"{unquote_plus(request.target)} {unquote_plus(body)}"
    return f"no good: {request.target} {request.headers} {body} {clear}"
