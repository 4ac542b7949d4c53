"""Providers to which something is submitted, one for each way out of a doubt, and the desk that plays them.

The desk writes down what arrives, so a test can say how often each submission did. Workers load this module
with ``--include``.
"""

from __future__ import annotations

import threading
from collections import Counter

from tests.sandbox import Reply, Request, json_reply
from worker import request
from worker.operation import Steps, operation
from worker.provider import Breaker, Caching, Provider, Rate, Retry, Timeouts
from worker.submissions.submission import Accepted, IdempotencyKey, Submission, Submits, header_tag

__all__ = [
    "ASKED",
    "DESKS",
    "KEPT",
    "ONCE",
    "PROVIDERS",
    "TRUSTED",
    "Desk",
    "file",
    "hand_in",
    "lay",
    "look_then_report",
    "report",
    "report_then_look",
]

NOWHERE = "http://127.0.0.1:9"
NEVER = Breaker(failures=None)
PATIENCE = Timeouts(connect=1.0, read=2.0, total=3.0)
FEW = Retry(attempts=3, first=0.2, most=0.4, budget=None)

ONCE = Provider(
    name="once", base_url=NOWHERE, breaker=NEVER, retry=FEW, timeouts=PATIENCE, rate=Rate(calls=100, burst=20)
)
ASKED = Provider(name="asked", base_url=NOWHERE, breaker=NEVER, retry=FEW, timeouts=PATIENCE)
TRUSTED = Provider(name="trusted", base_url=NOWHERE, breaker=NEVER, retry=FEW, timeouts=PATIENCE)
KEPT = Provider(
    name="kept",
    base_url=NOWHERE,
    breaker=NEVER,
    retry=FEW,
    timeouts=PATIENCE,
    caching=Caching(memory=60.0, redis=60.0),
)
PROVIDERS = (ONCE, ASKED, TRUSTED, KEPT)


def details(note: str, idempotency_key: str | None = None) -> dict[str, str]:  # noqa: ARG001
    """What may be seen from the start."""
    return {"agency": "DOT"}


def in_body(sent: request.Request, submission_id: str) -> request.Request:
    """The request with the submission's id where the desk writes it down."""
    from dataclasses import replace

    return replace(sent, data={**sent.data, "reference": submission_id})


def _posted(note: str) -> Steps[Accepted]:
    answer = yield request.Request(method="POST", path="/requests", data={"note": note})
    return Accepted(external_id=answer.data["number"], external_status="open", settled=False)


def look(known: Submission, note: str, idempotency_key: str | None = None) -> Steps[Accepted | None]:  # noqa: ARG001
    """What the desk has under the submission's id."""
    answer = yield request.Request(path="/requests", params={"reference": known.id})
    found = answer.data["found"]
    return Accepted(external_id=found[0], external_status="open", settled=False) if found else None


@operation(ONCE, submission=Submits(details=details, tag=in_body))
def report(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Submitted to a desk that can be asked nothing."""
    return (yield from _posted(note))


@operation(ASKED, submission=Submits(resend="verify", verify=look, after=0.5, within=60.0, tag=in_body))
def file(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Submitted to a desk that says what it has."""
    return (yield from _posted(note))


@operation(TRUSTED, submission=Submits(resend="idempotent", tag=header_tag("Idempotency-Key")))
def hand_in(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Submitted to a desk that takes each only once."""
    return (yield from _posted(note))


@operation(KEPT, submission=Submits(resend="verify", verify=look, after=0.5, within=60.0, tag=in_body))
def lay(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Submitted to a desk whose answers are kept."""
    return (yield from _posted(note))


@operation(ONCE, submission=Submits(tag=in_body))
def report_then_look(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Submitted to a desk that is asked for more once it took it."""
    taken = yield from _posted(note)
    yield request.Request(path="/requests", params={"reference": "another"})
    return taken


@operation(ONCE, submission=Submits(tag=in_body))
def look_then_report(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Submitted to a desk that is asked for something before."""
    yield request.Request(path="/requests", params={"reference": "another"})
    return (yield from _posted(note))


class Desk:
    """Takes requests and gives each a number.

    Attributes:
        arrived: How often each note was taken.
        asked: How often a request to take one came, taken or not.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self.arrived: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self._numbers: dict[str, str] = {}

    async def answer(self, request: Request) -> Reply:
        """A number for what is handed in; the numbers under a reference for who asks."""
        with self._lock:
            if request.method == "GET":
                number = self._numbers.get(request.params.get("reference", ""))
                return json_reply({"found": [number] if number else []})
            given = request.json()
            self.asked[given["note"]] += 1
            name = request.headers.get("idempotency-key") or given.get("reference", "")
            if self.name == TRUSTED.name and name in self._numbers:
                return json_reply({"number": self._numbers[name]})
            self.arrived[given["note"]] += 1
            number = f"{self.name}-{sum(self.arrived.values())}"
            self._numbers[name] = number
            return json_reply({"number": number}, status=201)

    def failure(self, status: int) -> Reply:
        """Few words."""
        return json_reply({"error": "out_of_order"}, status=status)


DESKS = {provider.name: Desk(provider.name) for provider in PROVIDERS}
