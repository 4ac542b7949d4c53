"""``narrows exporter``: the fleet's state for Prometheus, until TERM or Ctrl-C."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson
from worker.cli.output import cell, console, show_json

if TYPE_CHECKING:
    from config.settings import Settings

__all__ = ["exporter"]


def exporter(
    ctx: typer.Context,
    *,
    host: Annotated[
        str | None, typer.Option("--host", help="Where to listen; NARROWS_EXPORTER_HOST without it.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="0 is any free one; NARROWS_EXPORTER_PORT without it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show Prometheus the state of the whole fleet, until TERM or Ctrl-C. One process is enough.

    The addresses are /metrics, /healthz and /readyz. It starts without Redis, and says so.
    """
    from worker.logs import log_as_set

    desk = desk_of(ctx)
    settings = desk.engine.settings
    _refuse_openness(settings, host)
    _refuse_what_workers_refuse(desk)
    log_as_set(settings)
    _serve(desk, host, port, as_json=as_json)


def _refuse_openness(settings: Settings, host: str | None) -> None:
    """The settings were refused where they open it; so is the option."""
    from config.production import shown
    from config.settings import SettingsError

    if host is not None and (problems := list(shown(settings, "--host", host))):
        raise SettingsError(problems)


def _refuse_what_workers_refuse(desk: Desk) -> None:
    """Settings by which a provider cannot be looked at; they would look like a Redis that is away."""
    from worker.snapshot import view

    desk.engine.settings.check_providers(desk.names())
    for name in desk.names():
        view(desk.engine, name)


def _serve(desk: Desk, host: str | None, port: int | None, *, as_json: bool) -> None:
    from worker.exporter import exposition

    asked = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    page = exposition(desk.engine, desk.app, host=host, port=port)
    try:
        page.start()
        _announce(page.url, as_json=as_json)
        asked.wait()
    finally:
        page.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(url: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"address": url})
    else:
        console().print(cell(f"The fleet's state is at {url}/metrics. Ctrl-C ends this."))
