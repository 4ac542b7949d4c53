"""Finds out what became of each slip, from all that can be asked about it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from io import StringIO

from tests.chaos.desk import Desk
from tests.chaos.endings import Ending, Told
from tests.chaos.slips import Send, Slip
from worker.application import app
from worker.cli.root import run
from worker.engine import engine
from worker.submissions.ledger import Ledger
from worker.submissions.submission import STATES, Submission

__all__ = ["endings"]


def endings(
    made: Iterable[Slip],
    wishes: Iterable[Iterable[Send]],
    ids: Mapping[str, str],
    desks: Mapping[str, Desk],
) -> list[Ending]:
    """What became of each of *made*.

    Args:
        made: All slips.
        wishes: What each producer sent.
        ids: The task id of each wish that was taken, by the wish's own.
        desks: Who took them.
    """
    tasks = defaultdict[str, set[str]](set)
    for send in (send for part in wishes for send in part):
        if send.task_id in ids:
            tasks[send.slip.note].add(ids[send.task_id])
    books = {slip.desk: _Book(slip.desk) for slip in made}
    return [books[slip.desk].ending(slip, tasks[slip.note], desks[slip.desk]) for slip in made]


def shown(name: str) -> set[str]:
    """The ids that ``narrows submission list`` shows to a person who has to decide."""
    out = StringIO()
    with redirect_stdout(out):
        code = run(["submission", "list", name, "--state", "in_doubt", "--limit", "1000", "--json"])
    assert code == 0, out.getvalue()
    return {str(each["id"]) for each in json.loads(out.getvalue())["submissions"]}


class _Book:
    """What one provider's ledger lists, and its dead letters."""

    def __init__(self, name: str) -> None:
        self._ledger: Ledger = engine().ledger(name)
        self._shown = shown(name)
        self._listed = defaultdict[str, list[str]](list)
        for state in STATES:
            for known in self._ledger.listed(state):
                self._listed[known.id].append(state)
        self._letters = defaultdict[str, list[str]](list)
        for letter in engine().dead_letters(name):
            self._letters[str(letter["id"])].append(str(letter["code"]))

    def ending(self, slip: Slip, tasks: Iterable[str], desk: Desk) -> Ending:
        names = sorted(tasks)
        told = [_told(each) for each in names]
        found = [self._ledger.get(each) for each in names]
        # a task that only repeated a submission is forgotten when it has ended; its result names the first
        ids = {_named(each, one, said) for each, one, said in zip(names, found, told, strict=True)}
        one = next((one for one in found if one), None)
        return Ending(
            note=slip.note,
            desk=slip.desk,
            ids=tuple(sorted(ids)),
            arrived=desk.arrived[slip.note],
            numbers=frozenset(desk.numbers[slip.note]),
            state=one.state if one else None,
            external_id=one.external_id if one else None,
            listed=tuple(self._listed[one.id] if one else ()),
            shown=one is not None and one.id in self._shown,
            letters=tuple(code for each in {*ids, *names} for code in self._letters[each]),
            told=tuple(told),
        )


def _named(task_id: str, known: Submission | None, told: Told) -> str:
    return known.id if known else str((told.result or {}).get("submission_id", f"none for {task_id}"))


def _told(task_id: str) -> Told:
    result = app.AsyncResult(task_id)
    state, value = result.state, result.result
    if isinstance(value, Mapping):
        return Told(state=state, result=value)
    return Told(state=state, error=type(value).__name__ if isinstance(value, BaseException) else "")
