"""A provider to which something is submitted, and its submissions put into any state by the real scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from celery import Celery

from config.celery import celery_settings
from tests.integration.deployment import Deployment, letter
from worker import registry
from worker.application import app
from worker.claim import Claim
from worker.cli.desk import Desk
from worker.cli.root import run
from worker.errors import CallInDoubt
from worker.gate import Decision, Gate, Report
from worker.keys import keys
from worker.operation import Steps, operation
from worker.provider import Breaker, Provider
from worker.record import Records
from worker.request import Request
from worker.submissions.ledger import Ledger, noted
from worker.submissions.submission import Accepted, IdempotencyKey, Submission, Submits

__all__ = ["AT", "CANARY", "QUAY", "Quay", "declared"]

QUAY = Provider(name="quay", base_url="http://127.0.0.1:9", breaker=Breaker(failures=None))
AT = keys(QUAY.name)
CANARY = "canary-person"
"""Stands in every payload, and nowhere in what is shown."""


def details(note: str, idempotency_key: str | None = None) -> dict[str, str]:  # noqa: ARG001
    """What may be seen from the start."""
    return {"agency": "DOT"}


def lodge(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Submitted to somebody who can be asked nothing."""
    answer = yield Request(method="POST", path="/papers", data={"note": note})
    return Accepted(external_id=answer.data["number"], settled=False)


def enter(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:
    """Submitted to somebody who says what there is."""
    return (yield from lodge(note, idempotency_key))


def look(known: Submission, note: str, idempotency_key: str | None = None) -> Steps[Accepted | None]:  # noqa: ARG001
    """Nothing, always."""
    yield Request(path=f"/papers/{known.id}")
    return None


def check_service_request(external_id: str) -> Steps[dict[str, Any]]:
    """How it stands."""
    answer = yield Request(path=f"/papers/{external_id}")
    return dict(answer.data)


@contextmanager
def declared() -> Iterator[None]:
    """The provider and its tasks, known as long as this lasts."""
    made = [
        operation(QUAY, submission=Submits(details=details))(lodge),
        operation(QUAY, submission=Submits(resend="verify", verify=look, details=details))(enter),
        operation(QUAY)(check_service_request),
    ]
    yield
    for task in made:
        app.tasks.unregister(task.name)
    del registry._providers[QUAY.name]


@dataclass(kw_only=True)
class Quay(Deployment):
    """A deployment that has this provider's tasks. *now* is the ledger's clock, the server's unless held."""

    now: Callable[[], int | str] = str

    @cached_property
    def app(self) -> Celery:
        """An application of its own, with the provider's tasks and results."""
        made = Celery("quay", amqp="worker.sealing.messages:SealedAMQP", set_as_current=False)
        made.conf.update(celery_settings(self.engine.settings))
        made.conf.result_backend = f"worker.results:Results+{self.url}"
        made.finalized = True  # or it would take up the tasks that applications of other tests share
        for name in ("lodge", "enter", "check_service_request"):
            made.tasks.register(app.tasks[f"{QUAY.name}.{name}"])
        return made

    @cached_property
    def ledger(self) -> Ledger:
        """The provider's ledger."""
        return Ledger(self.engine.state, self.engine.line, QUAY.name, now=self.now)

    @cached_property
    def quay(self) -> Gate:
        """The provider's gate."""
        return Gate(self.engine.line, QUAY, now=self.now)

    def narrows(self, *args: str) -> int:
        """The exit code of the command, run here; its output is the test's own."""
        return run(args, desk=Desk(self.engine, self.app))

    def queued(self, submission_id: str, *, name: str = "lodge", key: str | None = None) -> None:
        """A submission that no worker has seen."""
        task = app.tasks[f"{QUAY.name}.{name}"]
        known = noted(task.operation, [CANARY], {"idempotency_key": key} if key else {})
        records = Records(self.engine.state, self.engine.line, QUAY.name, now=self.now)
        records.write(submission_id, f'["{CANARY}"]', noted=known, behind=False)

    def begin(self, submission_id: str) -> tuple[Decision, Report, Claim]:
        """A worker got its message, and asks whether it may be sent."""
        claim = Claim(home=QUAY.name, task_id=submission_id, recorded=True, submits=Submits())
        return (*self.quay.begin(claim, patience=60.0, sends=True), claim)

    def sending(self, submission_id: str, **given: Any) -> tuple[Report, Claim]:
        """One on its way."""
        self.queued(submission_id, **given)
        return self.begin(submission_id)[1:]

    def accepted(self, submission_id: str, external_id: str, *, settled: bool = False, **given: Any) -> None:
        """One that the provider took."""
        report, claim = self.sending(submission_id, **given)
        self.ledger.accepted(submission_id, Accepted(external_id=external_id, settled=settled), details(""))
        self.quay.finish(report, claim, "end", submission="accepted")

    def doubted(self, submission_id: str, **given: Any) -> None:
        """One that was sent and given up, with its dead letter; its task has failed."""
        report, claim = self.sending(submission_id, **given)
        self.app.backend.mark_as_failure(submission_id, CallInDoubt("quay: nobody knows"))
        self.quay.finish(report, claim, "dead", letter=dead(submission_id), submission="in_doubt")

    def waiting(self, submission_id: str, seconds: float = 60.0) -> None:
        """One in doubt of which the provider is asked in so many seconds."""
        report, claim = self.sending(submission_id, name="enter")
        self.quay.finish(report, claim, "wait", wait=seconds, reason="in_doubt", submission="in_doubt")

    def letters(self) -> list[str]:
        """The ids of the dead letters."""
        return [str(each["id"]) for each in self.engine.dead_letters(QUAY.name)]

    def state(self, submission_id: str) -> str:
        """What the ledger says."""
        known = self.ledger.get(submission_id)
        return known.state if known else ""


def dead(submission_id: str, **changed: Any) -> str:
    """The letter of a submission that nobody knows of."""
    said: dict[str, Any] = {
        "task": "quay.lodge",
        "args": [CANARY],
        "kwargs": {},
        "provider": QUAY.name,
        "operation": "lodge",
        "code": "in_doubt",
        "status": None,
        "error": "quay: nobody knows",
        "payload_excerpt": "",
        "retryable": False,
    }
    return letter(submission_id, **{**said, **changed}).as_json()
