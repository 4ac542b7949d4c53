"""From a dead letter back to its call: what is written when the call is to be made again.

The call keeps its task id and its trace, and starts with no attempt used, in the lane ``replay``. It is the
task alone: a chain or a chord that broke when the call failed is not taken up again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.context import from_header, to_header
from worker.errors import ArgumentsInvalid, NarrowsError
from worker.formats import is_newer
from worker.letters.letter import replays_of
from worker.redaction import excerpt, masked
from worker.sealing.sealer import Sealer, is_sealed
from worker.submissions.ledger import idempotency_key, noted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celery import Celery

    from worker.bulk.template import Template
    from worker.task import GuardedTask

__all__ = ["Calls", "LetterCall", "Unfit"]

LANE = "replay"


class Unfit(Exception):
    """This letter cannot be made into a call; the text says why, the word is for programs."""

    def __init__(self, word: str, text: str) -> None:
        super().__init__(text)
        self.word = word


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterCall:
    """A letter's call, ready to be written.

    Attributes:
        message: As :func:`worker.message.frozen` writes it.
        noted: What the ledger is to know of a submission, "" for other calls.
        doubtful: It died in doubt, so only a ledger that knows better lets it out.
    """

    task_id: str
    message: str = field(repr=False)
    noted: str = field(repr=False)
    doubtful: bool


class Calls:
    """Makes calls, or other letters, of one provider's letters."""

    def __init__(self, app: Celery, provider: str, sealer: Sealer) -> None:
        self._app, self._provider, self._sealer = app, provider, sealer
        self._templates: dict[str, Template] = {}

    def made(self, letter: Mapping[str, Any]) -> LetterCall:
        """The call of *letter*.

        Raises:
            Unfit: Its task is not here, its arguments do not fit any more, or it is no letter.
        """
        task = self._task(letter)
        try:
            clear, named = self.opened(letter)
            task.operation.checked(tuple(clear), named)
            submission = noted(task.operation, clear, named)
            message = self._message(task, letter)
            letter["id"].encode()  # a lone surrogate cannot stand in Redis
        except NarrowsError as wrong:
            raise Unfit("invalid", str(wrong)) from None
        except (TypeError, ValueError, RecursionError):
            raise Unfit("invalid", f"{task.name}: its letter is not whole") from None
        return LetterCall(
            task_id=letter["id"],
            message=message,
            noted=submission,
            doubtful=letter.get("code") == "in_doubt",
        )

    def opened(self, letter: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of *letter* in clear.

        Raises:
            Unfit: There are none that can be read.
            NarrowsError: They are sealed, and no key here opens them.
        """
        clear, named = self._sealer.open(str(letter.get("task")), *_arguments(letter))
        return list(clear), dict(named)

    def changed(
        self, letter: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """*letter* with other arguments, checked, and sealed where the old ones were or should be.

        Its generations begin anew: it has not been replayed with these.

        Raises:
            ArgumentsInvalid: The task does not take them, or is not here.
            NarrowsError: The old ones are sealed, and no key here opens them.
        """
        try:
            task = self._task(letter)
        except Unfit as why:
            raise ArgumentsInvalid(str(why)) from None
        if is_sealed(letter.get("args")):
            self.opened(letter)
        operation = task.operation
        clear, named = operation.checked(tuple(args), kwargs)
        if operation.submission is not None and self._key(task, letter) != idempotency_key(
            operation, clear, named
        ):
            text = "idempotency_key: stays as it is; it says which submission this is"
            raise ArgumentsInvalid(f"{operation.name}: {text}")
        kept, kept_named = self._sealer.seal(task.name, clear, named)
        if is_sealed(letter.get("args")) and not is_sealed(kept):
            text = "its arguments are sealed, and NARROWS_SEALED_TASKS does not name it here"
            raise ArgumentsInvalid(f"{operation.name}: {text}; they would lie in clear")
        return {
            **letter,
            "args": list(kept),
            "kwargs": dict(kept_named),
            "payload_excerpt": excerpt(operation, kept, kept_named),
            "replays": 0,
        }

    def version(self, letter: Mapping[str, Any]) -> dict[str, Any]:
        """What the audit stream keeps of *letter*: its arguments, sealed where its task's should be.

        Raises:
            NarrowsError: They are sealed in part, and no key here opens them.
        """
        task, args, kwargs = (letter.get(name) for name in ("task", "args", "kwargs"))
        if self._sealer.seals(str(task)):
            whole = isinstance(args, list) and isinstance(kwargs, dict)
            given = (args, kwargs) if whole else ([args, kwargs], {})  # misshapen ones are private, too
            args, kwargs = self._sealer.seal(str(task), *given)
        return {"task": task, "args": args, "kwargs": kwargs}

    def _key(self, task: GuardedTask, letter: Mapping[str, Any]) -> str | None:
        try:
            return idempotency_key(task.operation, *self.opened(letter))
        except (TypeError, Unfit):  # arguments that fit no parameter, or are none, name none
            return None

    def _task(self, letter: Mapping[str, Any]) -> GuardedTask:
        name = letter.get("task")
        if not isinstance(name, str) or not isinstance(letter.get("id"), str) or not letter["id"]:
            raise Unfit("invalid", "this is no letter that can be read")
        if is_newer(letter):
            raise Unfit("unknown_task", f"{name}: a newer version wrote this letter, and knows what it says")
        task = self._app.tasks.get(name)
        if not getattr(task, "guarded", False) or task.operation.provider.name != self._provider:
            raise Unfit("unknown_task", f"{self._provider} has no task {name!r} here")
        found: GuardedTask = task
        return found

    def _message(self, task: GuardedTask, letter: Mapping[str, Any]) -> str:
        from worker.engine import engine

        task_id, template = letter["id"], self._templates.get(task.name)
        if template is None:
            template = self._templates[task.name] = self._app.amqp.template(task, lane=LANE)
        given = _arguments(letter)
        text = template.filled(
            task_id, *self._sealer.seal(task.name, *given), *masked(task.operation, *given)
        )
        headers, *rest = json.loads(text)
        headers |= {"root_id": task_id, "parent_id": None}  # not those of the task that replays
        origin, replays = from_header(letter), replays_of(letter) + 1
        headers["narrows"] = {
            **{name: headers["narrows"][name] for name in ("v", "at", "lane", "recorded")},
            **to_header(origin),
            "replays": replays,
            **engine().tracer.replayed(task.name, origin.trace_id, replays),
        }
        return json.dumps([headers, *rest], separators=(",", ":"))


def _arguments(letter: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = letter.get("args"), letter.get("kwargs")
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise Unfit("invalid", "its arguments cannot be read")
    return args, kwargs
