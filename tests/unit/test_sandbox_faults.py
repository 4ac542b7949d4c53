"""Each way in which the sandbox misbehaves, as a real client meets it."""

from __future__ import annotations

import itertools
import time
import zlib
from collections.abc import Iterator
from http.client import IncompleteRead

import pytest
import requests
import urllib3
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from tests.sandbox import BUSY_BBL, ELSEWHERE, Sandbox, generated_rows
from tests.sandbox.faults import FaultInvalid

NYC = "nyc_open_data"
PATH = "/resource/erm2-nwe9.json?$limit=3"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    """One sandbox for the module."""
    with Sandbox(generated_rows()) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """A sandbox that behaves and remembers nothing."""
    running.control.reset()
    return running


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    """A client that tries once and follows nothing."""
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        yield pool


def get(http: urllib3.PoolManager, sandbox: Sandbox, path: str = PATH) -> urllib3.BaseHTTPResponse:
    """One answer of NYC Open Data."""
    return http.request("GET", sandbox.base_url(NYC) + path)


def statuses(http: urllib3.PoolManager, sandbox: Sandbox, count: int, path: str = PATH) -> list[int]:
    """The statuses of *count* answers."""
    return [get(http, sandbox, path).status for _ in range(count)]


def wait_until_nothing_is_in_flight(sandbox: Sandbox) -> None:
    """Return when the server has noticed that its clients have gone."""
    deadline = time.monotonic() + 10
    while sandbox.control.counts(NYC)["in_flight"]:
        assert time.monotonic() < deadline, "a request is still being answered"
        time.sleep(0.01)


