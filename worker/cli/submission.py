"""``narrows submission``: what became of what was to be submitted, and deciding what nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.desk import desk_of
from worker.cli.options import AsJson, ProviderName
from worker.cli.output import cell, console, iso, show_json, span, table
from worker.cli.submission_resolve import resolve
from worker.cli.submission_show import as_document, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.submissions.ledger import Ledger
    from worker.submissions.submission import Submission

__all__ = ["commands"]

commands = typer.Typer(
    help="See what became of submissions, and decide on those of which nobody knows.", no_args_is_help=True
)
commands.command("show")(show)
commands.command("resolve")(resolve)

UNDECIDED = ("in_doubt", "sending", "queued")
_COLUMNS = ("Id", "Operation", "State", "For", "External id", "Status", "Sent at")


@commands.command("list")
def list_(
    ctx: typer.Context,
    *,
    provider: ProviderName,
    state: Annotated[
        str | None, typer.Option("--state", help="in_doubt, queued, sending, accepted, rejected or open.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show the oldest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the submissions of PROVIDER, the oldest first, and count them by state. No payload is shown.

    Without --state those that are not decided. Those `open` are accepted, and may change at the provider yet.
    """
    from worker.submissions.submission import STATES

    desk = desk_of(ctx)
    ledger = desk.engine.ledger(desk.provider(provider))
    if state is not None and state not in {*STATES, "open"}:
        raise typer.BadParameter(f"{state!r} is no state; there are {', '.join(STATES)} and open")
    states = (state,) if state else UNDECIDED
    seconds, micros = desk.state.time()
    at, counts = seconds + micros / 1e6, ledger.counts()
    oldest = {name: ledger.oldest(name) for name in counts}
    shown = list(_listed(ledger, states, limit))
    if as_json:
        ages = {name: None if since is None else max(0.0, at - since) for name, since in oldest.items()}
        listed = [as_document(each) for each in shown]
        show_json({"provider": provider, "counts": counts, "oldest_seconds": ages, "submissions": listed})
        return
    _draw(shown, at)
    meant = sum(counts[name] for name in states)
    hidden = f", the oldest {len(shown)} shown" if meant > len(shown) else ""
    what = state.replace("_", " ") if state else "not decided"
    console().print(cell(f"{provider}: {meant} {what}{hidden}", "bold"))
    for name, number in counts.items():
        console().print(cell(f"  {number:>6}  {name}{_age(name, oldest[name], at)}"))


def _listed(ledger: Ledger, states: Sequence[str], limit: int) -> Iterator[Submission]:
    left = limit
    for state in states:
        page = ledger.open(left) if state == "open" else list(ledger.listed(state, most=left))
        yield from page
        left -= len(page)
        if left <= 0:
            return


def _draw(shown: list[Submission], at: float) -> None:
    if not shown:
        return
    drawn = table(*_COLUMNS, whole=("Operation", "State", "For", "Sent at"))
    for each in shown:
        drawn.add_row(
            cell(each.id, "bold"),
            cell(each.operation),
            cell(each.state, "red" if each.state == "in_doubt" else ""),
            cell(span(at - each.since)),
            cell(each.external_id),
            cell(each.external_status),
            cell(_second(each.sent_at)),
        )
    console().print(drawn)


def _age(state: str, since: float | None, at: float) -> str:
    if since is None:
        return ""
    return f", {'not asked about' if state == 'open' else 'the oldest'} for {span(at - since)}"


def _second(moment: float) -> str:
    """To the second, UTC as everywhere; nothing for never."""
    return (iso(moment) or "")[:19].replace("T", " ") if moment else ""
