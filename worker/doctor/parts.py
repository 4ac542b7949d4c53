"""What ``narrows doctor`` finds of our own processes and of what is installed."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from config.celery import BEAT_LOCK
from config.queues import UPKEEP
from worker import registry
from worker.doctor import pins
from worker.doctor.checks import Ailment, Finding
from worker.fleet import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from config.settings import Settings
    from worker.engine import Engine

__all__ = ["beat", "exporter", "packages", "results", "workers"]

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - asked, not bound
"""Where to ask one that listens everywhere."""


def packages() -> Iterator[Finding]:
    """Whether the installed ones are those that were locked and tested."""
    try:
        unlike = pins.unlike()
    except FileNotFoundError:
        yield Finding(name="packages", ok=True, detail="no lock beside the code")
        return
    detail = ", ".join(unlike) or "as locked"
    advice = "make install, or build the image anew" if unlike else ""
    yield Finding(name="packages", ok=True, detail=detail, advice=advice)


def workers(app: Celery) -> Iterator[Finding]:
    """Those that answer within a second, and the queues from which none of them takes."""
    found = serving(app)
    if not found:
        raise Ailment("none answers", "start one: narrows up, or celery -A worker worker")
    yield Finding(name="workers", ok=True, detail=f"{len(found)}: {', '.join(found)}")
    left = sorted({UPKEEP, *registry.names()} - frozenset().union(*found.values()))
    detail = f"nobody serves {', '.join(left)}" if left else "each is served"
    cure = "start a worker without --queues, or with these; their calls wait until then" if left else ""
    yield Finding(name="queues", ok=True, detail=detail, advice=cure)


def results(app: Celery) -> Iterator[Finding]:
    """Whether Celery reaches its result store as it is configured."""
    app.backend.client.ping()
    yield Finding(name="results", ok=True, detail="Celery reaches them")


def beat(engine: Engine, *, wanted: bool = False) -> Iterator[Finding]:
    """Whether some beat holds the lock; a failure only where that is what was *wanted*."""
    runs = bool(engine.state.exists(BEAT_LOCK))
    cure = "" if runs else "start one: celery -A worker beat; nothing is watched or replayed without"
    detail = "runs" if runs else "does not run"
    yield Finding(name="beat", ok=runs or not wanted, detail=detail, advice=cure)


def exporter(settings: Settings, *, wanted: bool = False) -> Iterator[Finding]:
    """Whether one answers where the settings have it; a failure as above."""
    host, port = EVERYWHERE.get(settings.exporter_host, settings.exporter_host), settings.exporter_port
    answers = _is_ours(host, port)
    cure = "" if answers else "start one: narrows exporter; or NARROWS_EXPORTER_HOST is another's here"
    detail = f"{'answers' if answers else 'none answers'} at {host} port {port}"
    yield Finding(name="exporter", ok=answers or not wanted, detail=detail, advice=cure)


def _is_ours(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=2.0)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status == 200 and (answer.getheader("Server") or "").startswith("narrows")  # noqa: PLR2004 - OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
