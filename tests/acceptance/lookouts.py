"""Where people and programs look: commands, pages, metrics, files, processes, and all that lies in Redis."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from urllib.request import Request, urlopen

from config.settings import settings
from tests.acceptance.hoard import METRICS
from tests.acceptance.onlookers import contents, everything, page
from tests.acceptance.outlets import Outlets
from tests.acceptance.vault import Vault
from tests.fleet import Fleet, until
from tests.sandbox.settings import DOORS
from worker import registry
from worker.application import app
from worker.cli.root import run
from worker.engine import engine
from worker.exporter import Exporter
from worker.survey import Surveyor

__all__ = ["HEARD", "PROCESSES", "REDIS", "ask_commands", "command", "look"]

PROCESSES = Path("/proc")

REDIS, HEARD = "all of redis", "what providers heard"
"""Where private things have to be; not outlets."""

PLACES = ("geoclient.geocode", "mapbox.geocode_mapbox")
"""Whose answers say where somebody lives, to who asked for that."""

COMMANDS = (
    "status", "status --json", "doctor", "doctor --json", "breaker show", "breaker show --json",
    "limits show", "limits show --json", "cache stats --json", "seal status --json", "providers --json",
    "suppression list --json", "dlq list unroutable --json",
)  # fmt: skip
OF_EACH = ("dlq list {}", "dlq list {} --json")
OF_SUBMISSIONS = ("submission list {}", "submission list {} --state accepted --json")


def command(seen: Outlets, words: str) -> None:
    """What ``narrows`` prints."""
    with io.StringIO() as told, redirect_stdout(told), redirect_stderr(told):
        run(words.split())
        seen.note("commands", told.getvalue())


def ask_commands(seen: Outlets, ids: list[str]) -> None:
    """All that looks, and shows private things only to who asks for them."""
    for words in COMMANDS:
        command(seen, words)
    for name in DOORS:
        for words in OF_EACH:
            command(seen, words.format(name))
    for name in ("nyc311", "sendgrid", "twilio"):
        for words in OF_SUBMISSIONS:
            command(seen, words.format(name))
        command(seen, f"dlq audit {name} --json")
        for letter in list(engine().dead_letters(name))[::3]:
            command(seen, f"dlq show {name} {letter['id']}")
            command(seen, f"submission show {letter['id']} --json")
    for each in ids[:: len(ids) // 12]:
        command(seen, f"why {each} --json")


def look(seen: Outlets, fleet: Fleet, here: Vault, calls: Mapping[str, str]) -> None:
    """All places at which a person, or a program, may look."""
    look_at_flower(seen, fleet, list(calls))
    look_at_redis(seen, here, calls)
    inspect = app.control.inspect(timeout=2.0)
    for answer in (inspect.stats(), inspect.conf(with_defaults=True), inspect.active(), inspect.report()):
        seen.note("inspect", answer)
    for worker in fleet.stack.workers:
        for path in ("/metrics", "/readyz", "/healthz"):
            asked = Request(worker.program.address + path, headers={"Authorization": f"Bearer {METRICS}"})  # noqa: S310
            with urlopen(asked, timeout=10) as answer:  # noqa: S310 - loopback
                seen.note("workers' metrics", answer.read())
    seen.note("exporter", Exporter(Surveyor(engine(), app)).page()[1])
    for thing in (settings(), engine(), app, *map(registry.provider, registry.names())):
        seen.note("reprs", f"{thing!r} {thing}")
    for child in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):
            if _ours(child, here):
                seen.note("processes", (child / "cmdline").read_bytes())
    seen.note("logs", fleet.logs)
    for file in Path(here.env["NARROWS_LOG_DIR"]).rglob("*"):
        seen.note("log files", file.read_bytes())


def look_at_flower(seen: Outlets, fleet: Fleet, ids: list[str]) -> None:
    """Its pages and its API."""
    until(lambda: set(ids[-5:]) <= set(json.loads(page(fleet, "/api/tasks?limit=5000"))), 20.0)
    paths = [
        "/api/tasks?limit=5000",
        "/tasks",
        "/workers?json=1",
        "/workers",
        "/api/workers?refresh=1",
        "/broker",
    ]
    paths += [
        "/metrics",
        "/api/queues/length",
        "/tasks/datatable?draw=1&start=0&length=500&order[0][column]=0",
    ]
    paths += [f"/worker/worker-{number}@{os.uname().nodename}" for number in (1, 2)]
    paths += [f"/task/{each}" for each in ids[::8]]
    for path in paths:
        seen.note("flower", page(fleet, path))


def look_at_redis(seen: Outlets, here: Vault, calls: Mapping[str, str]) -> None:
    """All that lies there; of a geocoder's answers, that they do."""
    for server in (here.valkey, here.cache):
        with server.client() as client:
            for key, values in contents(client, *DOORS, "dlq:unroutable"):
                asked = calls.get(key.removeprefix("celery-task-meta-"), "")
                kept = any(key.startswith(f"narrows:{{{each.partition('.')[0]}}}:cache:") for each in PLACES)
                place = "results" if asked else "letters" if key.startswith("dlq:") else "redis"
                seen.note(place, key)
                for value in values:
                    if not kept and not (asked in PLACES and '"SUCCESS"' in value):
                        seen.note(place, value)
            seen.note(REDIS, "\n".join(everything(client)))


def _ours(process: Path, here: Vault) -> bool:
    """Whether it was started with this vault's settings, or serves its Redis."""
    mine = here.valkey.url.encode() in (process / "environ").read_bytes()
    return int(process.name) in {here.valkey.pid, here.cache.pid} or mine
