"""What an answer means: the provider's opinion first, then this one table of statuses.

A status alone is not the result: several providers answer 200 for a failure
(PROVIDERS.md 0.1), so the parsed body is judged before the status is believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from worker.errors import (
    CallError,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    RecipientSuppressed,
    RequestInvalid,
    ResourceMissing,
    ResponseUnreadable,
)
from worker.http.retry_after import left_of_day, reset_after, retry_after, worded_wait
from worker.provider import Provider, Verdict

__all__ = ["error_code", "failure", "verdict"]

PENDING_WAIT = 1.0
"""Seconds before a 202 is asked again when it names no wait."""

NOT_MODIFIED = 304
_STATUSES: Mapping[int, Verdict] = {
    NOT_MODIFIED: "ok",
    401: "credentials",
    403: "credentials",
    404: "missing",
    408: "unavailable",
    425: "unavailable",
    429: "throttled",
}
_RANGES: Mapping[int, Verdict] = {2: "ok", 4: "rejected", 5: "unavailable"}
_SHORT = 3
"""Characters of what is no secret."""

_CODES = ("errorCode", "error_code", "code", "error", "Code", "Error")
_TOKEN = re.compile(r"\d{1,6}|(?=[A-Za-z0-9_.-]*[A-Za-z])[A-Za-z0-9_.-]{1,64}")


def verdict(provider: Provider, status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:
    """What the answer means; None for a status that means nothing to anybody (1xx, 3xx).

    Args:
        provider: Whose ``judge`` is asked first.
        status: As it came.
        headers: All of them, lower-case names.
        body: Parsed, or None when it is empty or not JSON.
    """
    opinion = provider.judge(status, headers, body)
    return opinion or _STATUSES.get(status) or _RANGES.get(status // 100)


def failure(
    provider: Provider,
    meaning: Verdict | None,
    status: int,
    headers: Mapping[str, str],
    body: Any,
    *,
    secret: str | None = None,
) -> CallError:
    """The error that stands for *meaning*, any verdict but ``ok`` and ``empty``; the request did leave.

    Its message holds the status and the provider's own short code, never text from the body.
    """
    code = error_code(body, secret=secret)
    said = f"{provider.name} answered {status}" + (f" ({code})" if code else "")
    error: CallError
    if meaning == "throttled":
        wait = reset_after(headers)
        wait = worded_wait(provider.waits, _message(body)) if wait is None else wait
        error = ProviderThrottled(said, status=status, retry_after=wait)
    elif meaning == "spent":
        zone = provider.quota.zone if provider.quota else "UTC"
        error = ProviderThrottled(f"{said}: today's are spent", status=status, retry_after=left_of_day(zone))
    elif meaning == "suppressed":
        error = RecipientSuppressed(said, status=status)
    elif meaning == "pending":
        wait = retry_after(headers)
        pending = ProviderUnavailable(
            f"{said}: not ready yet", status=status, retry_after=PENDING_WAIT if wait is None else wait
        )
        pending.neutral, pending.patience = True, provider.retry.within
        error = pending
    elif meaning == "unavailable":
        error = ProviderUnavailable(said, status=status, retry_after=retry_after(headers))
    elif meaning == "credentials":
        error = CredentialsRefused(f"{said}: it refused our credentials", status=status)
    elif meaning == "missing":
        error = ResourceMissing(said, status=status)
    elif meaning == "rejected":
        error = RequestInvalid(said, status=status)
    else:
        error = ResponseUnreadable(f"{said}, which is no answer", status=status)
    error.sent = True
    return error


def error_code(body: Any, *, secret: str | None = None) -> str:
    """The provider's own code for its error, such as ``invalid_client`` or ``20003``; "" when none is safe.

    Free text may quote what was asked, so only a short token counts: no spaces, no number
    long enough to be a phone's or a building's, and nothing that holds *secret*.
    """
    for _ in range(3):  # {"error": {"code": ...}} and {"errors": [{"code": ...}]} are both in use
        if isinstance(body, list):
            body = body[0] if body else None
        if not isinstance(body, dict):
            return ""
        values = [body[name] for name in _CODES if name in body]
        for value in values:
            token = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
            if _TOKEN.fullmatch(token) and not _told(secret, token):
                return token
        body = next((value for value in values if isinstance(value, dict)), body.get("errors"))
    return ""


def _told(secret: str | None, token: str) -> bool:
    """Whether *token* holds the credential, or a part of it that is long enough to be secret."""
    parts = [secret, *secret.split(":")] if secret else []
    return any(part and part in token for part in parts if part == secret or len(part) > _SHORT)


def _message(body: Any) -> str:
    """What an error says in words, which are read here and stand nowhere."""
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else ""
