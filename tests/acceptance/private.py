"""A provider that is told private things, by operations that handle them carelessly, and that says all back.

Workers load this module with ``--include``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from tests.sandbox import Reply, Request, json_reply
from worker import request
from worker.operation import Steps, operation
from worker.provider import Auth, Breaker, Provider, Retry, Timeouts
from worker.submissions.submission import Accepted, IdempotencyKey, Submission, Submits, header_tag

__all__ = ["PRIVATE", "Gossip", "confide", "insist", "tell"]

PRIVATE = Provider(
    name="private",
    base_url="http://127.0.0.1:9",
    auth=Auth(header="X-Api-Key"),
    breaker=Breaker(failures=None),
    retry=Retry(attempts=2, first=0.1, most=0.2, budget=None),
    timeouts=Timeouts(connect=1.0, read=10.0, total=15.0),
)


def in_body(sent: request.Request, submission_id: str) -> request.Request:
    """The request with the submission's id where the provider looks for it."""
    return replace(sent, data={**sent.data, "reference": submission_id})


def _posted(payload: dict[str, str]) -> Steps[Accepted]:
    """Everything stands everywhere: in path, query, headers and body."""
    if payload["mode"] == "crash before":
        raise ValueError(f"cannot send {payload}")
    path, headers = f"/of/{payload['street']}", {"X-Caller": payload["key"]}
    answer = yield request.Request(
        method="POST", path=path, params={"phone": payload["phone"]}, headers=headers, data=payload
    )
    if payload["mode"] == "crash after":
        raise KeyError(payload["email"], answer.data)
    return Accepted(external_id=answer.data["number"])


def _asked(known: Submission, payload: dict[str, str], idempotency_key: str | None = None) -> Steps[Any]:  # noqa: ARG001
    answer = yield request.Request(path=f"/of/{payload['street']}", params={"reference": known.id, **payload})
    return Accepted(external_id=answer.data["number"])


@operation(PRIVATE, submission=Submits(tag=in_body))
def tell(payload: dict[str, str], idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Told once."""
    return (yield from _posted(payload))


@operation(PRIVATE, submission=Submits(resend="verify", verify=_asked, after=0.2, within=60.0, tag=in_body))
def confide(payload: dict[str, str], idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Told once, and asked about."""
    return (yield from _posted(payload))


@operation(PRIVATE, submission=Submits(resend="idempotent", tag=header_tag("Idempotency-Key")))
def insist(payload: dict[str, str], idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Told until it is heard."""
    return (yield from _posted(payload))


class Gossip:
    """Does as the payload's ``mode`` says, and puts all that it heard into its answer.

    Attributes:
        heard: How often it was told something, by mode.
    """

    name = PRIVATE.name

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()

    async def answer(self, asked: Request) -> Reply:
        """What the mode says."""
        said = asked.json() if asked.method == "POST" else asked.params
        mode, first = said["mode"], not self.heard[f"{asked.method} {said['mode']}"]
        self.heard[f"{asked.method} {mode}"] += 1
        status, wait = _status(asked.method, mode, first=first)
        if mode == "garbage":
            return Reply(status=200, headers={"Content-Type": "application/json"}, body=b"[" + asked.body)
        echo = {"error": {"message": f"no good: {asked.target} {said}", "headers": dict(asked.headers)}}
        number = f"private-{self.heard.total()}"
        return json_reply({"number": number, **echo}, status=status, headers={"X-Echo": asked.target, **wait})

    def failure(self, status: int) -> Reply:
        """Few words."""
        return json_reply({"error": "out_of_order"}, status=status)


def _status(method: str, mode: str, *, first: bool) -> tuple[int, dict[str, str]]:
    """What is answered, and headers; a look fails once, and so does what is throttled."""
    if mode == "throttled" and first:
        return 429, {"Retry-After": "1"}
    if mode == "held back":
        return 429, {"Retry-After": "600"}
    if mode == "in doubt":
        return (500, {}) if method == "POST" or first else (200, {})
    return {"refused": 400, "failing": 500}.get(mode, 201), {}
