"""All commands under ``narrows``, and what becomes of their errors.

Exit codes: 0 done; 1 done and the answer is bad, or it could not be done; 2 wrong usage or wrong settings;
3 Redis does not answer. Data goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

import typer
from typer.main import get_command

from worker.cli import (
    breaker,
    cache,
    city,
    demo,
    dlq,
    doctor,
    exporter,
    importing,
    limits,
    providers,
    seal,
    stack,
    status,
    submission,
    suppression,
    why,
)
from worker.cli.desk import Desk
from worker.cli.output import complain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["root", "run"]

FAILED, MISUSED, UNREACHABLE = 1, 2, 3

EXAMPLES = """[bold]Examples[/bold]

  narrows doctor

  narrows status --watch

  narrows why 5f0c1a52-6f0e-4a0e-9b57-8c1f5f1f3f10

  narrows breaker open nyc_open_data --for 10m

  narrows dlq list nyc_open_data --since 1h --code upstream_error

  narrows cache clear --provider nyc_open_data --yes

Exit codes: 0 done, 1 a bad answer, 2 wrong usage, 3 Redis does not answer."""

root = typer.Typer(
    name="narrows",
    help="Look after the calls between your services and the outside APIs.",
    epilog=EXAMPLES,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
root.command("status")(status.status)
root.command("why")(why.why)
root.command("doctor")(doctor.doctor)
root.command("exporter")(exporter.exporter)
root.command("providers")(providers.providers)
root.command("import")(importing.import_)
root.command("up")(stack.up)
root.command("demo")(demo.demo)
root.add_typer(breaker.commands, name="breaker")
root.add_typer(cache.commands, name="cache")
root.add_typer(city.commands, name="city")
root.add_typer(dlq.commands, name="dlq")
root.add_typer(limits.commands, name="limits")
root.add_typer(submission.commands, name="submission")
root.add_typer(suppression.commands, name="suppression")
root.add_typer(seal.commands, name="seal")


@root.callback()
def _narrows() -> None:
    """Look after the calls between your services and the outside APIs."""


@functools.cache
def _commands() -> Callable[..., object]:
    """All of them, made once: Typer would read all their signatures anew for each command that is run."""
    return get_command(root)


def run(args: Sequence[str], *, desk: Desk | None = None) -> int:
    """The exit code of ``narrows *args*``; *desk* stands in for this process's own settings and servers."""
    desk = desk or Desk()
    try:
        _commands()(args=list(args), prog_name="narrows", obj=desk)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except Exception as why:  # noqa: BLE001 - a person is told in one line, whatever it was
        return _told(why, desk)
    return 0


def _told(why: Exception, desk: Desk) -> int:
    """Say what went wrong; the exit code for it."""
    from kombu.exceptions import OperationalError
    from redis.exceptions import RedisError

    from config.settings import SettingsError
    from worker.doctor.checks import explained
    from worker.errors import CacheError, NarrowsError, StateUnavailable

    if isinstance(why, SettingsError):
        complain(*why.problems)
        return MISUSED
    if isinstance(why, (RedisError, StateUnavailable, CacheError)):
        cause = why.__cause__ if isinstance(why, NarrowsError) and why.__cause__ else why
        complain(
            f"the {desk.asked} Redis at {desk.address(desk.asked)} does not serve us: {explained(cause)}"
        )
        return UNREACHABLE
    if isinstance(why, OperationalError):
        complain(f"the broker at {desk.address('broker')} does not serve us: {explained(why)}")
        return UNREACHABLE
    if isinstance(why, NarrowsError):
        complain(str(why))
        return FAILED
    logging.getLogger("narrows").critical("command failed", exc_info=why)
    return FAILED
