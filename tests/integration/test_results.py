"""What readers of a result are told while its call waits, in a process that is no worker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from celery import Celery, states
from celery.exceptions import TimeoutError as NotReady
from redis import Redis

from config.settings import settings
from tests.integration.deployment import NAME, Deployment
from worker import errors
from worker.claim import Claim
from worker.engine import engine
from worker.record import Records
from worker.submissions.submission import Accepted

GONE = "redis://127.0.0.1:1/0"


@pytest.fixture
def here(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment that this process's own engine has in its environment, too."""
    monkeypatch.setenv("NARROWS_STATE_URL", redis_url)
    monkeypatch.setenv(f"NARROWS_PROVIDERS__{NAME.upper()}__RATE", "1")
    monkeypatch.setenv(f"NARROWS_PROVIDERS__{NAME.upper()}__BURST", "1")
    _forget_settings()
    yield Deployment(url=redis_url)
    _forget_settings()


@pytest.fixture
def app(redis_url: str) -> Iterator[Celery]:
    """An application with our result store."""
    made = Celery("reader", set_as_current=False)
    made.conf.update(broker_url=redis_url, result_backend=f"worker.results:Results+{redis_url}")
    yield made
    made.close()


def _forget_settings() -> None:
    settings.cache_clear()
    engine.cache_clear()


def reads(state: Redis) -> int:
    """How often the server has read from its clients: once for each round trip."""
    return int(state.info("stats")["total_reads_processed"])


def test_a_parked_task_is_retry_with_its_place_and_time(here: Deployment, app: Celery) -> None:
    """Nothing was stored for it yet; state, info and result say the same."""
    here.call("success")
    here.records.park([(f"c{number + 1}", "[]") for number in range(20)], lane="batch")

    result = app.AsyncResult("c20")

    assert (result.state, result.status, result.ready()) == (states.RETRY, states.RETRY, False)
    assert str(result.info).startswith(f"parked · {NAME} bucket · position 20 · about ")
    assert isinstance(result.result, errors.BucketEmpty)
    assert result.result.wait > 10
    assert result.traceback is None


def test_the_details_lie_beside_it_as_plain_data(here: Deployment, app: Celery) -> None:
    """For programs, and for whoever stores the meta elsewhere."""
    here.records.park([("c1", "[]")], lane="batch")

    meta = app.backend.get_task_meta("c1")

    waiting = meta["waiting"]
    assert (waiting["state"], waiting["provider"], waiting["position"]) == ("parked", NAME, 1)
    assert waiting["text"] == str(meta["result"])
    assert app.backend.decode_result(app.backend.encode({**meta, "result": None}))["waiting"] == waiting
    prepared = app.backend.prepare_exception(meta["result"])
    assert str(app.backend.exception_to_python(prepared)) == waiting["text"]


def test_a_task_that_failed_keeps_the_kind_of_its_failure(here: Deployment, app: Celery) -> None:
    """Stored is why it failed; told is also until when it waits."""
    here.records.write("t1", "[]")
    claim = Claim(home=NAME, task_id="t1", recorded=True)
    _, report = here.gate().begin(claim)
    here.gate().finish(report, claim, "retry", wait=60.0, attempt=1, reason="upstream_error")
    app.backend.mark_as_retry("t1", errors.ProviderUnavailable("it answered 503"))

    result = app.AsyncResult("t1")

    assert result.state == states.RETRY
    assert isinstance(result.info, errors.ProviderUnavailable)
    assert str(result.info).startswith(f"waiting · {NAME} upstream_error · about ")
    assert str(result.info).endswith(" · it answered 503")


def test_what_is_queued_or_runs_is_as_celery_has_it(here: Deployment, app: Celery) -> None:
    """Its turn has come; there is nothing to wait for."""
    here.records.write("queued", "[]")
    here.records.write("runs", "[]")
    here.gate().begin(Claim(home=NAME, task_id="runs", recorded=True))

    assert [app.AsyncResult(task_id).state for task_id in ("queued", "runs", "nobody")] == ["PENDING"] * 3
    assert "waiting" not in app.backend.get_task_meta("queued")


