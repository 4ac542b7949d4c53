"""``narrows dlq``: read the calls that were given up."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson, ProviderName, moment
from worker.cli.output import cell, complain, console, counting, show_json, table

if TYPE_CHECKING:
    from rich.text import Text

    from worker.deadletters import DeadLetters
    from worker.letter_filter import LetterFilter

__all__ = ["commands"]

commands = typer.Typer(help="Read the calls that were given up.", no_args_is_help=True)

_FIELDS = {
    "Id": "id",
    "Operation": "operation",
    "Code": "code",
    "Status": "status",
    "Tries": "attempts",
    "Failed at": "failed_at",
    "Error": "error",
}
_COLUMNS = tuple(_FIELDS)
_WHOLE = ("Operation", "Code", "Status", "Tries")
_ROOMY = 140
"""Columns of a terminal that has room for errors too; ``dlq show`` has them on any."""
_PRIVATE = ("args", "kwargs")
_SHORTEST_PREFIX = 4
_STEP = 500


@dataclass(slots=True, kw_only=True)
class Sifted:
    """What a look through the list found: the newest *shown*, and the numbers of all that fit."""

    shown: deque[dict[str, Any]]
    total: int = 0
    codes: Counter[str] = field(default_factory=Counter)


@commands.command("list")
def list_(  # noqa: PLR0913 - one for each filter
    ctx: typer.Context,
    *,
    provider: ProviderName,
    code: Annotated[str | None, typer.Option(help="upstream_error, upstream_rejected, …")] = None,
    operation: Annotated[str | None, typer.Option(help="The task's name behind the dot.")] = None,
    status: Annotated[int | None, typer.Option(help="The provider's HTTP status.")] = None,
    since: Annotated[
        float | None,
        typer.Option(parser=moment, metavar="WHEN", help="Failed since: 1h ago, or 2026-11-21T08:30."),
    ] = None,
    older: Annotated[float | None, typer.Option(parser=moment, metavar="WHEN", help="Failed before.")] = None,
    text: Annotated[str | None, typer.Option(help="Somewhere in id, trace id, error or excerpt.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show the newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the dead letters of PROVIDER, oldest first, and count them by reason. Arguments are not shown."""
    from worker.letter_filter import LetterFilter

    desk = desk_of(ctx)
    wanted = LetterFilter(code=code, operation=operation, status=status, since=since, older=older, text=text)
    found = _sift(_letters(desk, provider), wanted, limit)
    if as_json:
        show_json(
            {
                "provider": provider,
                "total": found.total,
                "matched": found.codes.total(),
                "by_code": dict(found.codes.most_common()),
                "letters": [_without_arguments(letter) for letter in found.shown],
            }
        )
        return
    _draw(provider, found)


@commands.command("show")
def show(
    ctx: typer.Context,
    *,
    provider: ProviderName,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="A letter's id, or how it begins.")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the call's arguments as they are: they may be private.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter, its arguments masked."""
    desk = desk_of(ctx)
    found = _find(_letters(desk, provider), letter_id)
    if len(found) != 1:
        many = f"{len(found)} dead letters begin with {letter_id!r}: write more of the id"
        complain(many if found else f"{provider} has no dead letter {letter_id!r}")
        raise typer.Exit(1)
    letter = found[0] if reveal else _masked(desk, found[0])
    if as_json:
        show_json(letter)
        return
    drawn = table("Field", "Value")
    for name, value in letter.items():
        drawn.add_row(cell(name, "bold"), cell(value))
    console().print(drawn)


def _letters(desk: Desk, provider: str) -> DeadLetters:
    from worker.deadletters import DeadLetters

    return DeadLetters(desk.state, desk.provider(provider))


def _sift(letters: DeadLetters, wanted: LetterFilter, limit: int) -> Sifted:
    """Every letter looked at once, a page in memory at a time."""
    found = Sifted(shown=deque(maxlen=limit))
    with counting("reading dead letters", len(letters)) as advance:
        for letter in letters:
            found.total += 1
            if found.total % _STEP == 0:
                advance(_STEP)
            if wanted.fits(letter):
                found.shown.append(letter)
                found.codes[str(letter.get("code", "unreadable"))] += 1
    return found


def _draw(provider: str, found: Sifted) -> None:
    matched = found.codes.total()
    out = console()
    if found.shown:
        columns = _COLUMNS if out.width >= _ROOMY else _COLUMNS[:-1]
        drawn = table(*columns, numbers=("Status", "Tries"), whole=_WHOLE)
        for letter in found.shown:
            drawn.add_row(*(_shown(name, letter) for name in columns))
        out.print(drawn)
    hidden = f", the newest {len(found.shown)} shown" if matched > len(found.shown) else ""
    of = "" if matched == found.total else f" of {found.total}"
    noun = "dead letter" if (matched, found.total) == (1, 1) else "dead letters"
    out.print(cell(f"{provider}: {matched}{of} {noun}{hidden}", "bold"))
    for code, number in found.codes.most_common():
        out.print(cell(f"  {number:>6}  {code}"))


def _shown(column: str, letter: dict[str, Any]) -> Text:
    value = letter.get(_FIELDS[column])
    if column == "Failed at" and value:
        value = str(value)[:19].replace("T", " ")  # to the second, UTC as everywhere
    return cell(value)


def _find(letters: DeadLetters, wanted: str) -> list[dict[str, Any]]:
    """The letter of that id, or those that begin so."""
    exact = letters.find(wanted)
    if exact is not None or len(wanted) < _SHORTEST_PREFIX:
        return [exact] if exact else []
    return [letter for letter in letters if str(letter.get("id", "")).startswith(wanted)]


def _without_arguments(letter: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in letter.items() if name not in _PRIVATE}


def _masked(desk: Desk, letter: dict[str, Any]) -> dict[str, Any]:
    """*letter* with its arguments as Flower shows them; those of an unknown task are hidden."""
    from worker.redaction import masked

    operation = getattr(desk.app.tasks.get(letter.get("task")), "operation", None)
    args, kwargs = "***", "***"
    if operation is not None:
        args, kwargs = masked(operation, letter.get("args"), letter.get("kwargs"))
    return {name: {"args": args, "kwargs": kwargs}.get(name, value) for name, value in letter.items()}
