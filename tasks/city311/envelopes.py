"""What a 311 answer means beyond its status.

Two layers answer, each in an envelope of its own: the gateway ``{"statusCode", "message"}``, the city's
backend ``{"Error": {"Code", "Message"}}``. Either may come with a 200, and neither is an acceptance then.

Read on  2026-11-21, from the recordings of July 2022 and PROVIDERS.md section 2 (429 and the spent quota of
         the gateway are as Azure documents them, not recorded)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.provider import Verdict

__all__ = ["judge"]

_CODES: Mapping[str, Verdict] = {
    "BadRequest": "rejected",
    "Forbidden": "credentials",
    "NotFound": "missing",
    "TooManyRequests": "throttled",
    "Unauthorized": "credentials",
}
_STATUSES: Mapping[int, Verdict] = {
    400: "rejected",
    401: "credentials",
    403: "credentials",
    404: "missing",
    429: "throttled",
}
_FORBIDDEN, _SERVER_ERRORS = 403, 500


def judge(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:  # noqa: ARG001
    """The verdict of an error in a 200, and of a spent quota that is answered 403; else None."""
    if not isinstance(body, Mapping):
        return None
    if status == _FORBIDDEN:
        return "throttled" if "quota" in str(body.get("message")).lower() else None
    if not 200 <= status < 300:  # noqa: PLR2004 - a success, by its status
        return None
    return _backend(body.get("Error")) or _gateway(body.get("statusCode"))


def _backend(error: Any) -> Verdict | None:
    """Of an error that says nothing we know, nobody can say whether it acted."""
    if not error:
        return None
    return _CODES.get(str(error.get("Code")), "unavailable") if isinstance(error, Mapping) else "unavailable"


def _gateway(status: Any) -> Verdict | None:
    if not isinstance(status, int) or status < min(_STATUSES):
        return None
    return "unavailable" if status >= _SERVER_ERRORS else _STATUSES.get(status, "rejected")
