"""``narrows dlq export``: dead letters out of Redis, into object storage."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.dlq_letters import (
    All,
    By,
    Code,
    Ids,
    Older,
    Operation,
    Since,
    Status,
    Text,
    found,
    letters_of,
    meant,
    whoever,
)
from worker.cli.options import AsJson, ProviderName
from worker.cli.output import cell, complain, console, counting, show_json
from worker.letters.filter import LetterFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.letters.exporting import Exported
    from worker.storage import Storage

__all__ = ["export"]

SINGLY = {"in_doubt": "they may have arrived: narrows submission resolve, or export them by ID"}
"""Letters that are needed here until a person has decided."""

To = Annotated[
    str | None,
    typer.Option("--to", metavar="ADDRESS", help="s3://bucket/prefix, file:///folder; or NARROWS_EXPORT_TO."),
]
Keep = Annotated[bool, typer.Option("--keep", help="Leave them in the list, too.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say how many, and how large; write nothing.")]


def export(  # noqa: PLR0913 - one for each filter
    ctx: typer.Context,
    *,
    provider: ProviderName,
    ids: Ids = None,
    to: To = None,
    code: Code = None,
    operation: Operation = None,
    status: Status = None,
    since: Since = None,
    older: Older = None,
    text: Text = None,
    everything: All = False,
    keep: Keep = False,
    dry_run: DryRun = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Write dead letters to object storage as gzipped JSON lines, and take them out of the list.

    They leave the list once the object was read back. Arguments are in the objects as they are in the
    letters: in clear, unless they are sealed. Those in doubt stay, unless they are named by ID.
    """
    wanted = LetterFilter(code=code, operation=operation, status=status, since=since, older=older, text=text)
    meant(ids or (), wanted, everything=everything)
    desk = desk_of(ctx)
    storage = None if dry_run else _storage(desk, to)
    skipped: Counter[str] = Counter()
    fits = _among(desk, provider, ids) if ids else _for_many(wanted, skipped)
    done = _export(desk, provider, storage, fits, keep=keep, by=whoever(by))
    if as_json:
        place = storage.place if storage else None
        show_json({**asdict(done), "skipped": dict(skipped), "place": place})
    else:
        _tell(done, storage, skipped, keep=keep)
    if done.end != "done":
        complain(f"another export of {provider} is at it; try again when it is through")
        raise typer.Exit(1)


def _for_many(wanted: LetterFilter, skipped: Counter[str]) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a letter fits and may go with many others; those that may not are counted in *skipped*."""

    def fits(letter: Mapping[str, Any]) -> bool:
        if not wanted.fits(letter):
            return False
        if single := (why := str(letter.get("code"))) in SINGLY:
            skipped[why] += 1
        return not single

    return fits


def _among(desk: Desk, provider: str, ids: list[str]) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a letter is one of those with these ids, each of which must be there."""
    from worker.letters.letter import id_of, letter_of

    names = {id_of(letter_of(raw)) for raw in found(letters_of(desk, provider), ids)}
    return lambda letter: id_of(letter) in names


def _export(
    desk: Desk,
    provider: str,
    storage: Storage | None,
    fits: Callable[[Mapping[str, Any]], bool],
    **how: Any,
) -> Exported:
    from worker.letters.exporting import Exporter

    with counting("exporting dead letters", len(letters_of(desk, provider))) as advance:
        return Exporter(desk.state, provider, storage=storage, told=advance, **how).run(fits)


def _storage(desk: Desk, to: str | None) -> Storage:
    from worker.errors import ConfigurationError
    from worker.storage import chosen

    try:
        storage = chosen(desk.engine.settings, to)
    except ConfigurationError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--to") from None
    if storage is None:
        raise typer.BadParameter("say where to, here or in NARROWS_EXPORT_TO", param_hint="--to")
    return storage


def _tell(done: Exported, storage: Storage | None, skipped: Mapping[str, int], *, keep: bool) -> None:
    out = console()
    for why, number in skipped.items():
        out.print(cell(f"{number:,} left out: {why}; {SINGLY[why]}", "yellow"))
    many = f"{done.letters} dead letter" + "s" * (done.letters != 1)
    objects = f"{done.objects} object" + "s" * (done.objects != 1)
    if storage is None:
        out.print(cell(f"{done.provider}: {many} would go into {objects}, {done.size:,} bytes in all"))
        return
    out.print(cell(f"{done.provider}: {many} in {objects}, {done.size:,} bytes, at {storage.place}"))
    if keep:
        out.print(cell("they are still in the list, too"))
    elif done.removed != done.letters:
        left = done.letters - done.removed
        out.print(cell(f"{left} of them had left the list meanwhile: others replayed or discarded them"))
