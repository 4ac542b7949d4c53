"""docs/providers.md: every provider, from its module."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from worker.choice import variable
from worker.cli import provider_words as words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.cli.provider_facts import Facts

__all__ = ["page"]

HEAD = """# Providers

Written by `make docs` from the modules in [tasks](../tasks): edit those. `narrows providers PROVIDER` shows
the same, and `--json` gives it to programs.

The numbers are those that the modules declare; a deployment replaces them by
`NARROWS_PROVIDERS__<NAME>__…`. What was learnt of a provider's limits is shown by `narrows limits show`.
*Unverified* is what we lean on without having seen it in an answer of the provider or in what its owner
publishes.
"""
_ADDRESS = re.compile(r"(?<![\w(<`])(https?://[^\s`]*[\w/])")


def page(all_of_them: Sequence[Facts]) -> str:
    """The document, as Markdown."""
    parts = [HEAD, *_overview(all_of_them)]
    for each in all_of_them:
        parts += ["", *_section(each)]
    return "\n".join(parts).rstrip() + "\n"


def _overview(all_of_them: Sequence[Facts]) -> Iterator[str]:
    yield "| provider | tasks | rate | quota | answers kept | read on |"
    yield "|---|---|---|---|---|---|"
    for each in all_of_them:
        provider = each.provider
        tasks = ", ".join(f"`{offer.task.partition('.')[2]}`" for offer in each.offers)
        yield _row(
            f"[`{provider.name}`](#{provider.name})",
            tasks,
            words.rate(provider.rate),
            f"{provider.quota.limit:,} a day" if provider.quota else "",
            words.caching(provider.caching, each.source.kept),
            each.source.read_on.partition(",")[0],
        )


def _section(each: Facts) -> Iterator[str]:
    provider, source = each.provider, each.source
    yield f"## {provider.name}"
    yield ""
    yield _text(source.about)
    yield ""
    yield "| task | gives | when in doubt |"
    yield "|---|---|---|"
    for offer in each.offers:
        yield _row(f"`{offer.call}`", _text(offer.does), words.resend(offer.resend) if offer.resend else "")
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, said in words.declared(provider, kept=source.kept).items():
        yield _row(name, said)
    for name, option in provider.options.items():
        yield _row(f"option `{name}`", f"{words.option(option)} (`{variable(provider.name, name)}`)")
    if each.judge:
        yield _row("its answers", _text(each.judge))
    for verdict, signs in (words.meanings(each.signs) if each.signs else {}).items():
        yield _row(f"means *{verdict}*", signs)
    yield _row("documentation", _text(source.docs))
    yield _row("its limits", _text(source.limits))
    yield _row("quirks", _text(source.quirks))
    yield _row("**unverified**", _text(source.unverified))
    yield _row("read on", _text(source.read_on))


def _text(said: str) -> str:
    """A docstring's text, in which addresses are links."""
    parts = re.split(r"(`[^`]*`)", said)
    parts[::2] = [_ADDRESS.sub(r"<\1>", part.replace("<", "&lt;")) for part in parts[::2]]
    return "".join(parts)


def _row(*cells: str) -> str:
    return "| " + " | ".join(each.replace("|", "\\|") or "-" for each in cells) + " |"
