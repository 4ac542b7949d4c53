"""``narrows dlq discard``: letters that nobody needs any more are thrown away."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer

from worker.cli.desk import desk_of
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
    Yes,
    census,
    found,
    letters_of,
    meant,
    whoever,
)
from worker.cli.options import AsJson, ProviderName
from worker.cli.output import cell, console, counting, show_json
from worker.letters.deadletter import DISCARD
from worker.letters.filter import LetterFilter

if TYPE_CHECKING:
    from worker.letters.deadletter import DeadLetters

__all__ = ["discard"]

SINGLY = {"in_doubt": "they may have arrived: narrows submission resolve, or discard them by ID"}


def discard(  # noqa: PLR0913 - one for each filter
    ctx: typer.Context,
    *,
    provider: ProviderName,
    ids: Ids = None,
    code: Code = None,
    operation: Operation = None,
    status: Status = None,
    since: Since = None,
    older: Older = None,
    text: Text = None,
    everything: All = False,
    yes: Yes = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Throw dead letters away, for good. The audit keeps their ids; `dlq export` would keep them whole."""
    wanted = LetterFilter(code=code, operation=operation, status=status, since=since, older=older, text=text)
    meant(ids or (), wanted, everything=everything)
    letters = letters_of(desk_of(ctx), provider)
    named = found(letters, ids) if ids else None
    if not yes:
        number = len(named) if named else census(letters, wanted, SINGLY).meant.total()
        noun = "dead letter" if number == 1 else "dead letters"
        if number:
            typer.confirm(f"Throw {number:,} {noun} of {provider} away?", abort=True, err=True)
    skipped: Counter[str] = Counter()
    if named is None:
        gone = _sweep(letters, wanted, whoever(by), skipped)
    else:
        gone = letters.remove(named, by=whoever(by), action=DISCARD)
    if as_json:
        show_json({"provider": provider, "discarded": gone, "skipped": dict(skipped)})
    else:
        console().print(cell(f"{provider}: {gone:,} thrown away", "bold"))
        for why, number in skipped.items():
            console().print(cell(f"  {number:>6}  left out: {why}; {SINGLY[why]}", "yellow"))
    raise typer.Exit(1 if named and gone < len(named) else 0)


def _sweep(letters: DeadLetters, wanted: LetterFilter, by: str, skipped: Counter[str]) -> int:
    """How many letters that fit were thrown away; those that are left out are counted in *skipped*."""
    from worker.letters.letter import letter_of

    gone = 0
    with counting("throwing dead letters away", len(letters)) as advance:
        for page in letters.pages():
            fits = []
            for raw in page:
                letter = letter_of(raw)
                if not wanted.fits(letter):
                    continue
                if (why := str(letter.get("code"))) in SINGLY:
                    skipped[why] += 1
                else:
                    fits.append(raw)
            gone += letters.remove(fits, by=by, action=DISCARD)
            advance(len(page))
    return gone
