"""Calls by bare name, from a service that has none of our code: nothing but a message knows of them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from celery import Celery

from tests.fleet import until
from tests.sandbox import Sandbox
from worker.stack.embedded import EmbeddedValkey
from worker.stack.programs import answers
from worker.stack.stack import Stack

BBL = "1012650001"


@pytest.fixture
def servers() -> Iterator[tuple[EmbeddedValkey, EmbeddedValkey]]:
    """A broker, and a state Redis of its own."""
    with EmbeddedValkey() as broker, EmbeddedValkey() as state:
        yield broker, state


def test_a_bare_call_that_finds_no_state_redis_is_not_lost(
    servers: tuple[EmbeddedValkey, EmbeddedValkey], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes back into its queue, and is answered when the state Redis is back."""
    for name in [name for name in os.environ if name.startswith("NARROWS_")]:
        monkeypatch.delenv(name)  # the ground of other tests, whose providers these workers do not know
    broker, state = servers
    env = {
        "NARROWS_BROKER_URL": broker.url,
        "NARROWS_RESULT_URL": broker.url,
        "NARROWS_STATE_URL": state.url,
        "NARROWS_CACHE_URL": state.database(1),
        "NARROWS_PROVIDERS__NYC_OPEN_DATA__BASE_URL": sandbox.base_url("nyc_open_data"),
    }
    service = Celery("service", broker=broker.url, backend=broker.url, set_as_current=False)
    with Stack(workers=1, beat=False, env=env) as stack:
        state.kill()
        until(lambda: not answers(f"{stack.workers[0].program.address}/readyz"))
        call = service.send_task("nyc_open_data.fetch_permits", [BBL], queue="nyc_open_data")
        until(lambda: call.state == "RETRY", 20.0)

        state.start()

        assert len(call.get(timeout=30)) == 5
    assert sandbox.control.counts("nyc_open_data")["count"] == 1
    service.close()
