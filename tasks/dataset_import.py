"""Brings whole data sets of NYC Open Data to files, again and again, each time what is new.

It asks one provider for rows and, where that is chosen, the storage service for its watermark, so it is no
part of either's module. ``tasks/importing`` says how it goes.

Docs       https://dev.socrata.com/docs/paging.html  https://dev.socrata.com/docs/system-fields.html
Quirks     replicas answer, each as far behind as it says (X-SODA2-Secondary-Last-Modified): an import goes on
           from where the one furthest behind was, for what that one did not show would never come
Unverified that pages by ``:id > '…'`` are quick on every data set, and that ``max(:updated_at)`` is; that no
           row changed after the moment up to which its replica says to know
Read on    2026-11-21
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from celery import current_task

from tasks import nyc_open_data, storage
from tasks.arguments.moments import SomeMoment
from tasks.importing.job import Imported, Job, Marks, RedisMarks
from tasks.importing.order import DatasetId, FormatName, Sink, below
from worker.operation import Steps, operation
from worker.steps import asking

if TYPE_CHECKING:
    from tasks.importing.desk import Desk

__all__ = ["import_dataset"]

LONGEST_TURN = 60.0
"""Seconds that an import keeps a slot; a task's time limit leaves less where it is short."""

NAMED = 100
"""Characters of a sink's name that stand in the name of its watermark."""

PATIENCE = 30.0
"""Seconds that the sink may take for a file."""


@operation(nyc_open_data.PROVIDER, shown=("dataset", "since", "sink", "format"), lane="batch")
def import_dataset(
    dataset: DatasetId,
    since: SomeMoment = None,
    sink: Sink = None,
    format: FormatName = "jsonl",  # noqa: A002 - the word that callers look for
) -> Steps[Imported]:
    """Write the rows of a data set to files below ``NARROWS_IMPORT_TO``, with a manifest at the end.

    Without *since* it goes on from where the last such import into the same *sink* ended, and the first one
    brings everything. With *since* it brings what changed since then (and an hour before) and stands for
    itself: no watermark is read or moved. Rows are as the API gives them, system fields included, so that a
    row that came again in a newer version is known by its ``:id``.
    """
    return (yield from _job(dataset, since, sink or dataset, format).run())


class StorageMarks:
    """Watermarks in the storage service."""

    def __init__(self, source_id: str) -> None:
        self._source = source_id

    def read(self) -> Steps[str]:
        """What the service says; "" for nothing yet."""
        found = yield from asking(storage.PROVIDER, storage.known(self._source))
        return (found.timestamp or "") if found else ""

    def move(self, moment: str) -> Steps[None]:
        """Not back, as the service's own task has it."""
        yield from asking(storage.PROVIDER, storage.moved(self._source, moment))


def _job(dataset: str, since: str | None, sink: str, kind: str) -> Job:
    """The import as this deployment and this task have it."""
    from config.storage import options
    from tasks.importing.desk import INLINE, Desk
    from tasks.importing.files import Files
    from worker.choice import choice
    from worker.engine import engine
    from worker.keys import digest
    from worker.storage import Storage

    settings, chosen = engine().settings, choice(nyc_open_data.PROVIDER)
    name = below(sink, settings.import_to)
    said = settings.import_options
    place = Storage(
        settings.import_to or "", options(said.get_secret_value()) if said else {}, patience=PATIENCE
    )
    task_id = _task_id()
    import_id = task_id or f"{INLINE}{uuid4().hex}"
    home, whole = nyc_open_data.PROVIDER.name, f"{place.place}/{name}"
    target = f"{dataset} {whole}" if since is None else ""
    asked = f"{dataset} {whole} {since or ''} {kind}"  # which an edited letter changes, and not its id
    desk = Desk(engine().state, home, task_id=import_id, asked=asked, target=target)
    return Job(
        provider=home,
        dataset=dataset,
        import_id=digest(f"{import_id} {asked}"),
        since=since,
        desk=desk,
        files=Files(place, name, kind=kind),
        marks=_marks(chosen.option("watermarks"), desk, source_of(dataset, place.place, name)),
        overlap=chosen.option("import_overlap"),
        limit=chosen.option("import_rows"),
        turn=min(LONGEST_TURN, settings.task_time_limit * 0.4) if task_id else None,
        others=lambda: engine().records(home).ahead(import_id),
    )


def source_of(dataset: str, place: str, name: str) -> str:
    """By which name the storage service keeps the watermark of a data set in one folder of one place."""
    from worker.keys import digest

    whole = digest(f"{place}/{name}")
    return f"{nyc_open_data.PROVIDER.name}:{dataset}:{name[:NAMED]}:{whole}"


def _marks(where: str, desk: Desk, source_id: str) -> Marks:
    from worker.engine import engine
    from worker.errors import ConfigurationError

    if where == "redis":
        return RedisMarks(desk=desk)
    deployed = engine().settings.providers.get(storage.PROVIDER.name)
    if deployed is None or deployed.base_url is None:
        raise ConfigurationError("watermarks in the storage need NARROWS_PROVIDERS__STORAGE__BASE_URL")
    return StorageMarks(source_id)


def _task_id() -> str | None:
    """The call's own id; None for one that no worker could be given again."""
    request = current_task.request if current_task else None
    if request is None or request.called_directly or request.is_eager:
        return None
    return str(request.id)
