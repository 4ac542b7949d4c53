"""What Celery is told of RabbitMQ as its broker: quorum queues, confirmed publishing, bounded waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config import urls

if TYPE_CHECKING:
    from config.settings import Settings

__all__ = ["QUEUE", "broker"]

QUEUE = {"x-queue-type": "quorum"}
"""What RabbitMQ is told of each queue of tasks: kept on disk by most of a cluster's servers."""


def broker(settings: Settings) -> dict[str, Any]:
    """Celery's settings for the broker, in place of those for Redis."""
    return {
        "broker_url": settings.broker_url.get_secret_value(),
        "broker_use_ssl": _ssl(settings),
        "broker_connection_retry_on_startup": True,  # a worker may start before its broker
        "broker_connection_max_retries": None,  # the default gives up after 100 tries
        "broker_connection_timeout": min(2.0, settings.redis_timeout),  # of each try; default 4 s
        "broker_channel_error_retry": False,  # a queue of another type: exit, be seen, be restarted
        "broker_heartbeat": 10,  # a half-open connection is noticed in 20 s; default 4 minutes
        "broker_transport_options": {
            "confirm_publish": True,  # enqueued means that the queue has it
            "write_timeout": settings.redis_timeout,  # without it a publisher hangs with the server
        },
        "task_create_missing_queue_type": QUEUE["x-queue-type"],  # of one that --queues names
        "worker_disable_prefetch": False,  # for Redis alone; worker/consumer.py bounds what is held
    }


def _ssl(settings: Settings) -> dict[str, Any] | None:
    """What a TLS connection needs; None for a plain one."""
    if not urls.is_tls(settings.broker_url.get_secret_value()):
        return None
    import ssl

    tls = settings.tls
    files = {"ca_certs": tls.ca_file, "certfile": tls.cert_file, "keyfile": tls.key_file}
    chosen: dict[str, Any] = {name: file for name, file in files.items() if file}
    if not tls.verify:
        return {**chosen, "cert_reqs": ssl.CERT_NONE}
    # None is the server's own name in the address: without this key py-amqp checks no name at all.
    return {**chosen, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
