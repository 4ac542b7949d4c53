"""Those who look at what is not theirs: at Celery's events, at Flower, and at all that lies in Redis."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Self
from urllib.request import Request, urlopen

from redis import Redis

from tests.fleet import Fleet, until
from worker.application import app

__all__ = ["Events", "contents", "everything", "page"]


class Events:
    """All of Celery's events, as whoever listens gets them."""

    def __init__(self) -> None:
        self.caught: list[dict[str, Any]] = []
        self._receiver: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Return once it is heard: what is said to nobody is gone."""
        with app.connection() as connection:
            before = _listeners(connection)
            self._thread.start()
            until(lambda: _listeners(connection) > before)
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.should_stop = True
        self._thread.join(10.0)

    def of(self, task_id: str) -> set[str]:
        """The kinds of events of one task."""
        return {event["type"] for event in self.caught if event.get("uuid") == task_id}

    def _run(self) -> None:
        with app.connection() as connection:
            self._receiver = app.events.Receiver(connection, handlers={"*": self.caught.append})
            self._receiver.capture(limit=None, timeout=None, wakeup=False)


def _listeners(connection: Any) -> int:
    """How many connections listen to something at the broker."""
    return len(connection.default_channel.client.client_list(_type="pubsub"))


def contents(client: Redis, *queues: str) -> Iterator[tuple[str, list[str]]]:
    """Every key with all that it holds, but for messages, also of *queues*, and a letter's arguments."""
    for raw in client.scan_iter(count=1000):
        key = raw.decode()
        values = [value for name, value in _pieces(client, key) if not _may_hold(key, name, queues)]
        yield key, [_letter_without_arguments(value) if key.startswith("dlq:") else value for value in values]


def _may_hold(key: str, name: str, queues: Collection[str]) -> bool:
    """Whether a payload may stand there: in the field of a record, or in a message of the broker."""
    return (":call:" in key and name == "message") or key in {*queues, "unacked"}


def _letter_without_arguments(raw: str) -> str:
    """A dead letter as everybody may read it."""
    letter = json.loads(raw)
    return json.dumps({name: value for name, value in letter.items() if name not in {"args", "kwargs"}})


def everything(client: Redis) -> Iterator[str]:
    """Every key with all that it holds."""
    for raw in client.scan_iter(count=1000):
        key = raw.decode()
        yield key
        yield from (value for _, value in _pieces(client, key))


def _pieces(client: Redis, key: str) -> Iterable[tuple[str, str]]:
    """Name and value of each thing under *key*, whatever its type."""
    server: Any = client
    read: dict[bytes, Callable[[], Any]] = {
        b"string": lambda: {b"": server.get(key) or b""},
        b"hash": lambda: server.hgetall(key),
        b"list": lambda: dict(enumerate(server.lrange(key, 0, -1))),
        b"set": lambda: dict(enumerate(server.smembers(key))),
        b"zset": lambda: dict(enumerate(server.zrange(key, 0, -1))),
        b"stream": lambda: {name: repr(fields).encode() for name, fields in server.xrange(key)},
    }
    found = read.get(server.type(key), dict)()  # one that has just expired holds nothing
    for name, value in found.items():
        text = name.decode() if isinstance(name, bytes) else ""
        yield text, text + " " + value.decode("utf-8", "backslashreplace")


def page(fleet: Fleet, path: str) -> str:
    """What Flower shows at *path* to somebody whom it knows."""
    request = Request(fleet.stack.addresses["flower"] + path)  # noqa: S310 - loopback
    user = base64.b64encode(fleet.programs.flower_auth.encode()).decode()
    request.add_header("Authorization", f"Basic {user}")
    with urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        body: bytes = answer.read()
    return body.decode()
