"""What our workers load for the storm over submissions: an operation for each way out of a doubt.

The provider's name is the way. Each is tried for as long as a storm may last, so that what ends in a dead
letter was refused or is in doubt, and never only unlucky.
"""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.desk import TIMEOUT
from worker.operation import Steps, operation
from worker.provider import Breaker, Provider, Rate, Retry, Timeouts
from worker.request import Request
from worker.submissions.submission import Accepted, IdempotencyKey, Submission, Submits, header_tag
from worker.task import GuardedTask

__all__ = ["TASKS"]

AFTER = 3.0
"""Seconds until a desk is asked what came of it: what is under way on a busy machine must have arrived."""

LONG = 600.0


def provider(name: str) -> Provider:
    """A desk of that name."""
    return Provider(
        name=name,
        base_url="http://127.0.0.1:9",
        rate=Rate(calls=50, burst=10),
        breaker=Breaker(failures=None),
        retry=Retry(attempts=1000, within=LONG, first=0.2, most=1.0, budget=None),
        timeouts=Timeouts(connect=1.0, read=TIMEOUT, total=TIMEOUT + 1),
    )


def in_body(sent: Request, submission_id: str) -> Request:
    """The request with the submission's id where the desk looks for it."""
    return replace(sent, data={**sent.data, "reference": submission_id})


def look(known: Submission, note: str, idempotency_key: str | None = None) -> Steps[Accepted | None]:  # noqa: ARG001
    """What the desk has under the submission's id."""
    answer = yield Request(path="/requests", params={"reference": known.id})
    number = answer.data["number"]
    return Accepted(external_id=number) if number else None


def submitting(name: str, submits: Submits) -> GuardedTask:
    """The task ``<name>.submit``."""

    @operation(provider(name), submission=submits)
    def submit(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
        answer = yield Request(method="POST", path="/requests", data={"note": note})
        return Accepted(external_id=answer.data["number"])

    return submit


TASKS = {
    name: submitting(name, submits)
    for name, submits in {
        "never": Submits(tag=in_body),
        "verify": Submits(resend="verify", verify=look, after=AFTER, within=LONG, tag=in_body),
        "idempotent": Submits(resend="idempotent", tag=header_tag("Idempotency-Key")),
    }.items()
}
