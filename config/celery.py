"""Celery's settings, each with its reason. The numbers were measured on Celery 5.7 (docs/why.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from config import rabbit, urls
from config.queues import UPKEEP, route
from config.schedule import schedule
from config.signed import SERIALIZER

if TYPE_CHECKING:
    from pydantic import SecretStr

    from config.settings import Settings

__all__ = ["celery_settings"]

BEAT_PREFIX = "narrows:{upkeep}:beat:"
BEAT_LOCK = f"{BEAT_PREFIX}lock"
"""A string that the beat which ticks holds; it runs out after 15 s."""


def celery_settings(settings: Settings) -> dict[str, Any]:
    """What ``app.conf`` holds. Every process of a fleet must have the same."""
    return {
        **_results(settings),
        **_tasks(settings),
        **_worker(settings),
        **_beat(settings),
        **_broker(settings),
        **_signing(settings),
    }


def _broker(settings: Settings) -> dict[str, Any]:
    if urls.is_rabbit(settings.broker_url.get_secret_value()):
        return rabbit.broker(settings)
    return {
        "broker_url": urls.celery_form(settings.broker_url.get_secret_value()),
        "broker_use_ssl": _ssl(settings, settings.broker_url),
        "broker_connection_retry_on_startup": True,  # a worker may start before its broker
        "broker_connection_max_retries": None,  # the default gives up after 100 tries
        "broker_channel_error_retry": False,  # out of memory or read-only: exit, be seen, be restarted
        "broker_transport_options": {
            "visibility_timeout": settings.visibility_timeout,  # the default hour would hide a lost worker
            "unacked_restore_interval": 5,  # look for what is overdue every 5 s x 1; default 10 x 10
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 30,  # a sweep killed half-way blocks the next ones; default 5 minutes
            "socket_timeout": settings.redis_timeout,  # without it a publisher hangs with the server
            "socket_connect_timeout": min(2.0, settings.redis_timeout),
            "socket_keepalive": True,
            "health_check_interval": 5,  # a half-open connection is noticed in 11 s; default 51 s
            "retry_on_timeout": False,  # a repeated LPUSH is a second message
            "priority_steps": [0],  # queues, not priorities: a BRPOP of a quarter of the keys
            "queue_order_strategy": "round_robin",  # no queue starves behind another
            **_sentinel(settings, settings.broker_url),
        },
    }


def _signing(settings: Settings) -> dict[str, Any]:
    """Tasks and control commands are signed; events and results, which order nothing, stay JSON."""
    if not settings.signing.wanted:
        return {}
    return {"task_serializer": SERIALIZER, "accept_content": [SERIALIZER], "event_serializer": "json"}


def _results(settings: Settings) -> dict[str, Any]:
    return {
        "result_backend": urls.celery_form(settings.result_url.get_secret_value()),
        "redis_backend_use_ssl": _ssl(settings, settings.result_url),
        "result_expires": settings.result_expires,  # one key for each task, so they must go
        "result_serializer": "json",
        "result_accept_content": ["json"],
        "result_extended": False,  # arguments do not belong beside results
        "result_backend_always_retry": False,  # fail fast; the record knows what happened
        "result_backend_transport_options": {
            "retry_policy": {
                "max_retries": 3,
                "interval_start": 0,
                "interval_step": 0.2,
                "interval_max": 0.5,
            },
            **_sentinel(settings, settings.result_url),
        },
        "redis_socket_timeout": settings.redis_timeout,  # default two minutes
        "redis_socket_connect_timeout": min(2.0, settings.redis_timeout),
        "redis_socket_keepalive": True,
        "redis_retry_on_timeout": False,
    }


def _tasks(settings: Settings) -> dict[str, Any]:
    return {
        "task_default_queue": UPKEEP,
        "task_routes": (route,),
        "task_serializer": "json",
        "accept_content": ["json"],  # never pickle: it runs what it reads
        "task_acks_late": False,  # a late ack doubles all that is in flight when a connection resets
        "task_reject_on_worker_lost": False,  # the record's lease brings a lost call back, and counts
        "task_acks_on_failure": True,  # the record decides what follows, not the queue
        "task_acks_on_timeout": True,
        "task_publish_retry": True,
        "task_publish_retry_policy": {  # give up fast: the record stands, the reconciler publishes it
            "max_retries": 2,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.5,
        },
        "task_track_started": False,  # one more write for each task; the record shows who runs it
        "task_time_limit": settings.task_time_limit,  # prefork only; threads go by the HTTP deadline
        "task_soft_time_limit": settings.task_time_limit * 0.9,
        "task_send_sent_event": False,  # one more message for each task
        "task_store_errors_even_if_ignored": False,
        "enable_utc": True,
        "timezone": "UTC",
    }


def _worker(settings: Settings) -> dict[str, Any]:
    return {
        "worker_consumer": "worker.consumer:Consumer",  # keeps the messages that Celery throws away
        "worker_pool": settings.worker_pool,  # calls wait on the network; gevent restores no expired messages
        "worker_concurrency": settings.worker_concurrency,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,  # hold only what runs: what is held is what a kill loses
        "worker_enable_prefetch_count_reduction": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # would kill a POST half-way
        "worker_soft_shutdown_timeout": 20.0,  # for QUIT only; TERM waits for what runs
        "worker_enable_soft_shutdown_on_idle": False,  # matters to countdowns alone
        "worker_max_tasks_per_child": 2000,  # prefork only: bounds what a leak can take
        "worker_enable_remote_control": True,  # Flower and ping need it; gossip and mingle go by flag
        "worker_send_task_events": True,  # Flower lives on them
        "worker_hijack_root_logger": False,  # config.logging sets logging up
        "worker_redirect_stdouts": False,  # our log lines go to stderr and must not come round again
    }


def _beat(settings: Settings) -> dict[str, Any]:
    url = settings.state_url
    addresses = urls.sentinels(url.get_secret_value())
    return {
        "beat_scheduler": "worker.beat:Scheduler",  # redbeat, whose lock outlives a moment without Redis
        "beat_schedule": schedule(),
        "beat_max_loop_interval": 3,
        # Without its account: who inspects a worker is shown this address, and options with masked passwords.
        "redbeat_redis_url": "redis-sentinel://" if addresses else urls.bare(url.get_secret_value()),
        "redbeat_redis_use_ssl": _ssl(settings, url),
        "redbeat_redis_options": _beat_sentinel(settings) if addresses else _beat_client(settings),
        "redbeat_key_prefix": BEAT_PREFIX,
        "redbeat_lock_key": BEAT_LOCK,
        "redbeat_lock_timeout": 15,  # a standby takes over then; the default is 25 minutes
    }


def _ssl(settings: Settings, url: SecretStr) -> dict[str, Any] | None:
    """What a TLS connection needs; None for a plain one."""
    if not urls.is_tls(url.get_secret_value()):
        return None
    import ssl

    files = {
        "ssl_ca_certs": settings.tls.ca_file,
        "ssl_certfile": settings.tls.cert_file,
        "ssl_keyfile": settings.tls.key_file,
    }
    mode = ssl.CERT_REQUIRED if settings.tls.verify else ssl.CERT_NONE
    return {"ssl_cert_reqs": mode, **{name: file for name, file in files.items() if file}}


def _sentinel(settings: Settings, url: SecretStr) -> dict[str, Any]:
    """The transport's options for sentinel://; none for any other address."""
    if not urls.sentinels(url.get_secret_value()):
        return {}
    return {"master_name": settings.sentinel.primary, "sentinel_kwargs": _sentinel_account(settings)}


