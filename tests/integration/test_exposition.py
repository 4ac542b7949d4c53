"""A worker's page answers whoever asks, and nobody can hold it up."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from worker.errors import ConfigurationError
from worker.metrics.build import Build
from worker.metrics.exposition import Check, Exposition
from worker.metrics.metrics import Metrics
from worker.metrics.server import MOST_CLIENTS

Serve = Callable[..., Exposition]


@pytest.fixture
def metrics() -> Metrics:
    """Counters with something in them."""
    metrics = Metrics()
    metrics.call_ended("p", "fetch", "success", 0.2)
    return metrics


@pytest.fixture
def serve(metrics: Metrics) -> Iterator[Serve]:
    """Starts servers, and stops them when the test ends."""
    started: list[Exposition] = []

    def start(**options: Any) -> Exposition:
        exposition = Exposition(metrics, **options)
        started.append(exposition)
        exposition.start()
        return exposition

    yield start
    for exposition in started:
        exposition.stop()


def ask(
    url: str, *, method: str = "GET", accept: str = "", authorization: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    headers = {"Accept": accept, "Authorization": authorization}
    asked = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), refused.read()


def connected(exposition: Exposition) -> socket.socket:
    """A connection on which nothing has been said."""
    where = urlsplit(exposition.url)
    return socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=10)


def test_metrics_can_be_parsed(serve: Serve, metrics: Metrics) -> None:
    """As Prometheus does it, with what is no count."""
    metrics.show(Build())

    status, headers, body = ask(serve().url + "/metrics")

    families = {family.name: family for family in parse(body.decode())}
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert families["adapter_calls"].samples[0].value == 1
    assert families["narrows_build_info"].samples[0].value == 1


def test_openmetrics_is_served_to_whoever_accepts_it(serve: Serve) -> None:
    """The newer form ends with a mark that nothing was cut off."""
    _, headers, body = ask(serve().url + "/metrics?x=1", accept="application/openmetrics-text; version=1.0.0")

    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_a_living_process_is_healthy_whatever_its_checks_say(serve: Serve) -> None:
    """Restarting every worker does not bring Redis back."""
    exposition = serve(ready=lambda: [Check(name="state", ok=False)])

    assert ask(exposition.url + "/healthz")[0::2] == (200, b'{"status": "ok"}\n')
    assert ask(exposition.url + "/readyz")[0] == 503


def test_a_process_whose_part_is_silent_is_not_healthy_and_says_which(serve: Serve) -> None:
    """What restarts it should not have to guess."""
    status, _, body = ask(serve(silent=lambda: ["releaser"]).url + "/healthz")

    assert (status, json.loads(body)) == (503, {"status": "hung", "silent": ["releaser"]})


@pytest.mark.parametrize(
    ("brought", "status"),
    [
        ("Bearer canary-token", 200),
        ("bearer canary-token", 200),
        ("", 401),
        ("Bearer", 401),
        ("Bearer canary-toke", 401),
        ("Bearer canary-token1", 401),
        ("Basic canary-token", 401),
        ("canary-token", 401),
        ("Bearer \u00e9\u00e9\u00e9", 401),
    ],
)
def test_metrics_behind_a_token_are_for_those_who_bring_it(serve: Serve, brought: str, status: int) -> None:
    """Whoever probes health needs none, and no answer repeats it."""
    url = serve(token="canary-token").url

    answer, headers, body = ask(url + "/metrics", authorization=brought)

    assert answer == status
    assert (headers.get("WWW-Authenticate") == "Bearer") == (status == 401)
    assert (b"adapter_calls_total" in body) == (status == 200)
    assert b"canary" not in body
    assert [ask(url + path)[0] for path in ("/healthz", "/readyz")] == [200, 200]


@pytest.mark.parametrize(("cache", "status", "word"), [(True, 200, "ready"), (False, 503, "not ready")])
def test_readiness_lists_its_checks(serve: Serve, cache: bool, status: int, word: str) -> None:  # noqa: FBT001
    """One that fails is enough, and its name is told."""
    exposition = serve(
        ready=lambda: [Check(name="state", ok=True), Check(name="cache", ok=cache, detail="ping")]
    )

    answer, _, body = ask(exposition.url + "/readyz")

    assert answer == status
    assert json.loads(body) == {
        "status": word,
        "checks": [
            {"name": "state", "ok": True, "detail": ""},
            {"name": "cache", "ok": cache, "detail": "ping"},
        ],
    }


def test_a_check_that_cannot_run_has_failed(serve: Serve) -> None:
    """Its type is told, its words are not: they may hold an address with a password."""

    def breaks() -> Iterable[Check]:
        raise OSError("redis://:canary@h")

    status, _, body = ask(serve(ready=breaks).url + "/readyz")

    assert status == 503
    assert b"OSError" in body
    assert b"canary" not in body


def test_a_page_that_fails_says_only_that(caplog: pytest.LogCaptureFixture) -> None:
    """The reason is in the log."""

    class Broken:
        def page(self, accept: str = "") -> tuple[str, bytes]:
            raise RuntimeError("canary" + accept)

    exposition = Exposition(Broken())
    exposition.start()
    try:
        status, _, body = ask(exposition.url + "/metrics")
    finally:
        exposition.stop()

    assert (status, body) == (500, b"failed; see the log\n")
    assert "metrics request failed" in caplog.messages


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../etc/passwd", "/healthz%20", "/Metrics"])
def test_nothing_else_is_there(serve: Serve, path: str) -> None:
    """Not even under names that look alike."""
    where = urlsplit(serve().url)
    with closing(http.client.HTTPConnection(str(where.hostname), where.port, timeout=10)) as client:
        client.request("GET", path)
        assert client.getresponse().status == 404


def test_head_is_get_without_a_body(serve: Serve) -> None:
    """Load balancers ask so."""
    url = serve().url + "/healthz"

    status, headers, body = ask(url, method="HEAD")

    assert (status, body) == (200, b"")
    assert headers["Content-Length"] == ask(url)[1]["Content-Length"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(serve: Serve, method: str) -> None:
    """There is nothing here to change."""
    status, headers, _ = ask(serve().url + "/metrics", method=method)

    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("said", [b"", b"GET /metrics HT", b"GET /metrics HTTP/1.1\r\nA: b\r\n"])
def test_a_client_that_stalls_is_cut_off_and_holds_up_nobody(serve: Serve, said: bytes) -> None:
    """Others are answered meanwhile, and its thread comes back."""
    exposition = serve(patience=0.5)
    with connected(exposition) as slow:
        slow.sendall(said)
        assert ask(exposition.url + "/healthz")[0] == 200
        assert hung_up(slow)


def test_a_client_that_drips_is_cut_off_too(serve: Serve) -> None:
    """A byte now and then keeps a socket's own timeout from ever running out."""
    exposition = serve(patience=0.5)
    deadline = time.monotonic() + 10
    with connected(exposition) as slow:
        slow.settimeout(0.1)
        slow.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        while time.monotonic() < deadline:
            try:
                slow.sendall(b"x")
                if not slow.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break

    assert time.monotonic() < deadline


