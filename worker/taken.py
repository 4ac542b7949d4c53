"""Messages that a worker has just taken: from which queue, as what, and how they go back into it.

Kombu's Redis transport keeps a message as it lay there, RabbitMQ's client only its parts. What differs
between the two brokers beside their settings (``config/rabbit.py``) is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from kombu.exceptions import OperationalError

from worker.envelope import Intake, is_deep, text_of
from worker.fleet import reached

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RABBIT", "Raw", "Taking", "publish", "raw_of", "taking"]

RABBIT = "amqp"
"""Kombu's word for what a connection to RabbitMQ speaks."""

Raw = dict[str, Any]
"""``headers``, ``properties``, ``content-type``, ``content-encoding``, and the ``body`` in bytes, as sent."""


class Taking(Protocol):
    """What a consumer asks about its messages."""

    def queue_of(self, message: Any) -> str:
        """Where *message*, the last one, was taken from; it says itself only where it was sent to."""

    def put_back(self, message: Any, queue: str) -> bool:
        """Whether *message* lies in *queue* again and is still to be acknowledged."""


def taking(consumer: Any) -> Taking:
    """What stands between Celery's task *consumer* and its broker."""
    if consumer.channel.connection.client.transport.driver_type == RABBIT:
        return _FromRabbit(consumer)
    return _FromRedis(consumer.channel)


class _FromRedis:
    """Lists; what was popped is noted as taken."""

    def __init__(self, channel: Any) -> None:
        self._intake = Intake(channel)

    def queue_of(self, message: Any) -> str:  # noqa: ARG002 - messages come one after the other
        return self._intake.queue

    def put_back(self, message: Any, queue: str) -> bool:
        """Lay it into the very queue that it came from: kombu goes by what the message says of itself."""
        with message.channel.conn_or_acquire() as client:
            client.lpush(queue, text_of(message))
        return True


class _FromRabbit:
    """Queues; what was delivered stays the queue's until it is acknowledged."""

    def __init__(self, consumer: Any) -> None:
        self._tags = consumer._active_tags  # noqa: SLF001 - kombu's only word for which queue a tag stands for

    def queue_of(self, message: Any) -> str:
        info = message.delivery_info
        tag = info.get("consumer_tag")
        return next((queue for queue, own in self._tags.items() if own == tag), str(info.get("routing_key")))

    def put_back(self, message: Any, queue: str) -> bool:  # noqa: ARG002 - it knows its place
        message.requeue()
        return False


def raw_of(message: Any) -> Raw:
    """*message* of either broker, as it was sent."""
    if (raw := getattr(message, "_raw", None)) is not None:
        body = raw.get("body") or b""
        if body:
            body = message.channel.decode_body(body, raw["properties"].get("body_encoding"))
        return {**raw, "body": _bytes(body)}
    headers = {} if is_deep(message.headers) else _plain(message.headers)
    if not message.errors:
        headers.pop("compression", None)  # kombu has unpacked the body
    return {
        "headers": headers,
        "properties": {name: value for name, value in message.properties.items() if _lasts(name, value)},
        "content-type": message.content_type,
        "content-encoding": message.content_encoding,
        "body": _bytes(message.body),
    }


def publish(
    app: Any,
    queue: str,
    body: bytes,
    *,
    content_type: str | None,
    content_encoding: str | None,
    headers: Mapping[str, Any],
    properties: Mapping[str, Any],
) -> None:
    """Lay a message into *queue* of RabbitMQ as it was; the queue has it then.

    Raises:
        kombu.exceptions.OperationalError: It may lie there all the same.
    """
    parts = {"content_type": content_type, "content_encoding": content_encoding, "headers": dict(headers)}
    given = {"delivery_mode": 2} | {name: value for name, value in properties.items() if _lasts(name, value)}
    within = app.conf.broker_transport_options["write_timeout"]
    with reached(app) as connection, connection.channel() as channel:
        message = channel.prepare_message(body, given.pop("priority", None), **parts, properties=given)
        try:
            app.amqp.queues[queue](channel).declare()
            channel.basic_publish(message, exchange="", routing_key=queue, confirm_timeout=within)
        except (*connection.connection_errors, *connection.channel_errors) as why:
            raise OperationalError(type(why).__name__) from None


_OF_THE_BODY = frozenset({"application_headers", "content_type", "content_encoding"})


def _lasts(name: str, value: Any) -> bool:
    """Whether it is a property for a letter; moments and tables are not, and none of ours has them."""
    return name not in _OF_THE_BODY and isinstance(value, str | int)


def _plain(value: Any) -> Any:
    """*value* of a header as JSON can hold it; RabbitMQ knows moments, decimals and bytes, too."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _bytes(body: Any) -> bytes:
    return bytes(body) if isinstance(body, bytes | memoryview) else str(body).encode(errors="surrogatepass")
