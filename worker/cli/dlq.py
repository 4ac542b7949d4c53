"""``narrows dlq``: read the calls that were given up, and decide what becomes of them."""

from __future__ import annotations

import typer

from worker.cli import dlq_audit, dlq_discard, dlq_edit, dlq_list, dlq_replay
from worker.cli.export import export

__all__ = ["commands"]

commands = typer.Typer(
    help="Read the calls that were given up, and decide what becomes of them.", no_args_is_help=True
)
commands.command("list")(dlq_list.list_)
commands.command("show")(dlq_list.show)
commands.command("replay")(dlq_replay.replay)
commands.command("edit")(dlq_edit.edit)
commands.command("discard")(dlq_discard.discard)
commands.command("audit")(dlq_audit.audit)
commands.command("export")(export)
