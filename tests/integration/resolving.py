"""A person's decision, by processes that are killed at every line of it.

    python -m tests.integration.resolving redis://…

prints as JSON, for each answer, at how many lines somebody was killed and what was wrong after that.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.result import AsyncResult

from tests.integration.quay import AT, Quay, declared
from tests.mortal import die_at
from worker.submissions.resolving import Answer, Resolver

PLACES = (
    *(f"worker/submissions/resolving.py:{name}" for name in ("resolve", "_once", "_tell", "_sent_again")),
    "worker/submissions/ledger.py:resolve",
    "worker/letters/deadletter.py:_move",
)
ANSWERS: dict[Answer, str] = {"accepted": "accepted", "rejected": "rejected", "resend": "queued"}
MOST = 500


def decision(here: Quay, name: str, answer: Answer) -> Callable[[], object]:
    """What carries the decision out."""
    known = here.ledger.get(name)
    assert known is not None
    external_id = "311-7" if answer == "accepted" else ""
    resolver = Resolver(here.engine, here.app)
    return partial(resolver.resolve, known, answer, by="ann", external_id=external_id)


def killed(url: str, name: str, answer: Answer, line: int) -> bool:
    """Whether a process that was to be killed at that line was; otherwise it had no such line."""
    child = os.fork()
    if not child:
        try:
            decide = decision(Quay(url=url), name, answer)
            die_at(line, PLACES)
            decide()
        finally:
            sys.settrace(None)
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def wrong(here: Quay, name: str, answer: Answer, *, over: bool) -> list[str]:
    """What is lost, doubled or left half-way; when it is *over*, also what is not done."""
    state, letters = here.state(name), here.letters().count(name)
    parked = here.engine.state.zscore(AT.parked, name) is not None
    whole = (state, letters, parked) == (ANSWERS[answer], 0, answer == "resend")
    if over:
        told = AsyncResult(name, app=here.app)
        whole = whole and (answer != "accepted" or told.get(timeout=5)["external_id"] == "311-7")
    else:
        whole = whole or (state, letters, parked) == ("in_doubt", 1, False)
    return [] if whole else [f"{name}: {state}, {letters} letters, parked: {parked}, over: {over}"]


def tried(url: str, answer: Answer) -> dict[str, Any]:
    """At how many lines somebody was killed, and what was wrong."""
    here, problems, line = Quay(url=url), list[str](), 0
    while line < MOST:
        line += 1
        name = f"{answer}-{line}"
        here.doubted(name)
        if not killed(url, name, answer, line):
            break
        problems += wrong(here, name, answer, over=False)
        decision(here, name, answer)()
        problems += wrong(here, name, answer, over=True)
    audited = [each.ids[0] for each in here.engine.dead_letters("quay").audit(10_000)]
    twice = [name for name in set(audited) if audited.count(name) != 1]
    return {"lines": line - 1, "problems": problems + twice}


if __name__ == "__main__":
    with declared():
        print(json.dumps({answer: tried(sys.argv[1], answer) for answer in ANSWERS}))  # noqa: T201 - its answer
