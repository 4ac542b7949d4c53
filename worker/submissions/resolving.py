"""A person's decision on a submission in doubt, carried out.

1. The ledger and the dead letter change in one step: whatever is killed, a submission is in doubt and has its
   letter, or is decided and has none.
2. Accepted, the task's result becomes what the submission now is. Whoever was killed before that says the
   same again, and it is done.
3. Sent again, the call stands in line in place of its letter, in one step too.

A submission that its provider is still being asked about has no letter: its call finds what was decided when
its turn comes, and ends by itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from celery import states

from worker.letters.letter import letter_of
from worker.submissions.finding import find

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from worker.engine import Engine
    from worker.letters.deadletter import DeadLetters
    from worker.submissions.submission import Submission

__all__ = ["CHECK", "Answer", "Resolver", "Verdict"]

Answer = Literal["accepted", "rejected", "resend"]

Verdict = Literal["resolved", "lives", "decided", "running", "no_letter", "unfit", "moved", "gone"]

CHECK = "check_service_request"
"""The operation by which a provider is asked how what it accepted stands (``tasks/polling.py``)."""

LOOKS = 5
"""Times that letter and record are looked at when others move them meanwhile."""

PAGE = 500


class Resolver:
    """Carries out what a person decided.

    Args:
        engine: Has ledgers and dead letters.
        app: Has the tasks and their results.
        asking: Hears whose Redis is asked next, ``state`` or ``result``.
    """

    def __init__(self, engine: Engine, app: Celery, *, asking: Callable[[str], object] = str) -> None:
        self._engine, self._app, self._asking = engine, app, asking

    def resolve(
        self, known: Submission, answer: Answer, *, by: str, external_id: str = "", settled: bool = False
    ) -> tuple[Verdict, str]:
        """What came of it, and more words on that.

        ``resolved``; ``lives``: resolved, and its call goes on with that when its turn comes. Otherwise
        nothing was done. ``decided``: it is not in doubt, but in the state that is told. ``running``: a
        worker is at it just now. ``no_letter``: its arguments are gone with its letter. ``unfit``: they
        cannot be sent, and why. ``moved``: others are at it. ``gone``: nobody remembers it.

        Args:
            known: The submission.
            answer: What was decided.
            by: Who decided, for the audit.
            external_id: The provider's name for what it accepted.
            settled: The provider will say no more of it, so it is not asked how it stands.

        Raises:
            RedisError: It may have been resolved all the same; say it again.
        """
        self._asking("state")
        for _ in range(LOOKS):
            now = find(self._engine, known.id, [known.provider])
            if now is None:
                return "gone", ""
            verdict, more = self._once(now, answer, by, external_id, settled=settled)
            if verdict != "moved":
                break
        if verdict == "resolved" and answer == "accepted":
            self._tell(known)
        return verdict, more

    def _once(
        self, known: Submission, answer: Answer, by: str, external_id: str, *, settled: bool
    ) -> tuple[Verdict, str]:
        ledger, letters = self._engine.ledger(known.provider), self._letters(known.provider)
        lives = ledger.lives(known.id)
        raws = [] if lives else _of(letters, known.id)
        if answer == "resend" and not lives:
            return _sent_again(letters, raws, known, by)
        word = ledger.resolve(
            known.id,
            "queued" if answer == "resend" else answer,
            by=by,
            external_id=external_id,
            is_open=not settled and f"{known.provider}.{CHECK}" in self._app.tasks,
            lives=lives,
            letters=raws,
        )
        if word == "resolved":
            return ("lives" if lives else "resolved"), ""
        if word == "running":
            return "running", ""
        if word == "moved":
            return "moved", ""
        return ("decided", word) if word else ("gone", "")

    def _letters(self, provider: str) -> DeadLetters:
        from worker.letters.deadletter import DeadLetters

        return DeadLetters(self._engine.state, provider, app=self._app, sealer=self._engine.sealer)

    def _tell(self, known: Submission) -> None:
        """Make the task's failure the success that it turned out to be."""
        now = find(self._engine, known.id, [known.provider])
        if now is not None:
            self._asking("result")
            self._app.backend.store_result(now.id, now.told, states.SUCCESS)


def _of(letters: DeadLetters, task_id: str) -> list[bytes]:
    """The letters of that call, as they lie there."""
    name = json.dumps(task_id).encode()  # as it lies there: most letters need not be read
    found = [raw for page in letters.pages(PAGE) for raw in page if name in raw]
    return [raw for raw in dict.fromkeys(found) if letter_of(raw).get("id") == task_id]


def _sent_again(letters: DeadLetters, raws: list[bytes], known: Submission, by: str) -> tuple[Verdict, str]:
    """What came of putting the call in line in place of its letter."""
    if known.state != "in_doubt":
        return "decided", known.state
    if not raws:
        return "no_letter", ""
    (word,) = letters.replay(raws[-1:], by=by, resolved=True)
    if word == "parked":
        return "resolved", ""
    if word in {"unknown_task", "invalid"}:
        return "unfit", letters.refusal(raws[-1]) or word
    return ("decided", word) if word == "accepted" else ("moved", "")