def _sentinel_account(settings: Settings) -> dict[str, Any]:
    sentinel = settings.sentinel
    account = {
        "username": sentinel.username,
        "password": sentinel.password.get_secret_value() if sentinel.password else None,
        "socket_timeout": settings.redis_timeout,  # without it whoever asks hangs with the Sentinel
    }
    return {name: value for name, value in account.items() if value}


def _account(settings: Settings) -> dict[str, str]:
    """User and password of the state Redis, as far as it wants them."""
    node = urls.nodes(settings.state_url.get_secret_value())[0]
    account = {"username": unquote(node.username or ""), "password": unquote(node.password or "")}
    return {name: value for name, value in account.items() if value}


def _beat_client(settings: Settings) -> dict[str, Any]:
    return {"socket_timeout": settings.redis_timeout, "socket_keepalive": True, **_account(settings)}


def _beat_sentinel(settings: Settings) -> dict[str, Any]:
    url = settings.state_url.get_secret_value()
    node = urls.nodes(url)[0]
    return {
        "sentinels": urls.sentinels(url),
        "service_name": settings.sentinel.primary,
        "sentinel_kwargs": _sentinel_account(settings),
        "db": int(node.path.strip("/") or 0),
        "socket_timeout": settings.redis_timeout,
        **_account(settings),
    }
