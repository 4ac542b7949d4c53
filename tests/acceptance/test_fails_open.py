"""A provider that fails open, with a real worker: asked while the state Redis is away, and not in circles."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from celery import Celery

from tests.fleet import until
from tests.sandbox import TOKEN, Sandbox
from worker.stack.embedded import EmbeddedValkey
from worker.stack.programs import answers
from worker.stack.stack import Stack


@pytest.fixture
def broker() -> Iterator[EmbeddedValkey]:
    """Queues and results, which stay."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def away() -> Iterator[EmbeddedValkey]:
    """The state, which goes."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def service(broker: EmbeddedValkey) -> Iterator[Celery]:
    """One that has none of our code."""
    app = Celery("service", broker=broker.url, backend=broker.url, set_as_current=False)
    yield app
    app.close()


def test_the_weather_is_told_while_the_state_redis_is_away(
    broker: EmbeddedValkey,
    away: EmbeddedValkey,
    service: Celery,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each call once, at the process's share of the rate; what stays closed waits; later all is as ever."""
    for name in [name for name in os.environ if name.startswith("NARROWS_")]:
        monkeypatch.delenv(name)  # the ground of other tests, whose providers these workers do not know
    env = {
        "NARROWS_BROKER_URL": broker.url,
        "NARROWS_RESULT_URL": broker.url,
        "NARROWS_STATE_URL": away.url,
        "NARROWS_CACHE_URL": broker.database(1),
        "NARROWS_FLEET_SIZE": "2",
        "NARROWS_INLINE_WAIT": "5",
        "NARROWS_PROVIDERS__OPENWEATHER__BASE_URL": sandbox.base_url("openweather"),
        "NARROWS_PROVIDERS__OPENWEATHER__API_KEY": TOKEN,
        "NARROWS_PROVIDERS__BENEFITS__BASE_URL": sandbox.base_url("benefits"),
        "NARROWS_PROVIDERS__BENEFITS__API_KEY": f"sandbox:{TOKEN}",
    }
    head = {"age": 35, "household_member_type": "HeadOfHousehold"}
    with Stack(workers=1, beat=False, env=env) as stack:
        away.kill()
        until(lambda: not answers(f"{stack.workers[0].program.address}/readyz"))
        started = time.monotonic()
        closed = service.send_task("benefits.screen_household", [{}, [head]], queue="benefits")
        open_ones = [
            service.send_task("openweather.current_weather", [lat, 2.0], queue="openweather")
            for lat in range(1, 4)
        ]

        told = [call.get(timeout=60) for call in open_ones]

        assert [each["temperature"] for each in told] == [29.5, 29.0, 28.5]
        assert time.monotonic() - started >= 4.0  # a call a second over two processes: 0, 2, 4
        assert closed.state in {"PENDING", "STARTED", "RETRY"}
        assert sandbox.control.counts("benefits")["count"] == 0

        away.start()

        assert closed.get(timeout=60)["eligible"]
        last = service.send_task("openweather.current_weather", [4, 2.0], queue="openweather")
        assert last.get(timeout=60)["temperature"] == 28.0
    assert sandbox.control.counts("openweather")["count"] == 4
