"""The two envelopes in which a 311 refuses: the gateway's and the backend's.

Recorded: the backend's 400 and 500, the gateway's 401 and 404. Assumed, after the gateway's own
documentation: 429 and the 403 of a spent quota.
"""

from __future__ import annotations

from http import HTTPStatus

from tests.sandbox.message import Reply, json_reply

__all__ = ["backend", "failure", "gateway", "out_of_quota", "wrong_key"]

NO_FORMATTER = (
    "No MediaTypeFormatter is available to read an object of type 'Object' from content with media type "
)
_SAID = {
    401: "Access denied due to invalid subscription key. Make sure to provide a valid key for an active "
    "subscription.",
    404: "Resource not found",
    429: "Rate limit is exceeded. Try again in 5 seconds.",
}
_CODES = {400: "BadRequest", 404: "NotFound", 500: "InternalServerError"}


def gateway(status: int) -> Reply:
    """What the gateway says by itself."""
    said = _SAID.get(status, HTTPStatus(status).phrase)
    return json_reply({"statusCode": status, "message": said}, status=status)


def backend(status: int, message: str) -> Reply:
    """What the city's own program says."""
    return json_reply({"Error": {"Code": _CODES[status], "Message": message}}, status=status)


def wrong_key() -> Reply:
    """401: a subscription key that is not known, or none."""
    return gateway(401)


def out_of_quota(wait: str) -> Reply:
    """403: the day's calls are spent, and there are more after *wait* (``HH:MM:SS``)."""
    said = f"Out of call volume quota. Quota will be replenished in {wait}."
    return json_reply({"statusCode": 403, "message": said}, status=403)


def failure(status: int) -> Reply:
    """What a fault of *status* looks like."""
    return backend(status, "An error has occurred.") if status in {400, 500} else gateway(status)
