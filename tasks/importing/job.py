"""One import, step by step; ``tasks/importing/__init__.py`` says why it goes this way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from tasks.importing import pages
from tasks.importing.desk import Checkpoint, Chunk, Desk
from tasks.moments import before
from worker.errors import CallDeferred
from worker.steps import Do, Progress, Safe, Steps

if TYPE_CHECKING:
    from tasks.importing.files import Files
    from tasks.importing.pages import Row
    from worker.request import Answer

__all__ = ["Imported", "Job", "Marks", "RedisMarks"]

TRUTH = "x-soda2-truth-last-modified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import brought.

    Attributes:
        dataset: The data set's four-by-four.
        place: Where its files are.
        manifest: The address of the manifest that names them; None when a later import ended before this one
            could go on, and brought its rows.
        rows: Rows that were written; *skipped* were delivered before.
        may_repeat: Rows that the next import may bring again, being more than are remembered.
        files: How many.
        since: Rows were asked for that changed then or later, ISO 8601 in UTC; None is all.
        watermark: Where the next import goes on; None when this one had no row.
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
        mark: str = yield Do(self.desk.watermark)
        return mark

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
    clock: Callable[[], float] = time.monotonic
    today: Callable[[], datetime] = lambda: datetime.now(UTC)

    def run(self) -> Steps[Imported]:
        """Bring what is left of it, and tell."""
        began = self.clock()
        yield Do(self.files.ready)
        plan = (yield Do(self.desk.known)) or (yield from self._planned())
        if plan.ended:
            return self._told(plan)
        # The question also claims the call: a message that the broker doubled goes no further than here.
        answer = yield pages.count(self.dataset, plan.since)
        first, plan = answer.headers.get(TRUTH), self._counted(plan, answer)
        at: Checkpoint | None = yield Do(lambda: self.desk.enter(plan))
        if at is None:
            return replace(self._told(plan), manifest=None)
        last = first
        while not at.complete:
            yield Progress(done=at.rows + at.skipped, total=max(at.total, at.rows + at.skipped))
            at, last = yield from self._page(at)
            if not at.complete:
                self._rest(began)
        yield from self._end(at, (first, last))
        return self._told(at)

    def _planned(self) -> Steps[Checkpoint]:
        base: str = yield Do(self.desk.watermark)
        mark = self.since if self.since is not None else (yield from self.marks.read())
        return Checkpoint(base=base, since=before(mark, self.overlap) if mark else "")

    def _counted(self, plan: Checkpoint, answer: Answer) -> Checkpoint:
        if plan.folder:
            return plan
        count = pages.counted(answer)
        recall = before(count.newest, self.overlap) if count.newest and self.since is None else ""
        folder = f"{self.today():%Y%m%dT%H%M%SZ}-{self.import_id}"
        return replace(plan, total=count.total, newest=count.newest, recall=recall, folder=folder)

    def _rest(self, began: float) -> None:
        """Leave the slot when the turn is over; the call stands in line again, and goes on from there."""
        if self.turn is not None and self.clock() - began > self.turn:
            text = f"{self.provider}: the import of {self.dataset} goes on in its next turn"
            raise CallDeferred(text, provider=self.provider)

    def _page(self, at: Checkpoint) -> Steps[tuple[Checkpoint, str | None]]:
        answer = yield pages.page(self.dataset, at.since, at.after, limit=self.limit)
        rows = pages.rows_of(answer, after=at.after)
        goes_on: Checkpoint = yield Do(lambda: self._kept(at, rows))
        yield Safe()
        return goes_on, answer.headers.get(TRUTH)

    def _kept(self, at: Checkpoint, rows: Sequence[Row]) -> Checkpoint:
        """The import after *rows*, those of them that are new in a file."""
        unseen = self.desk.unseen(rows)
        chunk = None
        if unseen:
            name = self.files.keep(at.folder, len(at.chunks) + 1, unseen)
            chunk = Chunk(name=name, rows=len(unseen))
        skipped, complete = len(rows) - len(unseen), len(rows) < self.limit
        return self.desk.commit(at, rows, chunk, skipped=skipped, complete=complete)

    def _end(self, at: Checkpoint, truth: tuple[str | None, str | None]) -> Steps[None]:
        yield Progress(done=at.rows + at.skipped, total=at.rows + at.skipped)
        manifest = {**asdict(self._told(at)), "format": self.files.kind, "truth_last_modified": truth}
        named = {**manifest, "files": [asdict(chunk) for chunk in at.chunks]}
        yield Do(lambda: self.files.seal(at.folder, named))
        if self.since is None and at.newest:
            yield from self.marks.move(at.newest)
        yield Do(lambda: self.desk.end(at))

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
            watermark=at.newest or None,
        )
