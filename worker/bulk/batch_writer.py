"""Writes one batch of calls into its provider's line, a few hundred to a round trip.

Calls are built while the last few hundred are on their way, in a thread of their own. How far the batch is
goes with them, in one transaction (``lua/batch.lua``): who does it again after a crash goes on from there.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from redis.exceptions import RedisError, ResponseError

from worker.bulk.batch import BatchIds
from worker.errors import ArgumentsInvalid, EnqueueFailed
from worker.record import KeyUsed, Records
from worker.redaction import masked
from worker.scripts import script
from worker.submissions.ledger import noted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.bulk.template import Template
    from worker.engine import Engine
    from worker.stores import Line
    from worker.task import GuardedTask

__all__ = ["KEPT", "BatchWriter"]

KEPT = 30 * 86_400_000
"""Milliseconds for which a batch's name is remembered."""


class BatchWriter:
    """One batch on its way into the line.

    Attributes:
        before: Calls that an earlier run enqueued.
        certain: Calls that are in, from the first one on.
        new: Those of them that were not there already.
    """

    def __init__(
        self,
        engine: Engine,
        task: GuardedTask,
        batch_id: str,
        template: Template,
        *,
        lane: str,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._operation, self._template, self._lane = task.operation, template, lane
        self._name, self._sealer = task.name, engine.sealer
        self._batch_id, self._progress = batch_id, progress
        self._ids = BatchIds(task.name, batch_id)
        self._noted = _Noted(engine.line, engine.records(task.operation.provider.name), self._ids.name)
        self._records = Records(engine.state, self._noted, task.operation.provider.name)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="enqueue_many")
        self._sent: tuple[Future[int], int] | None = None
        self.new = self.certain = self.before = 0

    def __enter__(self) -> Self:
        """The writer, which knows what an earlier run did."""
        self.certain = self.before = self._asked(self._noted.through)
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what is on its way."""
        self._thread.shutdown()

    def message(self, number: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, str, str]:
        """Id and message of a call, and what is noted of a submission.

        Raises:
            ArgumentsInvalid: names the argument and what it takes.
        """
        taken, named = self._operation.checked(args, kwargs)
        task_id = self._ids[number]
        shown = masked(self._operation, taken, named)
        text = self._template.filled(task_id, *self._sealer.seal(self._name, taken, named), *shown)
        return task_id, text, noted(self._operation, taken, named)

    def refused(self, number: int, wrong: ArgumentsInvalid) -> ArgumentsInvalid:
        """What to say of a call whose arguments are *wrong*, once those that were sent are in."""
        self.settle()
        far = f"{self.certain} calls before it were enqueued"
        return ArgumentsInvalid(f"call {number}: {wrong}; {far}, {self._how_on}")

    def send(self, calls: list[tuple[str, str, str]], count: int) -> None:
        """Send *calls*, the last of the first *count*, once those before them are in."""
        self.settle()
        if calls:
            self._sent = self._thread.submit(self._park, calls, count), count

    def settle(self) -> None:
        """Wait until all that was sent is in."""
        if self._sent is None:
            return
        (sent, count), self._sent = self._sent, None
        self.new += self._asked(sent.result)
        self.certain = count
        if self._progress is not None:
            self._progress(count)

    def _park(self, calls: list[tuple[str, str, str]], count: int) -> int:
        self._noted.count, self._noted.last = count, calls[-1][0]
        try:
            return self._records.park(calls, lane=self._lane, expires=self._template.expires)
        except KeyUsed as wrong:
            number = count - len(calls) + wrong.place
            raise ArgumentsInvalid(
                f"call {number}: {wrong}; those around it are in, {self._how_on}"
            ) from None

    def _asked(self, what: Callable[[], int]) -> int:
        try:
            return what()
        except RedisError as gone:
            text = f"the state Redis does not answer ({type(gone).__name__})"
            raise EnqueueFailed(f"{text}; {self.certain} calls are in for certain, {self._how_on}") from None

    @property
    def _how_on(self) -> str:
        return f"and the same calls under batch_id={self._batch_id!r} go on after them"


class _Noted:
    """Sends a script that enqueues calls, and notes in the same transaction how far the batch is."""

    def __init__(self, line: Line, records: Records, batch: str) -> None:
        self._line, self._keys = line, records.keys
        self._name = self._keys.batch(batch)
        self.count, self.last = 0, ""

    def through(self) -> int:
        """How many calls are in, from the first one on."""
        return int(self._line.execute_command("GET", self._name) or 0)

    def execute_command(self, *command: Any) -> Any:
        """The reply to *command*."""
        noting = ("EVAL", script("batch").text, 2, self._name, self._keys.call(self.last), self.count, KEPT)
        *_, done = self._line.execute_commands([("MULTI",), command, noting, ("EXEC",)])
        reply = done if isinstance(done, ResponseError) else done[0]
        if isinstance(reply, ResponseError):
            raise reply
        return reply
