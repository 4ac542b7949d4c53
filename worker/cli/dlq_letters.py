"""Which letters a ``narrows dlq`` command means, and who moves them: options and looks that they share."""

from __future__ import annotations

import getpass
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.options import moment
from worker.cli.output import complain, counting
from worker.letters.filter import LetterFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from worker.cli.desk import Desk
    from worker.letters.deadletter import DeadLetters

__all__ = [
    "UNROUTABLE",
    "All",
    "By",
    "Census",
    "Code",
    "Ids",
    "LetterId",
    "Older",
    "Operation",
    "Since",
    "Status",
    "Text",
    "Yes",
    "census",
    "found",
    "letters_of",
    "meant",
    "one",
    "whoever",
]

UNROUTABLE = "unroutable"
"""Messages that no worker could take lie in a list of their own, as if it were a provider."""

SHORTEST_PREFIX = 4
LONGEST_NAME = 100

Code = Annotated[str | None, typer.Option("--code", help="upstream_error, upstream_rejected, …")]
Operation = Annotated[str | None, typer.Option("--operation", help="The task's name behind the dot.")]
Status = Annotated[int | None, typer.Option("--status", help="The provider's HTTP status.")]
Since = Annotated[
    float | None,
    typer.Option("--since", parser=moment, metavar="WHEN", help="Failed since: 1h ago, or 2026-11-21T08:30."),
]
Older = Annotated[float | None, typer.Option("--older", parser=moment, metavar="WHEN", help="Failed before.")]
Text = Annotated[str | None, typer.Option("--text", help="Somewhere in id, trace id, error or excerpt.")]
All = Annotated[bool, typer.Option("--all", help="Every letter of the provider.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who does it, for the audit; else this user.")
]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Letters by their ids, or how these begin.")
]
LetterId = Annotated[str, typer.Argument(metavar="ID", help="A letter's id, or how it begins.")]


@dataclass(slots=True, kw_only=True)
class Census:
    """Letters that fit, by code: those that are meant, and those that are not for many at once."""

    meant: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


def letters_of(desk: Desk, provider: str) -> DeadLetters:
    """The dead letters of a provider, or the unroutable ones."""
    from worker.letters.deadletter import DeadLetters

    name = provider if provider == UNROUTABLE else desk.provider(provider, UNROUTABLE)
    return DeadLetters(desk.state, name, app=desk.app, sealer=desk.engine.sealer)


def whoever(by: str | None) -> str:
    """Who is at work, as the audit stream names them."""
    try:
        name = by or getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        name = "unknown"
    return name[:LONGEST_NAME]


def meant(ids: Sequence[str], wanted: LetterFilter, *, everything: bool) -> None:
    """Refuse a command that says too little or too much of which letters it means."""
    _full(*ids, wanted.code, wanted.operation, wanted.text)
    filtered = wanted != LetterFilter()
    if ids and (filtered or everything):
        raise typer.BadParameter("takes IDs, or filters, not both", param_hint="ID")
    if not ids and not filtered and not everything:
        raise typer.BadParameter("name letters by ID or by filters, or say --all", param_hint="ID")


def found(letters: DeadLetters, ids: Sequence[str]) -> list[bytes]:
    """The letters of those ids, or those that begin so; ends the command unless each is one call's.

    What cannot be read has an id, too (:func:`worker.letters.letter.letter_of`).
    """
    exact: dict[str, list[bytes]] = {each: [] for each in ids}
    begun: dict[str, dict[str, bytes]] = {each: {} for each in ids if len(each) >= SHORTEST_PREFIX}
    for page in letters.pages():
        for raw in page:
            name = _named(raw)
            if name in exact:
                exact[name].append(raw)
            for start, known in begun.items():
                if name.startswith(start):
                    known[name] = raw
    taken: dict[bytes, None] = {}
    for each in ids:
        several = begun.get(each, {})
        if not exact[each] and len(several) != 1:
            many = f"{len(several)} dead letters begin with {each!r}: write more of the id"
            short = f"; the beginning of an id takes {SHORTEST_PREFIX} characters" * (each not in begun)
            complain(many if several else f"{letters.provider} has no dead letter {each!r}{short}")
            raise typer.Exit(1)
        taken.update(dict.fromkeys(exact[each] or several.values()))
    return list(taken)


def one(letters: DeadLetters, letter_id: str) -> bytes:
    """The newest letter of that id, or the one that begins so."""
    _full(letter_id)
    return found(letters, [letter_id])[-1]


def census(
    letters: DeadLetters,
    wanted: LetterFilter,
    never: Mapping[str, str],
    look: Callable[[bytes], Any] = str,
) -> Census:
    """How many letters fit, by code, those with a code of *never* apart; *look* sees each of the others."""
    count = Census()
    with counting("reading dead letters", len(letters)) as advance:
        for page in letters.pages():
            for raw in page:
                letter = _read(raw)
                if not wanted.fits(letter):
                    continue
                code = str(letter.get("code", "unreadable"))
                (count.skipped if code in never else count.meant)[code] += 1
                if code not in never:
                    look(raw)
            advance(len(page))
    return count


def _full(*texts: str | None) -> None:
    """Refuse an empty text, which fits every letter, or those that say nothing."""
    if not all(text.strip() for text in texts if text is not None):
        text = "an empty text, which names no letters; is a variable unset?"
        raise typer.BadParameter(text, param_hint="ID or filter")


def _read(raw: bytes) -> dict[str, Any]:
    from worker.letters.letter import letter_of

    return letter_of(raw)


def _named(raw: bytes) -> str:
    from worker.letters.letter import id_of

    return id_of(_read(raw))
