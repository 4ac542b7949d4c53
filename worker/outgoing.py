"""The last step of every task message: what ties it to its signature, and what its broker wants beside it.

``delay``, a chain's next step, beat, the releaser and the reconciler publish all through here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config import urls
from config.signed import SERIALIZER

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

__all__ = ["outgoing"]


def outgoing(app: Celery, publish: Callable[..., Any]) -> Callable[..., Any]:
    """*publish*, Celery's own sender of task messages, as *app*'s settings have it."""
    on_rabbit = urls.is_rabbit(str(app.conf.broker_url))
    within = app.conf.broker_transport_options.get("write_timeout")
    serializer = app.conf.task_serializer
    signs = serializer == SERIALIZER

    def send(producer: Any, name: str, message: Any, **options: Any) -> Any:
        options["serializer"] = serializer  # a record may be older than the settings
        if signs:
            from worker.signing.binding import bound

            message = bound(message, options.get("headers"))
        if on_rabbit:
            # RabbitMQ would throw it away when it expires; a worker ends the call, and its caller hears.
            options.pop("expiration", None)
            options["confirm_timeout"] = within
        return publish(producer, name, message, **options)

    return send
