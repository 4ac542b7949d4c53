"""``narrows import``: bring a whole data set to files, and watch how far it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson
from worker.cli.output import cell, complain, console, following, show_json

if TYPE_CHECKING:
    from celery.result import AsyncResult

    from worker.task import GuardedTask

__all__ = ["import_"]

OPERATION = "import_dataset"
LOOK = 0.3
"""Seconds between two looks at how far it is."""


def import_(
    ctx: typer.Context,
    *,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Its name, or its id such as erm2-nwe9.")],
    sink: Annotated[
        str | None, typer.Option("--sink", help="A folder below NARROWS_IMPORT_TO; the id without it.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="What changed since then, for itself: 2026-11-21T08:30.")
    ] = None,
    kind: Annotated[str, typer.Option("--format", help="jsonl or parquet.")] = "jsonl",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it is done.")] = True,
    as_json: AsJson = False,
) -> None:
    """Bring the rows of DATASET to files, by a worker; again and again, each time what is new.

    Without --since it goes on where the last import into the same sink ended. Interrupted, this command ends
    and the import goes on; started anew it is another import, which waits for the one before.
    """
    from worker.errors import ArgumentsInvalid

    task = _task(desk_of(ctx))
    named = {"dataset": dataset, "since": since, "sink": sink, "format": kind}
    try:
        call = task.apply_async(kwargs=named)
    except ArgumentsInvalid as wrong:
        raise typer.BadParameter(str(wrong).removeprefix(f"{OPERATION}: ")) from None
    if not wait:
        show_json({"task_id": call.id}) if as_json else console().print(cell(f"enqueued as {call.id}"))
        return
    complain(f"the import is {call.id}; it goes on when you leave")
    done = _watched(call)
    if as_json:
        show_json(done)
    else:
        _tell(done)


def _task(desk: Desk) -> GuardedTask:
    """The one task that imports."""
    found: GuardedTask = next(
        task for name, task in sorted(desk.app.tasks.items()) if name.endswith(f".{OPERATION}")
    )
    return found


def _watched(call: AsyncResult[Any]) -> dict[str, Any]:
    """What the import brought; a bar on a terminal meanwhile. Exit code 1 when it brought nothing.

    Raises:
        NarrowsError: It was given up; it is a dead letter.
    """
    from celery.exceptions import TaskRevokedError

    from worker.errors import SinkFailed

    warned = False
    with following("importing rows") as show:
        while not call.ready():
            time.sleep(LOOK)
            told = call.info if call.state == "PROGRESS" else None
            if not warned and call.state == "RETRY" and SinkFailed.code in str(call.info):
                complain("NARROWS_IMPORT_TO takes no files just now; the import waits for it, for some hours")
                warned = True
            if isinstance(told, dict):
                show(told["done"], told["total"])
    try:
        result: dict[str, Any] = call.get()
    except TaskRevokedError:
        complain("the import was revoked; another one into the same sink begins where it did")
        raise typer.Exit(1) from None
    return result


def _tell(done: dict[str, Any]) -> None:
    out = console()
    if done["manifest"] is None:
        out.print(cell("a later import has ended meanwhile, and brought these rows", "yellow"))
        return
    skipped = f", {done['skipped']:,} were there" if done["skipped"] else ""
    out.print(cell(f"{done['dataset']}: {done['rows']:,} rows in {done['files']} files{skipped}", "bold"))
    out.print(cell(done["manifest"]))
    if done["may_repeat"]:
        out.print(cell(f"the next import may bring {done['may_repeat']:,} of them again", "yellow"))
