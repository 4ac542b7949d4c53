"""Flower shows the tasks and hides whose they are."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError

from tests.acceptance.providers import keep
from tests.fleet import Fleet, Ground, held, until
from worker.application import app
from worker.errors import NarrowsError
from worker.stack.embedded import free_port

SECRET = "canary-9d41"
PUBLIC = "lighthouse"
RESULT = "/api/task/result/any"
PAGES = ("/api/tasks", "/api/tasks?limit=100", "/tasks", "/metrics", "/workers?json=1", "/api/workers")


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """A worker and Flower."""
    with Fleet(clean, workers=1, flower=True) as fleet:
        yield fleet


def page(fleet: Fleet, path: str, *, known: bool = True) -> str:
    """What Flower shows at *path*, to somebody who is *known* or not."""
    request = Request(fleet.stack.addresses["flower"] + path)  # noqa: S310 - loopback
    if known:
        user = base64.b64encode(fleet.programs.flower_auth.encode()).decode()
        request.add_header("Authorization", f"Basic {user}")
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body.decode()


def tasks(fleet: Fleet) -> dict[str, Any]:
    """Flower's list of tasks."""
    found: dict[str, Any] = json.loads(page(fleet, "/api/tasks"))
    return found


def in_state(fleet: Fleet, state: str, *ids: str) -> bool:
    """Whether Flower shows each of *ids* in *state*."""
    known = tasks(fleet)
    return all(known.get(each, {}).get("state") == state for each in ids)


@pytest.mark.parametrize(
    "path",
    ["/", "/tasks", "/workers", "/metrics", "/api/tasks", "/api/workers", "/api/queues/length", RESULT],
)
def test_who_is_not_known_sees_nothing(fleet: Fleet, path: str) -> None:
    """Neither pages nor the API, nor the metrics, which Flower itself shows to everybody."""
    with pytest.raises(HTTPError) as refused:
        page(fleet, path, known=False)

    with refused.value as answer:
        assert answer.code == 401


@pytest.mark.parametrize(
    "said",
    [
        "Basic",
        "Basic !",
        "Bearer x",
        f"Basic {base64.b64encode('ü:ü'.encode()).decode()}",
        "Basic /w==",
        "Basic Og==",
    ],
)
def test_credentials_that_make_no_sense_are_refused_like_wrong_ones(fleet: Fleet, said: str) -> None:
    """Not base64, not UTF-8, not ASCII, another scheme, empty: none of them is an error of Flower's."""
    request = Request(fleet.stack.addresses["flower"] + "/tasks", headers={"Authorization": said})  # noqa: S310
    with pytest.raises(HTTPError) as refused:
        urlopen(request, timeout=10)  # noqa: S310

    with refused.value as answer:
        assert (answer.code, answer.read()) == (401, b"Access denied")


def test_results_are_handed_out_to_nobody(fleet: Fleet) -> None:
    """They may hold what only the caller should read; Flower says of what kind they are."""
    with pytest.raises(HTTPError) as refused:
        page(fleet, RESULT)

    with refused.value as answer:
        assert (answer.code, answer.read()) == (403, b"Results are for their callers")


def test_a_probe_needs_no_account_and_learns_nothing(fleet: Fleet) -> None:
    """It cannot keep a password, and two letters tell nobody anything."""
    assert page(fleet, "/healthcheck", known=False) == "OK"


def test_flower_without_an_account_does_not_start(clean: Ground) -> None:
    """However it is started: else it would show itself to everybody."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWER_", "NARROWS_"))}
    command = [sys.executable, "-m", "celery", "--app", "worker", "flower", f"--port={free_port()}"]

    ended = subprocess.run(
        command, env={**env, **clean.env}, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert (
        ended.stderr.strip() == "Flower shows itself to nobody: set NARROWS_FLOWER_BASIC_AUTH=user:password"
    )


def test_tasks_are_listed_with_what_may_be_shown_and_no_page_or_log_holds_more(
    fleet: Fleet, clean: Ground
) -> None:
    """Whether they succeed, fail, are retried, hit a bug, are revoked, or come from a service by name."""
    until(lambda: page(fleet, "/api/workers") != "{}", 15.0)
    control = clean.sandbox.control
    control.fault("steady", status=503, times=1, only="/keep/retried")
    with (
        Celery(
            "stranger", broker=clean.valkey.url, backend=clean.valkey.url, set_as_current=False
        ) as stranger,
        held("steady", workers=1),
    ):
        fine = keep.delay(PUBLIC, SECRET)
        named = keep.delay(name=PUBLIC, secret=SECRET)
        retried = keep.delay("retried", SECRET)
        broken = keep.delay(PUBLIC, SECRET, fail="yes")
        strange = stranger.send_task("steady.keep", [PUBLIC, SECRET], queue="steady")
        wrong = stranger.send_task("steady.keep", [PUBLIC, SECRET, "", SECRET], queue="steady")
        revoked = keep.delay(PUBLIC, SECRET)
        app.control.revoke(revoked.id)

    assert [call.get(timeout=20)["secret"] for call in (fine, named, retried, strange)] == [SECRET] * 4
    for failed in (broken, wrong):
        with pytest.raises(NarrowsError) as caught:
            failed.get(timeout=20)
        assert SECRET not in str(caught.value)
    with pytest.raises(TaskRevokedError):
        revoked.get(timeout=20)

    done = (fine.id, named.id, retried.id, strange.id)
    until(lambda: in_state(fleet, "SUCCESS", *done), 15.0, told=lambda: page(fleet, "/api/tasks"))
    until(lambda: in_state(fleet, "FAILURE", broken.id, wrong.id), 15.0)
    listed = tasks(fleet)
    assert {"steady.keep"} == {listed[each]["name"] for each in (*done, broken.id)}
    assert all(PUBLIC in listed[each]["args"] for each in (fine.id, strange.id, broken.id))
    assert PUBLIC in listed[named.id]["args"] + listed[named.id]["kwargs"]
    detail = page(fleet, f"/task/{fine.id}") + page(fleet, f"/api/task/info/{fine.id}")
    shown = detail + "".join(page(fleet, path) for path in PAGES)
    assert PUBLIC in shown
    assert SECRET not in shown
    assert SECRET not in fleet.logs


def test_the_workers_own_page_and_dead_letters_excerpt_hide_it_too(fleet: Fleet, clean: Ground) -> None:
    """``/metrics`` of the worker; of a dead letter, the excerpt and the error."""
    with pytest.raises(NarrowsError):
        keep.delay(PUBLIC, SECRET, fail="yes").get(timeout=10)

    with urlopen(f"{fleet.stack.workers[0].program.address}/metrics", timeout=10) as answer:  # noqa: S310
        assert SECRET not in answer.read().decode()
    with clean.client() as state:
        letter = json.loads(state.lrange("dlq:steady", -1, -1)[0])
    assert (letter["code"], letter["args"][1]) == ("unexpected_error", SECRET)
    assert SECRET not in letter["payload_excerpt"] + letter["error"]
    assert PUBLIC in letter["payload_excerpt"]
