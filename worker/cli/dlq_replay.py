"""``narrows dlq replay``: calls that were given up stand in line again, behind live ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.dlq_letters import (
    UNROUTABLE,
    All,
    By,
    Census,
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
from worker.cli.dlq_moves import DONE, Move, Tally, parking, sending
from worker.cli.options import AsJson, ProviderName
from worker.cli.output import cell, console, counting, show_json
from worker.letters.filter import LetterFilter

if TYPE_CHECKING:
    from worker.letters.deadletter import DeadLetters

__all__ = ["replay"]

SINGLY = {
    "worker_lost": "they took workers down: replay them one by one, by ID",
    "in_doubt": "they may have arrived: narrows submission resolve",
}
"""Codes of letters that are not replayed many at once, and what to do with them."""


def replay(  # noqa: PLR0913 - one for each filter
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many, what that costs and how long it takes.")
    ] = False,
    yes: Yes = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Have calls made again: each stands in the replay lane under its own id, and its letter is gone.

    They leave at the provider's pace, behind live calls. Letters of calls that took workers down or are in
    doubt are left out unless they are named by ID. Exit code 1 when one that was meant stayed.
    """
    wanted = LetterFilter(code=code, operation=operation, status=status, since=since, older=older, text=text)
    meant(ids or (), wanted, everything=everything)
    desk = desk_of(ctx)
    letters = letters_of(desk, provider)
    named = found(letters, ids) if ids else None
    if dry_run:
        _foretell(desk, letters, wanted, named, as_json=as_json)
        return
    who = whoever(by)
    move = sending(desk, letters, who) if provider == UNROUTABLE else parking(letters, who)
    tally, skipped = Tally(), Counter[str]()
    if named is not None:
        move(named, tally)
    elif yes or _agreed(provider, count := census(letters, wanted, SINGLY)):
        skipped = _sweep(letters, wanted, move, tally)
    else:
        skipped = count.skipped
    _tell(provider, tally, skipped, as_json=as_json)
    bad = tally.words.total() - sum(tally.words[word] for word in DONE)
    if named is None:
        bad -= tally.words["gone"]  # somebody else took it meanwhile
    raise typer.Exit(1 if bad else 0)


def _agreed(provider: str, count: Census) -> bool:
    """Whether there is something to do; who does not want it done ends the command."""
    number = count.meant.total()
    noun = "dead letter" if number == 1 else "dead letters"
    if number:
        typer.confirm(f"Replay {number:,} {noun} of {provider}?", abort=True, err=True)
    return number > 0


def _sweep(letters: DeadLetters, wanted: LetterFilter, move: Move, tally: Tally) -> Counter[str]:
    """Every letter that fits, moved; how many were left out, by code. A call is brought back once.

    Several messages may have one id. One that was sent may be a letter again at once, so of those no more are
    looked at than there were at first.
    """
    from worker.letters.letter import letter_of

    skipped: Counter[str] = Counter()
    left = len(letters)
    messages = letters.provider == UNROUTABLE
    with counting("replaying dead letters", left) as advance:
        for page in letters.pages():
            chosen: dict[bytes | str, bytes] = {}
            for raw in page[:left] if messages else page:
                letter = letter_of(raw)
                name = raw if messages else str(letter.get("id"))
                if not wanted.fits(letter) or name in tally.parked:
                    continue
                if (why := str(letter.get("code"))) in SINGLY:
                    skipped[why] += 1
                else:
                    chosen.setdefault(name, raw)
            move(list(chosen.values()), tally)
            advance(len(page))
            left = max(0, left - len(page))
            if messages and not left:
                break
    return skipped


def _foretell(
    desk: Desk, letters: DeadLetters, wanted: LetterFilter, named: list[bytes] | None, *, as_json: bool
) -> None:
    from worker.cli.dlq_estimate import draw, estimated

    refused: Counter[str] = Counter()

    def look(raw: bytes) -> None:
        if letters.provider != UNROUTABLE and letters.refusal(raw):
            refused["refused"] += 1

    if named is None:
        count = census(letters, wanted, SINGLY, look)
    else:
        count = Census(meant=Counter({"named": len(named)}))
        for raw in named:
            look(raw)
    number = count.meant.total()
    told = estimated(desk, letters.provider, number - refused.total())
    told |= {"refused": refused.total(), "skipped": dict(count.skipped)}
    if as_json:
        show_json(told)
    else:
        draw(told, SINGLY)


def _tell(provider: str, tally: Tally, skipped: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        done: dict[str, Any] = {"provider": provider, "words": dict(tally.words)}
        show_json({**done, "skipped": dict(skipped), "stayed": tally.stayed})
        return
    out = console()
    where = "sent to their queues again" if provider == UNROUTABLE else "in line again, in the lane replay"
    out.print(cell(f"{provider}: {tally.words['parked'] + tally.words['sent']:,} {where}", "bold"))
    if tally.words["accepted"]:
        out.print(cell(f"  {tally.words['accepted']:>6}  accepted: the provider has them; letters dropped"))
    for word, number in tally.words.items():
        if word not in DONE:
            out.print(cell(f"  {number:>6}  stayed: {word}", "yellow"))
    for each in tally.stayed:
        out.print(cell(f"          {each['id']}: {each['why']}"))
    for code, number in skipped.items():
        out.print(cell(f"  {number:>6}  left out: {code}; {SINGLY[code]}", "yellow"))
