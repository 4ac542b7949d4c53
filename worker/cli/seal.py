"""``narrows seal``: keys for arguments at rest, what is sealed with which, and sealing it anew."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson
from worker.cli.output import cell, complain, console, counting, show_json, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sealing.resealing import Resealing

__all__ = ["commands"]

commands = typer.Typer(help="Look after the keys that seal arguments at rest.", no_args_is_help=True)

T = TypeVar("T")

_KINDS = ("records", "letters", "audit", "broker", "unroutable")

Provider = Annotated[str | None, typer.Argument(metavar="PROVIDER", help="One; all without it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What lies at one provider under one key.

    Attributes:
        key: Its id; "" for what should be sealed and lies in clear.
        standing: ``newest``, ``older``, ``missing`` (it is not in the settings) or ``clear``.
    """

    provider: str
    key: str
    standing: str
    records: int
    letters: int
    audit: int
    broker: int
    unroutable: int

    @property
    def kept(self) -> int:
        """What ``rotate`` can seal anew."""
        return self.records + self.letters + self.audit


@commands.command("key")
def key() -> None:
    """Print a new key for NARROWS_SEALING_KEYS, and on standard error the id by which it is known."""
    from cryptography.fernet import Fernet

    from worker.keys import digest

    made = Fernet.generate_key().decode()
    sys.stdout.write(f"{made}\n")
    sys.stdout.flush()
    sys.stderr.write(f"its id is {digest(made)}; whoever has the key reads what it seals\n")


@commands.command("status")
def status(ctx: typer.Context, *, provider: Provider = None, as_json: AsJson = False) -> None:
    """Count records, dead letters, audit entries and messages by the key that sealed them.

    Messages are those in the broker, and those that no worker could take.
    """
    desk = desk_of(ctx)
    found = _census(desk, _names(desk, provider))
    _show(desk, found, as_json=as_json)


@commands.command("rotate")
def rotate(ctx: typer.Context, *, provider: Provider = None, as_json: AsJson = False) -> None:
    """Seal all that lies in Redis with the newest key, and say whether the older ones are needed still.

    Calls go on meanwhile. Killed half-way, it goes on with what is left when it is started again.
    """
    desk = desk_of(ctx)
    if not desk.engine.settings.sealing_keys:
        complain("NARROWS_SEALING_KEYS is not set: `narrows seal key` makes a key")
        raise typer.Exit(2)
    names = _names(desk, provider)
    done = sum(_walk(desk, names, "sealing anew", lambda each: each.rotate()))
    found = _census(desk, names)
    left = [each for each in found if each.standing != "newest"]
    if not as_json:
        console().print(cell(f"{done} sealed with key {desk.engine.sealer.newest}", "bold"))
    _show(desk, found, as_json=as_json, done=done)
    if left:
        raise typer.Exit(1)


def _names(desk: Desk, provider: str | None) -> list[str]:
    return [desk.provider(provider)] if provider else list(desk.names())


def _walk(desk: Desk, names: list[str], what: str, work: Callable[[Resealing], T]) -> list[T]:
    """What *work* says of each provider, with a progress bar."""
    from worker.application import app
    from worker.sealing.resealing import Resealing

    engine, tasks, state = desk.engine, app.tasks, desk.state
    size = sum(Resealing(state, engine.sealer, name, tasks=tasks).size for name in names)
    with counting(what, size) as advance:
        return [work(Resealing(state, engine.sealer, name, tasks=tasks, advance=advance)) for name in names]


def _census(desk: Desk, names: list[str]) -> list[Sealed]:
    from worker.sealing.places import unroutable

    censuses = _walk(desk, names, "counting", lambda each: each.census())
    queues = _queues(desk, names)
    strange = unroutable(desk.state)
    found = []
    for name, census, queue in zip(names, censuses, queues, strict=True):
        counts = {**census, "broker": queue, "unroutable": strange.get(name, Counter())}
        for one in sorted({key_id for each in counts.values() for key_id in each}):
            numbers = {kind: counts[kind][one] for kind in _KINDS}
            found.append(Sealed(provider=name, key=one, standing=_standing(desk, one), **numbers))
    return found


def _queues(desk: Desk, names: list[str]) -> list[Counter[str]]:
    """What lies in each provider's queue; nothing is known of RabbitMQ's, where who looks takes."""
    from config import urls
    from worker.sealing.queue import messages
    from worker.stores import connect

    settings = desk.engine.settings
    if urls.is_rabbit(settings.broker_url.get_secret_value()):
        return [Counter() for _ in names]
    desk.asked = "broker"
    with connect(settings.broker_url.get_secret_value(), settings) as broker:
        return [messages(broker, name) for name in names]


def _standing(desk: Desk, key_id: str) -> str:
    sealer = desk.engine.sealer
    if not key_id:
        return "clear"
    if key_id == sealer.newest:
        return "newest"
    return "older" if sealer.opens(key_id) else "missing"


def _show(desk: Desk, found: list[Sealed], *, as_json: bool, done: int | None = None) -> None:
    advice = _advice(desk, found)
    if as_json:
        more = {} if done is None else {"resealed": done}
        show_json({**more, "sealed": [asdict(each) for each in found], "advice": advice})
        return
    if found:
        columns = ("Provider", "Key", "Standing", *(kind.capitalize() for kind in _KINDS))
        drawn = table(*columns, numbers=columns[3:], whole=columns[:2])
        for each in found:
            counts = (cell(getattr(each, kind)) for kind in _KINDS)
            drawn.add_row(cell(each.provider, "bold"), cell(each.key or None), cell(each.standing), *counts)
        console().print(drawn)
    for line in advice:
        console().print(cell(line))


def _advice(desk: Desk, found: list[Sealed]) -> list[str]:
    """What is to be done about keys, a line each; last, whether the older ones may go."""
    from config import urls

    sealer = desk.engine.sealer
    missing = sorted({each.key for each in found if each.standing == "missing"})
    lines = [f"key {one} is not in NARROWS_SEALING_KEYS: what it sealed cannot be opened" for one in missing]
    kept = sum(each.kept for each in found if each.standing in {"older", "clear"})
    queued = sum(each.broker for each in found if each.standing == "older")
    strange = sum(each.unroutable for each in found if each.standing == "older")
    older = ", ".join(one for one in sealer.ids if one != sealer.newest)
    if older and urls.is_rabbit(desk.engine.settings.broker_url.get_secret_value()):
        lines.append("messages in RabbitMQ are not counted: keep older keys until its queues have been empty")
    if kept:
        lines.append(f"{kept} to be sealed with the newest key: narrows seal rotate")
    if not older:
        return lines
    if kept or queued or strange:
        still = f", and {queued} messages in the broker" if queued else ""
        if strange:
            still += f", and {strange} in dlq:unroutable: replay or discard those"
        lines.append(
            f"keep the older keys ({older}): {kept} records, letters or audit entries need them{still}"
        )
    else:
        lines.append(
            f"nothing here needs the older keys ({older}): they may go, once no producer seals with them"
        )
    return lines
