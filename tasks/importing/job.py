"""One import, step by step; ``tasks/importing/__init__.py`` says why it goes this way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from tasks.arguments.moments import before
from tasks.importing import pages
from tasks.importing.checkpoint import Checkpoint, Chunk, Standing
from tasks.importing.desk import Desk
from worker.errors import CallDeferred, ResponseTooLarge
from worker.steps import Do, Progress, Safe, Steps

if TYPE_CHECKING:
    from tasks.importing.files import Files
    from worker.request import Answer

__all__ = ["Imported", "Job", "Marks", "RedisMarks"]

SHORT_TURN = 2.0
"""Seconds that an import goes on though others wait."""

LONGER = 86_400.0
"""Seconds beyond the overlap for which rows are remembered: a replica may be that far behind and none comes
twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import brought.

    Attributes:
        dataset: The data set's four-by-four.
        place: Where its files are.
        manifest: The address of the manifest that names them; None when another import ended before this one
            could, and brought its rows.
        rows: Rows that were written; *skipped* were delivered before.
        may_repeat: Rows that the next import may bring again, being more than are remembered.
        files: How many.
        since: Rows were asked for that changed then or later, ISO 8601 in UTC; None is all.
        watermark: Where the next import goes on; None when no row was seen yet.
    """

    dataset: str
    place: str
    manifest: str | None
    rows: int
    skipped: int
    may_repeat: int
    files: int
    since: str | None
    watermark: str | None


class Marks(Protocol):
    """Where it is kept how far a data set was brought to a sink."""

    def read(self) -> Steps[str]:
        """The watermark, ISO 8601 in UTC; "" when there is none."""

    def move(self, moment: str) -> Steps[None]:
        """Have it at *moment*, unless it is later already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisMarks:
    """Beside the checkpoint, which moves it when the import ends."""

    desk: Desk

    def read(self) -> Steps[str]:
        """One round trip."""
        stands: Standing = yield Do(self.desk.standing)
        return stands.mark

    def move(self, moment: str) -> Steps[None]:  # noqa: ARG002
        """Nothing: the desk does it in the step that ends the import."""
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One import as it is wanted here.

    Attributes:
        since: From when on rows are wanted, for an import that stands for itself; None goes on from the
            watermark.
        overlap: Seconds that it goes back behind that.
        limit: Rows of a page and of a file.
        turn: Seconds after which it gives its slot to others, where its task can be published again.
        others: Whether calls wait that go before it, and have the slot sooner.
    """

    provider: str
    dataset: str
    import_id: str
    since: str | None
    desk: Desk
    files: Files
    marks: Marks
    overlap: float = 3600.0
    limit: int = 10_000
    turn: float | None = None
    others: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic
    today: Callable[[], datetime] = lambda: datetime.now(UTC)

    def run(self) -> Steps[Imported]:
        """Bring what is left of it, and tell."""
        began = self.clock()
        yield Do(self.files.ready)
        at: Checkpoint = (yield Do(self.desk.known)) or (yield from self._planned())
        if not at.ended:
            at = yield from self._brought(at, began)
        if not at.ended:
            return replace(self._told(at), manifest=None)
        if not at.settled:
            yield from self._settled()
        return self._told(at)

    def _planned(self) -> Steps[Checkpoint]:
        while (stands := (yield Do(self.desk.standing))).owed:
            yield from self._settled(stands.owed)
        mark = self.since if self.since is not None else (yield from self.marks.read())
        since = before(mark, self.overlap) if mark else ""
        if since and stands.recall:  # what is not remembered any more would come twice
            since = max(since, min(stands.recall, before(mark, 0)))
        return Checkpoint(base=stands.ends, mark=stands.mark, since=since)

    def _brought(self, plan: Checkpoint, began: float) -> Steps[Checkpoint]:
        """The import, ended unless another has ended behind it."""
        yield Do(self.desk.free)
        # The question also claims the call: a message that the broker doubled goes no further than here.
        answer = yield pages.count(self.dataset, plan.since)
        entered = self._counted(plan, answer)
        taken: Checkpoint | None = yield Do(lambda: self.desk.enter(entered))
        if taken is None:
            return plan
        at = taken
        while not at.complete:
            yield Progress(done=at.rows + at.skipped, total=max(at.total, at.rows + at.skipped))
            at = yield from self._page(at)
            if not at.complete:
                yield from self._rest(began)
        yield Progress(done=at.rows + at.skipped, total=at.rows + at.skipped)
        ended: Checkpoint = yield Do(lambda: self.desk.end(at))
        return ended

    def _counted(self, plan: Checkpoint, answer: Answer) -> Checkpoint:
        if plan.folder:
            return plan
        count, truth = pages.counted(answer), answer.headers.get(pages.TRUTH, "")
        plan = self._seen(replace(plan, newest=count.newest, truth_first=truth, truth_last=truth))
        return replace(
            plan,
            total=count.total,
            recall=before(plan.floor, LONGER) if plan.floor else "",
            folder=f"{self.today():%Y%m%dT%H%M%SZ}-{self.import_id}",
            kind=self.files.kind,
            limit=self.limit,
        )

    def _seen(self, at: Checkpoint) -> Checkpoint:
        """*at*, with what follows from where the next import goes on."""
        return replace(at, floor=before(at.until, self.overlap) if at.until else "")

    def _rest(self, began: float) -> Steps[None]:
        """Leave the slot when the turn is over; the call stands in line again, and goes on from there.

        A turn is short while others wait who go before it, but not so short that it is mostly spent on
        asking how many rows there are.
        """
        spent = self.clock() - began
        if self.turn is None or spent < min(SHORT_TURN, self.turn):
            return
        if spent > self.turn or (yield Do(self.others)):
            text = f"{self.provider}: the import of {self.dataset} goes on in its next turn"
            raise CallDeferred(text, provider=self.provider)

    def _page(self, at: Checkpoint) -> Steps[Checkpoint]:
        try:
            answer = yield pages.page(self.dataset, at.since, at.after, limit=at.limit)
        except ResponseTooLarge:
            if at.limit == 1:
                raise
            halved = replace(at, limit=at.limit // 2)
            goes_on: Checkpoint = yield Do(lambda: self.desk.commit(halved))
        else:
            goes_on = yield Do(lambda: self._kept(at, answer))
        yield Safe()
        return goes_on

    def _kept(self, at: Checkpoint, answer: Answer) -> Checkpoint:
        """The import after the rows of *answer*, those of them that are new in a file."""
        rows = pages.rows_of(answer, after=at.after)
        unseen, columns = self.desk.unseen(rows), tuple(sorted({*at.columns, *pages.columns_of(answer)}))
        chunk = None
        if unseen:
            name = self.files.keep(at.folder, len(at.chunks) + 1, unseen, columns)
            chunk = Chunk(name=name, rows=len(unseen))
        newest = min(at.newest, pages.known_until(answer) or at.newest)
        then = replace(
            self._seen(replace(at, newest=newest)),
            after=rows[-1][pages.ID] if rows else at.after,
            complete=len(rows) < at.limit,
            skipped=at.skipped + len(rows) - len(unseen),
            columns=columns,
            truth_last=answer.headers.get(pages.TRUTH, at.truth_last),
        )
        return self.desk.commit(then, rows, chunk)

    def _settled(self, owed: str = "") -> Steps[None]:
        """Write the manifest of an import that counts, and say where the next one goes on.

        It is this one; or that of the key *owed*, into the same sink, which was stopped before it could.
        """
        at: Checkpoint | None = yield Do(lambda: self.desk.known(owed))
        if at is not None:
            yield Do(lambda: self.files.seal(at.folder, self._manifest(at)))
            if self.since is None and at.newest:
                yield from self.marks.move(at.newest)
        yield Do(lambda: self.desk.settle(owed))

    def _manifest(self, at: Checkpoint) -> dict[str, Any]:
        truth = (at.truth_first or None, at.truth_last or None)
        told = {**asdict(self._told(at)), "format": at.kind, "truth_last_modified": truth}
        return {**told, "columns": at.columns, "files": [asdict(chunk) for chunk in at.chunks]}

    def _told(self, at: Checkpoint) -> Imported:
        place = self.files.place(at.folder)
        return Imported(
            dataset=self.dataset,
            place=place,
            manifest=f"{place}/manifest.json",
            rows=at.rows,
            skipped=at.skipped,
            may_repeat=at.forgotten,
            files=len(at.chunks),
            since=at.since or None,
            watermark=at.until or None,
        )
