"""The sandbox's controls over HTTP, and what its journal keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from tests.sandbox import Request, Sandbox
from tests.sandbox.journal import Journal

CANARY = "canary-f3a9"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox without rows."""
    with Sandbox({}) as running:
        yield running


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    """A client that tries once."""
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        yield pool


def ask(http: urllib3.PoolManager, method: str, url: str, data: Any = None) -> tuple[int, Any]:
    """Status and JSON of one answer."""
    answer = http.request(method, url, body=None if data is None else json.dumps(data).encode())
    return answer.status, answer.json()


def test_faults_are_set_shown_and_cleared_over_http(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """POST sets, GET shows what is set and how often it struck, DELETE clears."""
    control, target = f"{sandbox.url}/_control/stub", sandbox.base_url("stub")

    ask(http, "POST", control, {"status": 503, "times": 1, "retry_after": 5})
    assert http.request("GET", target).headers["Retry-After"] == "5"
    _, shown = ask(http, "GET", control)
    ask(http, "DELETE", control)

    assert (shown["faults"][0]["status"], shown["faults"][0]["drawn"]) == (503, 1)
    assert ask(http, "GET", control) == (200, {"provider": "stub", "faults": []})


def test_the_first_fault_whose_part_is_in_the_target_counts(
    sandbox: Sandbox, http: urllib3.PoolManager
) -> None:
    """A list of faults lets different questions fail in different ways."""
    ask(http, "POST", f"{sandbox.url}/_control/stub", [{"only": "/a", "status": 500}, {"status": 404}])

    answers = [http.request("GET", sandbox.base_url("stub") + path).status for path in ("/a", "/b")]

    assert answers == [500, 404]


@pytest.mark.parametrize(
    "fault", [{"mode": "sulk"}, {"stauts": 500}, {"status": "five hundred"}, {"times": [1]}, "hang", None]
)
def test_a_mistaken_fault_is_refused(sandbox: Sandbox, http: urllib3.PoolManager, fault: Any) -> None:
    """A typing error sets nothing, instead of a fault that never strikes."""
    control = f"{sandbox.url}/_control/stub"

    status, said = ask(http, "POST", control, fault)

    assert (status, sandbox.control.faults["stub"].shown()) == (400, [])
    assert said["error"]


def test_the_journal_tells_what_arrived(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """Method, path below the mount, query, headers, status and time, oldest first."""
    http.request("GET", sandbox.base_url("stub") + "/one?a=1", headers={"X-Thing": "t"})
    http.request("POST", sandbox.base_url("stub") + "/two", body=b"text")

    _, (one, two) = ask(http, "GET", f"{sandbox.url}/_journal/stub")

    assert (one["method"], one["path"], one["query"], one["status"]) == ("GET", "/one", "a=1", 200)
    assert one["headers"]["x-thing"] == "t"
    assert (two["method"], two["body"]) == ("POST", "text")
    assert one["at"] <= two["at"]


def test_the_journal_shows_credentials_as_fingerprints(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """Keys in headers and parameters leave the sandbox only when they are asked for."""
    http.request(
        "GET",
        sandbox.base_url("stub") + f"/?appid={CANARY}&q=x",
        headers={"Authorization": f"Bearer {CANARY}"},
    )
    journal = f"{sandbox.url}/_journal/stub"

    masked, raw = http.request("GET", journal).data, http.request("GET", journal + "?raw=1").data

    assert CANARY.encode() not in masked
    assert b"q=x" in masked
    assert raw.count(CANARY.encode()) == 2


def test_the_journal_counts_and_forgets(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """``count=1`` answers how many, in which seconds and how; DELETE starts anew."""
    sandbox.control.fault("stub", status=500, times=1)
    for _ in range(3):
        http.request("GET", sandbox.base_url("stub"))
    journal = f"{sandbox.url}/_journal/stub"

    _, counts = ask(http, "GET", journal + "?count=1")
    _, after = ask(http, "DELETE", journal)

    assert (counts["count"], counts["statuses"], counts["in_flight"]) == (3, {"500": 1, "200": 2}, 0)
    assert sum(counts["per_second"].values()) == 3
    assert (after["count"], sandbox.control.journal("stub")) == (0, [])


def test_the_journal_keeps_the_newest_and_counts_all() -> None:
    """Its memory is bounded; its counts are not."""
    journal = Journal(keep=3)

    for number in range(5):
        journal.closed(journal.opened(Request(method="GET", target=f"/{number}")))

    assert [entry["path"] for entry in journal.entries()] == ["/2", "/3", "/4"]
    assert journal.counts()["count"] == 5