def test_a_crowd_cannot_take_all_threads(serve: Serve) -> None:
    """Whoever comes too late is hung up on; when the crowd is gone there is room again."""
    exposition = serve(patience=8.0)
    crowd = [connected(exposition) for _ in range(MOST_CLIENTS)]
    try:
        until(lambda: exposition.clients == MOST_CLIENTS)
        with connected(exposition) as late:
            late.settimeout(2.0)  # well before the crowd's patience ends
            assert hung_up(late)
    finally:
        for client in crowd:
            client.close()
    until(lambda: exposition.clients == 0)
    assert ask(exposition.url + "/healthz")[0] == 200


def test_a_taken_port_is_an_error_that_names_it(serve: Serve) -> None:
    """In production somebody expects the page exactly there."""
    port = urlsplit(serve().url).port

    with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1 port {port}: .*in use"):
        serve(port=port)


def test_in_development_a_taken_port_is_replaced_and_said_so(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Two workers on one desk need no settings."""
    first = serve()
    with caplog.at_level(logging.WARNING):
        second = serve(port=urlsplit(first.url).port, any_port=True)

    assert first.url != second.url
    assert ask(second.url + "/healthz")[0] == 200
    assert "metrics port taken, a free one used instead" in caplog.messages


def test_a_host_that_is_not_ours_is_an_error(serve: Serve) -> None:
    """Also in development: another port would not help."""
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1"):
        serve(host="192.0.2.1", any_port=True)


def test_stopping_frees_the_address(serve: Serve) -> None:
    """And may be done twice, or without a start."""
    exposition = serve()
    port = urlsplit(exposition.url).port
    exposition.stop()
    exposition.stop()

    assert exposition.url == ""
    assert serve(port=port).url.endswith(f":{port}")


def test_no_line_is_logged_for_a_scrape(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Every 15 seconds, from every worker, would bury the others."""
    exposition = serve()
    with caplog.at_level(logging.DEBUG):
        ask(exposition.url + "/metrics")
        ask(exposition.url + "/nothing")

    assert caplog.records == []


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_lets_go_of_the_address(serve: Serve) -> None:
    """Else the next worker could not listen while a child of the last one lives."""
    exposition = serve()
    port = urlsplit(exposition.url).port
    told, tell = os.pipe()
    hold, release = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        with suppress(OSError):
            os.close(release)
            os.write(tell, exposition.url.encode() or b"forgotten")
            os.read(hold, 1)
        os._exit(0)
    try:
        assert os.read(told, 100) == b"forgotten"
        assert ask(exposition.url + "/healthz")[0] == 200
        exposition.stop()
        assert serve(port=port).url.endswith(f":{port}")
    finally:
        os.close(release)
        os.waitpid(pid, 0)
        for end in (told, tell, hold):
            os.close(end)


def hung_up(client: socket.socket) -> bool:
    """Whether the server closes the connection before the client's patience ends."""
    try:
        while client.recv(1000):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, for ten seconds at most."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