def test_a_ready_task_costs_no_more_than_it_did(here: Deployment, app: Celery, state: Redis) -> None:
    """One round trip; one that waits costs three, and one that nobody knows: it may be in the ledger."""
    here.records.park([("c1", "[]")], lane="batch")
    app.backend.mark_as_failure("failed", ValueError("no"))
    spent = {}
    for task_id in ("failed", "nobody", "c1"):
        app.backend.get_task_meta(task_id)
        before = reads(state)
        app.backend.get_task_meta(task_id)
        spent[task_id] = reads(state) - before - 1

    assert spent == {"failed": 1, "nobody": 3, "c1": 3}


def test_workers_ask_only_whether_a_task_has_ended(here: Deployment, app: Celery) -> None:
    """The runner and the reconciler compare states; what they get is what is stored."""
    here.records.park([("c1", "[]")], lane="batch")

    told = app.backend.get_task_meta("c1")["status"]
    app.use_fast_trace_task = True  # as every worker sets it at its start

    assert told == states.RETRY
    assert app.backend.get_task_meta("c1") == app.backend.stored("c1")
    assert app.backend.stored("c1")["status"] == states.PENDING


def test_waiting_for_a_parked_task_goes_on_until_it_is_ready(here: Deployment, app: Celery) -> None:
    """RETRY is no end: get() times out, and hears the result when it comes."""
    here.records.park([("c1", "[]")], lane="batch")
    result = app.AsyncResult("c1")
    with pytest.raises(NotReady):
        result.get(timeout=0.3)

    app.backend.mark_as_done("c1", "done")

    assert result.get(timeout=5) == "done"
    assert "waiting" not in app.backend.get_task_meta("c1")


def test_a_long_gone_result_of_what_was_accepted_is_told_from_the_ledger(
    here: Deployment, app: Celery
) -> None:
    """And of a call that runs now under the same key, nothing: it may be refused yet."""
    redis, fields = here.engine.state, {"operation": "file", "resend": "never", "print": "k", "details": "{}"}
    noted = [json.dumps({**fields, "digest": digest}) for digest in ("a", "b")]
    records, ledger = Records(redis, redis, "nyc311"), here.engine.ledger("nyc311")
    records.write("s1", "[]", noted=noted[0])
    ledger.accepted("s1", Accepted(external_id="x-1"), {})
    bare = Claim(home="nyc311", task_id="s2", rebuild=lambda: "[]", noted=noted[1])
    decision, _ = here.engine.gateway("nyc311").gate.begin(bare, sends=True)

    told = [app.AsyncResult(name).state for name in ("s1", "s2")]

    assert decision.word == "submitted"
    assert told == [states.SUCCESS, states.PENDING]
    assert app.AsyncResult("s1").get(timeout=5)["external_id"] == "x-1"


def test_a_state_redis_that_is_gone_hides_no_result(
    here: Deployment, app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is read as before, and nobody asks again and again."""
    here.records.park([("c1", "[]")], lane="batch")
    monkeypatch.setenv("NARROWS_STATE_URL", GONE)
    _forget_settings()
    app.backend.mark_as_done("t1", 42)

    started = time.monotonic()
    seen = [app.AsyncResult("c1").state for _ in range(200)]

    assert set(seen) == {states.PENDING}
    assert time.monotonic() - started < 3
    assert app.AsyncResult("t1").get(timeout=5) == 42


def test_wrong_settings_hide_no_result_either(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that only reads may have an environment of its own."""
    monkeypatch.setenv("NARROWS_STAET_URL", "x")
    _forget_settings()

    assert app.AsyncResult("c1").state == states.PENDING
    _forget_settings()