def test_a_status_comes_in_the_providers_own_words(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """A 500 carries the recorded envelope, a 503 the gateway's page, and neither says when to come back."""
    sandbox.control.fault(NYC, status=500)
    assert get(http, sandbox).json()["errorCode"] == "internal-error"

    sandbox.control.fault(NYC, status=503)
    answer = get(http, sandbox)
    assert (answer.status, answer.headers["Content-Type"]) == (503, "text/html")
    assert "Retry-After" not in answer.headers


def test_a_share_of_the_requests_can_go_wrong(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """An error rate of a half fails about half, in an order that the seed decides."""
    sandbox.control.fault(NYC, status=500, error_rate=0.5)

    assert 60 < statuses(http, sandbox, 200).count(500) < 140


def test_a_fault_ends_after_so_many_times(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """``times`` counts what went wrong; then all is well."""
    sandbox.control.fault(NYC, status=503, times=2)

    assert statuses(http, sandbox, 4) == [503, 503, 200, 200]


def test_a_fault_may_hit_some_requests_only(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """``only`` is looked for in the path and query, as sent and decoded."""
    sandbox.control.fault(NYC, status=500, only="wvxf-dwi5.json?$limit=1")

    assert get(http, sandbox, "/resource/wvxf-dwi5.json?%24limit=1").status == 500
    assert get(http, sandbox, "/resource/wvxf-dwi5.json?$limit=1").status == 500
    assert get(http, sandbox).status == 200


def test_throttling_says_nothing_of_when_to_come_back(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """Socrata's 429 has no Retry-After; one is sent only when a test asks for it."""
    sandbox.control.fault(NYC, mode="throttle")
    bare = get(http, sandbox)
    sandbox.control.fault(NYC, mode="throttle", retry_after=7)
    dated = get(http, sandbox)

    assert (bare.status, bare.headers.get("Retry-After")) == (429, None)
    assert (dated.status, dated.headers.get("Retry-After")) == (429, "7")


def test_headers_stand_on_a_failure_or_on_the_right_answer(
    sandbox: Sandbox, http: urllib3.PoolManager
) -> None:
    """Providers say what is left of their limits on both."""
    left = {"X-RateLimit-Remaining": 0}
    sandbox.control.fault(NYC, status=503, headers=left)
    failed = get(http, sandbox)
    sandbox.control.fault(NYC, mode="headed", headers=left)
    well = get(http, sandbox)

    assert (failed.status, failed.headers["X-RateLimit-Remaining"]) == (503, "0")
    assert (well.status, well.headers["X-RateLimit-Remaining"]) == (200, "0")
    with pytest.raises(FaultInvalid, match="headers is a JSON object"):
        sandbox.control.fault(NYC, headers="x")


def test_an_answer_being_worked_on_is_there_the_second_time(
    sandbox: Sandbox, http: urllib3.PoolManager
) -> None:
    """Each question is answered 202 once and 200 from then on."""
    sandbox.control.fault(NYC, mode="accepted_202")
    other = PATH.replace("3", "4")

    assert statuses(http, sandbox, 3) == [202, 200, 200]
    assert statuses(http, sandbox, 2, other) == [202, 200]


def test_latency_comes_before_answers_that_are_right(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """``latency_ms`` alone makes nothing wrong, only slow."""
    sandbox.control.fault(NYC, latency_ms=120)

    began = time.monotonic()
    assert get(http, sandbox).status == 200
    assert time.monotonic() - began >= 0.12


def test_a_hang_lasts_until_the_client_gives_up(sandbox: Sandbox) -> None:
    """No byte comes; the server notices when its client has gone."""
    sandbox.control.fault(NYC, mode="hang")

    with (
        urllib3.PoolManager(retries=False, timeout=0.2) as hasty,
        pytest.raises(ReadTimeoutError),
    ):
        get(hasty, sandbox)
    wait_until_nothing_is_in_flight(sandbox)
    assert sandbox.control.counts(NYC)["statuses"] == {"None": 1}


def test_a_reset_is_a_reset(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """The request is read and the connection torn down."""
    sandbox.control.fault(NYC, mode="reset")

    with pytest.raises(ProtocolError) as caught:
        get(http, sandbox)
    assert isinstance(caught.value.args[1], ConnectionResetError)


def test_a_truncated_body_is_shorter_than_announced(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """The head promises more than comes."""
    sandbox.control.fault(NYC, mode="truncate")

    with pytest.raises(ProtocolError) as caught:
        get(http, sandbox)
    assert isinstance(caught.value.args[1], IncompleteRead)


def test_an_endless_body_has_no_end(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """Megabytes come until the client has enough, and the server holds none of them."""
    sandbox.control.fault(NYC, mode="endless")

    answer = http.request("GET", sandbox.base_url(NYC) + PATH, preload_content=False)
    assert sum(len(part) for part in itertools.islice(answer.stream(65536), 200)) > 5_000_000
    answer.close()
    wait_until_nothing_is_in_flight(sandbox)


def test_a_bomb_is_small_on_the_wire_and_five_gigabytes_unpacked(
    sandbox: Sandbox, http: urllib3.PoolManager
) -> None:
    """Every hundredth of it unpacks to its share of zeros."""
    sandbox.control.fault(NYC, mode="gzip_bomb")

    answer = http.request("GET", sandbox.base_url(NYC) + PATH, preload_content=False, decode_content=False)
    size = int(answer.headers["Content-Length"])
    member = zlib.decompressobj(wbits=31).decompress(answer.read(size // 320))
    answer.close()

    assert size < 8_000_000
    assert len(member) * 320 == 5 * 1024**3
    assert not any(member[:4096])


def test_a_redirect_leads_to_another_host_that_tells_what_it_was_given(sandbox: Sandbox) -> None:
    """A client that carries its key to another host is found out there."""
    sandbox.control.fault(NYC, mode="redirect")
    key = {"X-App-Token": "sandbox-token"}

    answer = requests.get(sandbox.base_url(NYC) + PATH, headers=key, timeout=10)

    assert answer.history[0].status_code == 302
    assert answer.json() == {"elsewhere": True, "credentials": True}
    (arrived,) = sandbox.control.journal(ELSEWHERE, raw=True)
    assert arrived["headers"]["x-app-token"] == "sandbox-token"
    assert arrived["path"] == f"/{NYC}/resource/erm2-nwe9.json"


@pytest.mark.parametrize("status", [200, 502])
def test_a_page_may_come_where_json_was_expected(
    sandbox: Sandbox, http: urllib3.PoolManager, status: int
) -> None:
    """A proxy's page comes with 200 or with the status that a test sets."""
    sandbox.control.fault(NYC, mode="html", status=status)

    answer = get(http, sandbox)

    assert (answer.status, answer.data[:15]) == (status, b"<!DOCTYPE html>")


def test_a_body_may_belie_its_header(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """JSON that is none, JSON that is no answer, and UTF-8 that is none."""
    sandbox.control.fault(NYC, mode="garbage")
    with pytest.raises(ValueError, match="Unterminated"):
        get(http, sandbox).json()

    sandbox.control.fault(NYC, mode="nonsense")
    assert get(http, sandbox).json() == {"tide": [None, {"high": True}]}

    sandbox.control.fault(NYC, mode="wrong_charset")
    with pytest.raises(UnicodeDecodeError):
        get(http, sandbox).data.decode("utf-8")


@pytest.mark.parametrize(("mode", "pause_ms"), [("drip_headers", 1), ("drip_body", 600)])
def test_a_drip_outlasts_a_timeout_between_bytes(sandbox: Sandbox, mode: str, pause_ms: int) -> None:
    """Each byte comes in time and the whole does not: only a total deadline ends it."""
    sandbox.control.fault(NYC, mode=mode, pause_ms=pause_ms)

    began = time.monotonic()
    with urllib3.PoolManager(retries=False, timeout=1.5) as patient:
        body = get(patient, sandbox, "/resource/erm2-nwe9.json?$limit=0").data

    assert body == b"[]\n"
    assert time.monotonic() - began > 1.0


def test_the_busy_lot_has_more_rows_than_a_page(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """Whoever forgets the limit is given a thousand rows of more."""
    assert len(get(http, sandbox, f"/resource/wvxf-dwi5.json?bbl={BUSY_BBL}").json()) == 1000
