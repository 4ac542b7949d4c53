"""The Celery application. ``celery -A worker`` finds it here.

Making it reads no setting and opens no connection; its configuration is read when it is first used.
"""

from __future__ import annotations

from typing import Any

from celery import Celery, signals

__all__ = ["app"]


def _configuration() -> dict[str, Any]:
    from config import urls
    from config.celery import celery_settings
    from config.settings import settings

    chosen = celery_settings(settings())
    chosen["result_backend"] = _told_more(chosen["result_backend"])
    if urls.is_rabbit(chosen["broker_url"]):
        from worker.frames import careful

        chosen["broker_transport_options"]["frame_handler"] = careful
    if settings().signing.wanted:
        from worker.signing.signer import install

        install(settings())
    return chosen


def _told_more(url: str) -> str:
    """*url* of a result store, read by our own class where there is one."""
    if url.startswith(("redis://", "rediss://", "redis+socket://")):
        return f"worker.results:Results+{url.removeprefix('redis+')}"
    return f"worker.results:SentinelResults+{url}" if url.startswith("sentinel://") else url


app = Celery(
    "narrows",
    amqp="worker.sealing.messages:SealedAMQP",
    control="worker.revocation:RecordedControl",
    events="worker.events:PacedEvents",
    include=["tasks"],
)
app.add_defaults(_configuration)
app.steps["consumer"].add("worker.doctor.liveness:Liveness")
app.steps["worker"].update(f"worker.service:{step}" for step in ("Preflight", "Sweeper", "Observatory"))


@signals.setup_logging.connect(weak=False)
def _log_our_way(**_: Any) -> None:
    """Celery's processes log as we do."""
    from config.settings import settings
    from worker.logs import log_as_set

    log_as_set(settings())


@signals.import_modules.connect(weak=False)
def _close_flower(**_: Any) -> None:
    """However Flower is started, it is for one account."""
    from worker.flower import closed, starts_here

    if starts_here():
        from flower.options import options

        from config.settings import settings

        chosen = settings().flower_basic_auth
        closed(options, chosen.get_secret_value() if chosen else "")
