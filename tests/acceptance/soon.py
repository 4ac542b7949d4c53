"""Text messages as Twilio takes them, of which it is asked after half a second: a test has no two minutes.

Workers load this module with ``--include``; who imports it here calls :func:`forget` in the end.
"""

from __future__ import annotations

from dataclasses import replace

from tasks.arguments.phone_number import PhoneNumber
from tasks.twilio import PROVIDER, send_sms
from worker import registry
from worker.application import app
from worker.operation import Steps, operation
from worker.submissions.submission import Accepted, IdempotencyKey

__all__ = ["SOON", "forget", "send_soon"]

SOON = replace(PROVIDER, name="twilio_soon")

_DECLARED = send_sms.operation.submission
assert _DECLARED is not None
_SUBMITS = replace(_DECLARED, after=0.5, within=8.0)


@operation(SOON, submission=_SUBMITS)
def send_soon(to: PhoneNumber, body: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """As ``send_sms``, which does all of it."""
    taken: Accepted = yield from send_sms.operation.function(to, body)
    return taken


def forget() -> None:
    """Leave this process as it was."""
    app.tasks.unregister(send_soon.name)
    registry._providers.pop(SOON.name, None)
