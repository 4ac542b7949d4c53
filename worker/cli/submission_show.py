"""``narrows submission show``: all that may be seen of one submission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson
from worker.cli.output import cell, complain, console, counting, iso, show_json, table
from worker.cli.submission_resolve import SubmissionId, choices, owner

if TYPE_CHECKING:
    from worker.submissions.submission import Submission
    from worker.whereabouts import Whereabouts

__all__ = ["as_document", "show"]

_PLAIN = ("id", "provider", "operation", "state", "resend", "external_id", "external_status", "open")
_MOMENTS = ("since", "created_at", "sent_at", "polled_at")


def show(
    ctx: typer.Context,
    *,
    submission_id: Annotated[str | None, SubmissionId] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="PROVIDER", help="Whose it is; else all are asked.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="By its idempotency key; with --operation.")
    ] = None,
    operation: Annotated[str | None, typer.Option("--operation", help="submit_service_request, …")] = None,
    external_id: Annotated[
        str | None, typer.Option("--external-id", help="By the provider's name for it; reads them all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one submission, by its id, its idempotency key or the provider's name for it.

    The payload is never shown. The exit code is 1 when nobody remembers it.
    """
    from worker.submissions.finding import find_named
    from worker.why import whereabouts

    desk = desk_of(ctx)
    if sum(way is not None for way in (submission_id, key, external_id)) != 1:
        raise typer.BadParameter("give an ID, or --key with --operation, or --external-id")
    if (key is None) != (operation is None):
        raise typer.BadParameter("an idempotency key is one of an operation: give --key with --operation")
    if submission_id is not None:
        found = owner(desk, submission_id, provider)
    elif key is not None and operation is not None:
        home, _, name = operation.rpartition(".")
        found = find_named(desk.engine, name, key, _names(desk, provider or home or None))
    else:
        found = _known_as(desk, external_id or "", provider)
    if found is None:
        complain("no such submission is known")
        raise typer.Exit(1)
    place = whereabouts(desk.engine, found.id, [found.provider])
    if as_json:
        show_json({**as_document(found), "call": place and str(place)})
    else:
        _draw_one(found, place)


def as_document(each: Submission) -> dict[str, Any]:
    """One submission for programs: moments in ISO 8601."""
    return {
        **{name: getattr(each, name) for name in _PLAIN},
        **{name: iso(getattr(each, name) or None) for name in _MOMENTS},
        "details": dict(each.details),
    }


def _draw_one(found: Submission, place: Whereabouts | None) -> None:
    drawn = table("Field", "Value")
    rows = {
        "Id": found.id,
        "Provider": found.provider,
        "Operation": found.operation,
        "State": f"{found.state}, open" if found.open else found.state,
        "Since": iso(found.since),
        "When in doubt": f"{found.resend}: {choices(found.resend)}",
        "Created": iso(found.created_at or None),
        "Sent at": iso(found.sent_at or None),
        "External id": found.external_id,
        "External status": found.external_status,
        "Asked about": iso(found.polled_at or None),
        **{name.replace("_", " ").capitalize(): value for name, value in found.details.items()},
        "Call": place and str(place),
    }
    for name, value in rows.items():
        if value:
            drawn.add_row(cell(name, "bold"), cell(value))
    console().print(drawn)


def _known_as(desk: Desk, external_id: str, provider: str | None) -> Submission | None:
    """The one that a provider accepted under that name; there is no index, so all are read."""
    ledgers = [desk.engine.ledger(name) for name in _names(desk, provider)]
    totals = [ledger.counts()["accepted"] for ledger in ledgers]
    with counting("reading accepted submissions", sum(totals)) as advance:
        for ledger in ledgers:
            for each in ledger.listed("accepted"):
                advance(1)
                if each.external_id == external_id:
                    return each
    return None


def _names(desk: Desk, provider: str | None) -> tuple[str, ...]:
    return (desk.provider(provider),) if provider else desk.names()
