"""``narrows providers``: what each provider's module declares of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson
from worker.cli.output import cell, console, show_json, table

if TYPE_CHECKING:
    from worker.cli.provider_facts import Facts

__all__ = ["providers"]

_COLUMNS = ("Provider", "Rate", "Quota", "Breaker", "Kept", "Read on")


def providers(
    ctx: typer.Context,
    *,
    provider: Annotated[str | None, typer.Argument(metavar="PROVIDER", help="One; all without it.")] = None,
    as_json: AsJson = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/providers.md, as make docs does.")
    ] = False,
) -> None:
    """Show what each provider's module declares: tasks, limits, sources, and what is unverified.

    Settings may replace the numbers; `limits show` has those in force.
    """
    desk = desk_of(ctx)
    found = _facts(desk, [desk.provider(provider)] if provider else list(desk.names()))
    if as_json:
        show_json([each.data for each in found])
    elif as_markdown:
        from worker.cli.provider_page import page

        typer.echo(page(found), nl=False)
    elif provider:
        _show(found[0])
    else:
        _list(found)


def _facts(desk: Desk, names: list[str]) -> list[Facts]:
    from worker import registry
    from worker.cli.provider_facts import facts

    return [facts(desk.app, registry.provider(name)) for name in names]


def _list(found: list[Facts]) -> None:
    from worker.cli import provider_words as words

    drawn = table(*_COLUMNS, whole=_COLUMNS[:1])
    for each in found:
        provider = each.provider
        drawn.add_row(
            cell(provider.name, "bold"),
            cell(words.rate(provider.rate)),
            cell(provider.quota and f"{provider.quota.limit:,} a day"),
            cell(words.breaker(provider.breaker).partition(";")[0]),
            cell(words.caching(provider.caching, each.source.kept)),
            cell(each.source.read_on.partition(",")[0]),
        )
    console().print(drawn)


def _show(each: Facts) -> None:
    from worker.cli import provider_words as words

    provider, source = each.provider, each.source
    rows = dict(words.declared(provider, kept=source.kept))
    rows |= {f"option {name}": words.option(one) for name, one in provider.options.items()}
    signs = words.meanings(each.signs) if each.signs else {}
    rows |= {"its answers": each.judge, **{f"means {name}": said for name, said in signs.items()}}
    rows |= {"documentation": source.docs, "its limits": source.limits, "quirks": source.quirks}
    rows |= {"unverified": source.unverified, "read on": source.read_on}
    drawn = table(provider.name, source.about, whole=(provider.name,))
    for offer in each.offers:
        drawn.add_row(cell(offer.call.partition("(")[0], "bold"), cell(offer.does.replace("`", "")))
    for name, said in rows.items():
        drawn.add_row(cell(name), cell(said.replace("`", "")))
    console().print(drawn)
