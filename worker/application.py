"""The Celery application. ``celery -A worker`` finds it here.

Making it reads no setting and opens no connection; its configuration is read when it is first used.
"""

from __future__ import annotations

from typing import Any

from celery import Celery, signals

__all__ = ["app"]


def _configuration() -> dict[str, Any]:
    from config.celery import celery_settings
    from config.settings import settings

    chosen = celery_settings(settings())
    if chosen["result_backend"].startswith(("redis://", "rediss://")):
        chosen["result_backend"] = f"worker.results:Results+{chosen['result_backend']}"
    return chosen


app = Celery(
    "narrows",
    amqp="worker.sealed_messages:SealedAMQP",
    control="worker.revocation:RecordedControl",
    events="worker.events:PacedEvents",
    include=["tasks"],
)
app.add_defaults(_configuration)
app.steps["worker"].update(f"worker.service:{step}" for step in ("Preflight", "Sweeper", "Observatory"))


@signals.setup_logging.connect(weak=False)
def _log_our_way(**_: Any) -> None:
    """Celery's processes log as we do."""
    from config.logging import setup_logging
    from config.settings import settings
    from worker.context import log_fields

    chosen = settings()
    pretty = {"auto": None, "json": False, "pretty": True}[chosen.log_format]
    setup_logging(chosen.log_level, environment=chosen.environment, pretty=pretty, context=log_fields)
