"""``narrows dlq edit``: other arguments for a call that was given up, checked before they are kept."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.dlq_changes import by_name, changed, document, given
from worker.cli.dlq_letters import UNROUTABLE, By, LetterId, letters_of, one, whoever
from worker.cli.options import AsJson, ProviderName
from worker.cli.output import cell, complain, console, show_json
from worker.errors import ArgumentsInvalid

if TYPE_CHECKING:
    from worker.letters.deadletter import DeadLetters

__all__ = ["edit"]

Arguments = tuple[list[Any], dict[str, Any]]


def edit(
    ctx: typer.Context,
    *,
    provider: ProviderName,
    letter_id: LetterId,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="One argument; a.b for what is inside, := for JSON."
        ),
    ] = None,
    args: Annotated[str | None, typer.Option("--args", metavar="JSON", help="All by place, a list.")] = None,
    kwargs: Annotated[
        str | None, typer.Option("--kwargs", metavar="JSON", help="All by name, an object.")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Change the arguments of one letter's call, in your editor unless they are given here.

    The task checks them first. The letter stays where it is, to be replayed when you say so; the audit
    keeps what was there before.
    """
    from worker.letters.letter import letter_of

    if changes and (args is not None or kwargs is not None):
        raise typer.BadParameter("goes without --args and --kwargs", param_hint="--set")
    desk = desk_of(ctx)
    letters = letters_of(desk, provider)
    raw = one(letters, letter_id)
    letter = letter_of(raw)
    operation = _operation(desk, provider, letter)
    before = _opened(letters, letter)
    if args is not None or kwargs is not None:
        after = document(args or "[]", list, "--args"), document(kwargs or "{}", dict, "--kwargs")
    elif before is None:
        raise typer.BadParameter(
            "the letter's arguments cannot be read: give all anew, with --args and --kwargs", param_hint="ID"
        )
    elif changes:
        after = given(operation, changed(operation, by_name(operation, *before), changes))
    else:
        after = _typed(operation, letter, before)
    done = letters.edit(raw, *after, by=whoever(by))
    if done is None:
        complain(f"{letter['id']} was moved or changed meanwhile; nothing was done")
        raise typer.Exit(1)
    names = _differences(operation, before, letters.opened(done))
    if as_json:
        show_json({"provider": provider, "id": letter["id"], "changed": names})
        return
    what = ", ".join(names) or "nothing"
    console().print(cell(f"{letter['id']}: changed {what}", "bold"))
    console().print(cell(f"to have it made: narrows dlq replay {provider} {letter['id']}"))


def _opened(letters: DeadLetters, letter: dict[str, Any]) -> Arguments | None:
    """The arguments as they are; None when there are none that can be read."""
    from worker.letters.deadletter import Unfit

    try:
        return letters.opened(letter)
    except Unfit:
        return None


def _operation(desk: Desk, provider: str, letter: dict[str, Any]) -> Any:
    """What checks the arguments; ends the command when there is none."""
    task = desk.app.tasks.get(str(letter.get("task")))
    if provider == UNROUTABLE or not getattr(task, "guarded", False):
        complain(f"{provider} has no task {letter.get('task')!r} here, so nobody can check its arguments")
        raise typer.Exit(1)
    return task.operation


def _typed(operation: Any, letter: dict[str, Any], before: Arguments) -> Arguments:
    """The arguments as a person wrote them into the editor, checked; ends the command when they gave up."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise typer.BadParameter("say what to change: an editor needs a terminal", param_hint="--set")
    text = json.dumps({"args": before[0], "kwargs": before[1]}, indent=2, ensure_ascii=False) + "\n"
    while True:
        written = _edited(text)
        if written is None:
            complain(f"{letter['id']}: nothing was changed")
            raise typer.Exit(1)
        text = written
        try:
            after = _parsed(text)
            operation.checked(tuple(after[0]), after[1])
        except (typer.BadParameter, ArgumentsInvalid) as wrong:
            complain(str(wrong))
            if not typer.confirm("Edit again?", default=True, err=True):
                raise typer.Exit(1) from None
        else:
            return after


def _edited(text: str) -> str | None:
    """*text* as it was saved in the person's editor; None when it was not."""
    import click  # Celery's; typer's own copy has no editor

    try:
        return click.edit(text, extension=".json")
    except click.ClickException as why:
        complain(why.format_message())
        raise typer.Exit(1) from None


def _parsed(text: str) -> Arguments:
    said = document(text, dict, "the text")
    args, kwargs = said.get("args"), said.get("kwargs")
    if not isinstance(args, list) or not isinstance(kwargs, dict) or set(said) != {"args", "kwargs"}:
        raise typer.BadParameter('takes {"args": [...], "kwargs": {...}} and nothing else')
    return args, kwargs


def _differences(operation: Any, before: Arguments | None, after: Arguments) -> list[str]:
    """Names of the arguments that differ; values may be private."""
    if before is None:
        return ["args", "kwargs"]
    try:
        old, new = by_name(operation, *before), by_name(operation, *after)
    except typer.BadParameter:
        return ["args", "kwargs"]
    return [name for name in operation.signature.parameters if old.get(name) != new.get(name)]
