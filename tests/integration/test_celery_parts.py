"""Celery's parts that we replace, against a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from celery import Celery, states
from redis import Redis

from worker.results import LOOK, Results


@pytest.fixture
def app(redis_url: str) -> Iterator[Celery]:
    """An application with our events and our result store."""
    made = Celery("parts", events="worker.events:PacedEvents", set_as_current=False)
    made.conf.update(broker_url=redis_url, result_backend=f"worker.results:Results+{redis_url}")
    yield made
    made.close()


def test_a_success_is_stored_and_read_back(app: Celery) -> None:
    """Through our class, in Celery's format."""
    app.backend.mark_as_done("t1", {"answer": 42})

    assert isinstance(app.backend, Results)
    assert app.AsyncResult("t1").get(timeout=5) == {"answer": 42}


@pytest.mark.parametrize("late", [states.RETRY, states.FAILURE, states.REVOKED])
def test_nothing_overwrites_a_success(app: Celery, late: str) -> None:
    """A worker that slept through its lease may still store how it ended."""
    app.backend.store_result("t1", "done", states.SUCCESS)

    app.backend.store_result("t1", ValueError("late"), late)

    assert app.AsyncResult("t1").state == states.SUCCESS


def test_a_success_costs_one_round_trip(app: Celery, state: Redis) -> None:
    """And a failure Celery's two."""
    app.backend.store_result("t0", "warm", states.SUCCESS)
    state.config_resetstat()
    app.backend.store_result("t1", "done", states.SUCCESS)
    looked_for_success = "cmdstat_get" in state.info("commandstats")
    app.backend.store_result("t2", ValueError("no"), states.FAILURE)
    looked_for_failure = "cmdstat_get" in state.info("commandstats")

    assert (looked_for_success, looked_for_failure) == (False, True)


def test_who_waits_finds_a_result_of_which_no_news_came(app: Celery) -> None:
    """A server that hangs, or was lost in a failover, tells nobody; what is stored is looked at again."""
    told = {"status": states.SUCCESS, "result": 42, "traceback": None, "children": [], "task_id": "t1"}
    key = app.backend.get_key_for_task("t1")
    silently = threading.Timer(0.5, app.backend.client.set, (key, app.backend.encode(told)))
    silently.start()

    answer = app.AsyncResult("t1").get(timeout=LOOK + 10)
    silently.join()

    assert answer == 42


def test_events_arrive_although_nothing_follows_them(app: Celery) -> None:
    """The last of a burst is sent by the pace's own timer."""
    seen: list[str] = []
    done = threading.Event()

    def heard(event: dict[str, str]) -> None:
        seen.append(event["uuid"])
        if len(seen) == 3:
            done.set()

    with app.connection_for_read() as reading, app.connection_for_write() as writing:
        receiver = app.events.Receiver(reading, handlers={"task-received": heard})
        listener = threading.Thread(target=_listen, args=(receiver, done), daemon=True)
        listener.start()
        dispatcher = app.events.Dispatcher(writing, buffer_group={"task"}, buffer_limit=1)
        deadline = time.monotonic() + 10
        while not app.connection().channel().client.pubsub_numpat():
            assert time.monotonic() < deadline

        for number in range(3):
            dispatcher.send("task-received", uuid=str(number))

        assert done.wait(5), seen
        listener.join(5)
        dispatcher.close()
    assert seen == ["0", "1", "2"]


def _listen(receiver: object, done: threading.Event) -> None:
    for _ in receiver.itercapture(limit=None, timeout=10, wakeup=False):  # type: ignore[attr-defined]
        if done.is_set():
            return
