"""``narrows dlq list`` and ``show``: dead letters as people may see them."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.dlq_letters import Code, LetterId, Older, Operation, Since, Status, Text, letters_of, one
from worker.cli.options import AsJson, ProviderName
from worker.cli.output import cell, console, counting, show_json, table
from worker.letters.filter import LetterFilter

if TYPE_CHECKING:
    from rich.text import Text as Drawn

    from worker.letters.deadletter import DeadLetters

__all__ = ["list_", "show"]

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
_PRIVATE = ("args", "kwargs", "message", "headers", "properties")
"""The last three are those of a message that nobody could read: no operation says what may be seen of it."""
_STEP = 500


@dataclass(slots=True, kw_only=True)
class Sifted:
    """What a look through the list found: the newest *shown*, and the numbers of all that fit."""

    shown: deque[dict[str, Any]]
    total: int = 0
    codes: Counter[str] = field(default_factory=Counter)


def list_(  # noqa: PLR0913 - one for each filter
    ctx: typer.Context,
    *,
    provider: ProviderName,
    code: Code = None,
    operation: Operation = None,
    status: Status = None,
    since: Since = None,
    older: Older = None,
    text: Text = None,
    limit: Annotated[int, typer.Option(min=1, help="Show the newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the dead letters of PROVIDER, oldest first, and count them by reason. Arguments are not shown.

    PROVIDER may be `unroutable`: messages that no worker could take.
    """
    wanted = LetterFilter(code=code, operation=operation, status=status, since=since, older=older, text=text)
    found = _sift(letters_of(desk_of(ctx), provider), wanted, limit)
    if as_json:
        show_json(
            {
                "provider": provider,
                "total": found.total,
                "matched": found.codes.total(),
                "by_code": dict(found.codes.most_common()),
                "letters": list(found.shown),
            }
        )
        return
    _draw(provider, found)


def show(
    ctx: typer.Context,
    *,
    provider: ProviderName,
    letter_id: LetterId,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the call's arguments as they are: they may be private.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter, its arguments masked. With --reveal sealed ones are opened, where the key is."""
    from worker.letters.letter import letter_of

    desk = desk_of(ctx)
    letters = letters_of(desk, provider)
    raw = one(letters, letter_id)
    letter = _revealed(letters, raw) if reveal else _masked(desk, letter_of(raw))
    if as_json:
        show_json(letter)
        return
    drawn = table("Field", "Value")
    for name, value in letter.items():
        drawn.add_row(cell(name, "bold"), cell(value))
    console().print(drawn)


def _sift(letters: DeadLetters, wanted: LetterFilter, limit: int) -> Sifted:
    """Every letter looked at once, a page in memory at a time."""
    found = Sifted(shown=deque(maxlen=limit))
    with counting("reading dead letters", len(letters)) as advance:
        for letter in letters:
            found.total += 1
            if found.total % _STEP == 0:
                advance(_STEP)
            if wanted.fits(letter):
                found.shown.append(_without_arguments(letter))
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


def _shown(column: str, letter: dict[str, Any]) -> Drawn:
    value = letter.get(_FIELDS[column])
    if column == "Failed at" and value:
        value = str(value)[:19].replace("T", " ")  # to the second, UTC as everywhere
    return cell(value)


def _without_arguments(letter: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in letter.items() if name not in _PRIVATE}


def _revealed(letters: DeadLetters, raw: bytes) -> dict[str, Any]:
    from worker.letters.deadletter import Unfit
    from worker.letters.letter import UNREADABLE, letter_of

    letter = letter_of(raw)
    if UNREADABLE in letter:
        return {**letter, "bytes": raw.decode(errors="backslashreplace")}
    try:
        args, kwargs = letters.opened(letter)
    except Unfit:  # somebody's own: as it lies there
        return letter
    return {**letter, "args": args, "kwargs": kwargs}


def _masked(desk: Desk, letter: dict[str, Any]) -> dict[str, Any]:
    """*letter* with its arguments as Flower shows them; those of an unknown task are hidden."""
    from worker.redaction import masked

    operation = getattr(desk.app.tasks.get(str(letter.get("task"))), "operation", None)
    seen = dict.fromkeys(_PRIVATE, "***")
    if operation is not None:
        seen["args"], seen["kwargs"] = masked(operation, letter.get("args"), letter.get("kwargs"))
    return {name: seen.get(name, value) for name, value in letter.items()}
