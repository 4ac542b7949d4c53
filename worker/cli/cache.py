"""``narrows cache``: how many answers are kept, and forgetting them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson
from worker.cli.output import cell, console, show_json, table, working

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["commands"]

commands = typer.Typer(help="Count the kept answers, or forget them.", no_args_is_help=True)

Provider = Annotated[str | None, typer.Option(help="One provider's only.")]


@commands.command("stats")
def stats(ctx: typer.Context, *, provider: Provider = None, as_json: AsJson = False) -> None:
    """Count the answers that the cache Redis keeps for each provider, and the memory it uses.

    Hits and misses are counted by each worker and shown on its /metrics.
    """
    from worker.keys import keys
    from worker.stack.redis_server import examined

    desk = desk_of(ctx)
    names = _chosen(desk, provider)
    with working("counting answers"):
        server = examined(desk.cache_redis)
        kept = {name: desk.cache.statistics(keys(name).cached("*")) for name in names}
    if as_json:
        providers = [
            {"provider": name, "entries": each.redis_entries, "bytes": each.redis_bytes}
            for name, each in kept.items()
        ]
        about = {"used_bytes": server.used, "limit_bytes": server.limit or None, "policy": server.policy}
        show_json({"providers": providers, "server": about})
        return
    drawn = table("Provider", "Entries", "Bytes", numbers=("Entries", "Bytes"))
    for name, each in kept.items():
        drawn.add_row(cell(name, "bold"), cell(f"{each.redis_entries:,}"), cell(f"{each.redis_bytes:,}"))
    console().print(drawn)
    most = f" of {server.limit:,}" if server.limit else ""
    console().print()
    console().print(cell(f"The server uses {server.used:,}{most} bytes; when full: {server.policy}"))


@commands.command("clear")
def clear(
    ctx: typer.Context,
    *,
    provider: Provider = None,
    pattern: Annotated[
        str, typer.Option(help="Only requests whose fingerprint is like this; * and ? stand for any.")
    ] = "*",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget kept answers, fresh and stale, so that they are fetched anew.

    Only cached answers are touched, whatever the pattern. A worker's own memory may hold one for some minutes
    longer.
    """
    from worker.keys import keys

    desk = desk_of(ctx)
    names = _chosen(desk, provider)
    if not yes:
        typer.confirm(f"Forget the answers of {', '.join(names)}?", abort=True, err=True)
    with working("forgetting answers"):
        gone = {name: desk.cache.clear(keys(name).cached(pattern)) for name in names}
    if as_json:
        show_json({"forgotten": gone})
        return
    for name, number in gone.items():
        console().print(cell(f"{name}: {number:,} answers forgotten"))
    if longest := _memory(names):
        console().print(cell(f"Workers may hold some in memory for up to {longest:g} s", "dim"))


def _chosen(desk: Desk, provider: str | None) -> tuple[str, ...]:
    return desk.names() if provider is None else (desk.provider(provider),)


def _memory(names: Iterable[str]) -> float:
    """Seconds that an answer lives in a worker's memory at most."""
    from worker import registry

    kept = (registry.provider(name).caching for name in names)
    return max((each.memory for each in kept if each is not None), default=0.0)
