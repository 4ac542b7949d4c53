"""``narrows submission resolve``: a person says what became of what is in doubt."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.dlq_letters import By, Yes, whoever
from worker.cli.options import AsJson
from worker.cli.output import cell, complain, console, show_json
from worker.submissions.external_id import external_id as named

if TYPE_CHECKING:
    from worker.submissions.resolving import Answer, Verdict
    from worker.submissions.submission import Submission

__all__ = ["SubmissionId", "choices", "owner", "resolve"]

SubmissionId = typer.Argument(metavar="ID", help="A submission's id: the one that delay() returned.")

ANSWERS = ("accepted", "rejected", "resend")

_ASKED = {
    "accepted": "Has {provider} accepted {id} as {external_id!r}?",
    "rejected": "Has {provider} not taken {id}, and is it not to be sent again?",
    "resend": "Send {id} to {provider} again? If it arrived the first time, it will be there twice.",
}
_DONE = {
    "accepted": "accepted as {external_id}; its dead letter is gone, its result says so",
    "rejected": "rejected; its dead letter is gone",
    "resend": "queued; its call stands in line again, in the lane replay",
}
_STAYED: dict[Verdict, str] = {
    "decided": "is {more}, not in doubt",
    "running": "is being asked about just now; say it again in a minute",
    "no_letter": "cannot be sent again: its payload is gone, the dead letter was exported or discarded. Have"
    " it submitted anew under another idempotency key, and resolve this one as rejected",
    "unfit": "cannot be sent again: {more}",
    "moved": "is being moved by somebody else; say it again",
    "gone": "is not remembered any more",
}


def resolve(
    ctx: typer.Context,
    *,
    submission_id: Annotated[str, SubmissionId],
    answer: Annotated[
        str, typer.Argument(metavar="accepted|rejected|resend", help="What is to become of it.")
    ],
    external_id: Annotated[
        str | None,
        typer.Option("--external-id", help="The provider's own name for it, when it was accepted."),
    ] = None,
    settled: Annotated[
        bool,
        typer.Option("--settled", help="Accepted, and the provider will say no more: do not ask about it."),
    ] = False,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="PROVIDER", help="Whose it is; else all are asked.")
    ] = None,
    yes: Yes = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Decide on a submission in doubt, once you know from the provider whether it arrived.

    `accepted`: it did, and --external-id is what the provider calls it. `rejected`: it did not, and nothing
    more is to be done. `resend`: it did not, and is sent again. Its dead letter leaves in the same step; the
    audit of `narrows dlq audit` keeps who decided. The exit code is 1 when it is not in doubt.
    """
    from worker.submissions.resolving import Resolver

    chosen, name = _checked(answer, external_id)
    desk = desk_of(ctx)
    known = owner(desk, submission_id, provider)
    if known is None:
        complain(f"no submission {submission_id!r} is known")
        raise typer.Exit(1)
    words = {"provider": known.provider, "id": known.id, "external_id": name}
    if not yes and known.state == "in_doubt":
        typer.confirm(_ASKED[chosen].format(**words), abort=True, err=True)
    verdict, more = Resolver(desk.engine, desk.app, asking=partial(setattr, desk, "asked")).resolve(
        known, chosen, by=whoever(by), external_id=name, settled=settled
    )
    if verdict in _STAYED:
        complain(f"{known.provider}: {known.id} {_STAYED[verdict].format(more=more)}")
    elif not as_json:
        console().print(
            cell(f"{known.provider}: {known.id} {_said(chosen, verdict).format(**words)}", "bold")
        )
    if as_json:
        now = owner(desk, known.id, known.provider)
        show_json({"id": known.id, "verdict": verdict, "state": now and now.state, "why": more})
    raise typer.Exit(1 if verdict in _STAYED else 0)


def owner(desk: Desk, submission_id: str, provider: str | None = None) -> Submission | None:
    """The submission of that id, at one provider or wherever it is."""
    from worker.submissions.finding import find

    names = (desk.provider(provider),) if provider else desk.names()
    desk.asked = "state"
    return find(desk.engine, submission_id, names)


def choices(resend: str) -> str:
    """What is done about a doubt, by the operation's own word for it."""
    return {
        "never": "a person decides, with narrows submission resolve",
        "verify": "the provider is asked, then a person decides, with narrows submission resolve",
        "idempotent": "it is sent again; the provider takes it once",
    }[resend]


def _checked(answer: str, external_id: str | None) -> tuple[Answer, str]:
    """The decision, and the provider's name for it, "" where it takes none."""
    if answer not in ANSWERS:
        raise typer.BadParameter(f"{answer!r} is no decision; there are {', '.join(ANSWERS)}")
    if (answer == "accepted") != (external_id is not None):
        raise typer.BadParameter("accepted takes --external-id, and the others do not")
    name = "" if external_id is None else named(external_id)
    if name is None:
        raise typer.BadParameter("--external-id takes the provider's own name for it, such as 311-01234567")
    chosen: Answer = answer  # type: ignore[assignment]
    return chosen, name


def _said(answer: str, verdict: str) -> str:
    if verdict == "lives":
        return {"resend": "queued"}.get(answer, answer) + "; its call goes on with that when its turn comes"
    return _DONE[answer]
