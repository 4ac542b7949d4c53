"""How a client treats connections: reused, shared, never trusted with what belongs elsewhere."""

from __future__ import annotations

import multiprocessing
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from tests.integration.raw_peer import Peer, Speech, http, says
from worker.errors import ProviderUnavailable, ResponseUnreadable
from worker.http.client import HttpClient
from worker.http.origin import environment_proxy
from worker.provider import Auth, Provider, Timeouts
from worker.request import Request

CANARY = "canary-7f3a"
GET = Request(path="/rows")
POST = Request(path="/requests", method="POST", data={"n": 1})


def client(
    url: str, *, auth: Auth | None = None, verify: bool | str = True, proxy: str | None = None
) -> HttpClient:
    """A client of the provider at *url*."""
    return HttpClient(
        Provider(name="city", base_url=url, auth=auth),
        base_url=url,
        credential=CANARY if auth else None,
        timeouts=Timeouts(connect=2, read=5, total=10),
        verify=verify,
        proxy=proxy,
    )


def redirect(location: str, status: int = 302) -> bytes:
    """A redirect with a body that must not meet the next call."""
    return http({"moved": True}, status=status, headers={"Location": location})


def test_calls_in_a_row_share_one_connection() -> None:
    """A handshake once, not per call."""
    with Peer(says(http([1]))) as peer:
        asking = client(peer.url)
        assert [asking.send(GET).data for _ in range(20)] == [[1]] * 20
        assert peer.connections == 1


def test_an_error_status_keeps_the_connection() -> None:
    """Only an answer that was not read to its end costs it."""
    with Peer(says(http({}, status=500), http([1]))) as peer:
        asking = client(peer.url)
        with pytest.raises(ProviderUnavailable):
            asking.send(GET)
        asking.send(GET)
        assert peer.connections == 1


def test_thirty_two_threads_are_in_flight_at_once() -> None:
    """Nothing is locked across an exchange: each waits until all the others have arrived."""
    everyone = threading.Barrier(32)

    def together(sock: socket.socket, _request: bytes) -> None:
        everyone.wait(20)
        sock.sendall(http([1]))

    with Peer(together) as peer, ThreadPoolExecutor(32) as pool:
        asking = client(peer.url)
        assert list(pool.map(lambda _: asking.send(GET).data, range(64))) == [[1]] * 64
        assert peer.connections <= 64


def hangs_up_on_reuse(*, after_bytes: bytes = b"") -> Speech:
    """Answers a connection's first request, then closes it on the second."""
    seen: set[socket.socket] = set()

    def speech(sock: socket.socket, _request: bytes) -> None:
        if sock in seen:
            sock.sendall(after_bytes)
            raise ConnectionAbortedError
        seen.add(sock)
        sock.sendall(http([1]))

    return speech


def test_a_get_on_a_connection_that_the_provider_just_closed_is_asked_once_more() -> None:
    """No byte of an answer came, so nothing was lost but an idle connection."""
    with Peer(hangs_up_on_reuse()) as peer:
        asking = client(peer.url)
        asking.send(GET)
        assert asking.send(GET).data == [1]
        assert (peer.connections, len(peer.requests)) == (2, 3)


def test_an_answer_that_breaks_off_is_not_asked_again_behind_the_gate_s_back() -> None:
    """Bytes came: this is a failure, and the engine counts it."""
    with Peer(hangs_up_on_reuse(after_bytes=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[")) as peer:
        asking = client(peer.url)
        asking.send(GET)
        with pytest.raises(ProviderUnavailable):
            asking.send(GET)
        assert len(peer.requests) == 2


def test_a_fresh_connection_that_is_closed_is_not_asked_again() -> None:
    """It was not stale, so the provider means it."""

    def hang_up(_sock: socket.socket, _request: bytes) -> None:
        raise ConnectionAbortedError

    with Peer(hang_up) as peer:
        with pytest.raises(ProviderUnavailable, match="broke the connection"):
            client(peer.url).send(GET)
        assert len(peer.requests) == 1


def test_a_submission_never_meets_a_stale_connection() -> None:
    """It takes a fresh one, so that what another call left behind cannot put it in doubt."""
    with Peer(hangs_up_on_reuse()) as peer:
        asking = client(peer.url)
        asking.send(GET)
        assert asking.send(POST).data == [1]
        assert len(peer.requests) == 2


def test_a_submission_that_hears_nothing_is_sent_once() -> None:
    """Whether it was taken is for the engine to find out."""

    def hang_up(_sock: socket.socket, _request: bytes) -> None:
        raise ConnectionAbortedError

    with Peer(hang_up) as peer:
        with pytest.raises(ProviderUnavailable) as caught:
            client(peer.url).send(POST)
        assert len(peer.requests) == 1
    assert caught.value.sent


def test_a_connection_that_timed_out_is_dropped_and_closed() -> None:
    """What still comes on it can never be taken for another call's answer."""
    late = threading.Event()

    def slow(sock: socket.socket, _request: bytes) -> None:
        if not late.is_set():
            late.set()
            time.sleep(0)
            assert sock.recv(1) == b""
            raise ConnectionAbortedError
        sock.sendall(http(["right"]))

    with Peer(slow) as peer:
        provider = Provider(name="city", base_url=peer.url)
        asking = HttpClient(
            provider, base_url=peer.url, credential=None, timeouts=Timeouts(connect=1, read=9, total=0.3)
        )
        with pytest.raises(ProviderUnavailable, match=r"timed out after 0\.3 s"):
            asking.send(GET)
        assert peer.closed.acquire(timeout=5)
        assert asking.send(GET).data == ["right"]
        assert peer.connections == 2


def test_a_deadline_never_cuts_the_next_call_on_the_same_connection() -> None:
    """Calls that end just before their time leave a connection that the next can use in peace."""
    with Peer(says(http([1]))) as peer:
        provider = Provider(name="city", base_url=peer.url)
        hasty = Timeouts(connect=1, read=1, total=0.25)
        asking = HttpClient(provider, base_url=peer.url, credential=None, timeouts=hasty)
        ends = time.monotonic() + 0.8
        while time.monotonic() < ends:
            asking.send(GET)
        assert peer.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_origin_is_followed(status: int) -> None:
    """Relative or absolute, the credential goes along."""
    with Peer(says(redirect("/moved?x=1", status), http([1]))) as peer:
        assert client(peer.url, auth=Auth(header="X-Key")).send(GET).data == [1]
        line, headers, _ = peer.parsed()
    assert (line, headers["x-key"]) == ("GET /moved?x=1 HTTP/1.1", CANARY)


def test_a_redirect_keeps_a_credential_among_the_parameters_once() -> None:
    """Whether the provider repeats it or not."""
    with Peer(says(redirect("/moved"), redirect(f"/again?appid={CANARY}"), http([1]))) as peer:
        client(peer.url, auth=Auth(query="appid")).send(GET)
        lines = [request.split(b" HTTP")[0].decode() for request in peer.requests]
    assert lines == [f"GET {path}?appid={CANARY}" for path in ("/rows", "/moved", "/again")]


def test_redirects_without_end_are_left_after_three() -> None:
    """Four requests in all."""
    with Peer(says(redirect("/again"))) as peer:
        with pytest.raises(ResponseUnreadable, match="redirected too often"):
            client(peer.url).send(GET)
        assert len(peer.requests) == 4


@pytest.mark.parametrize("auth", [Auth(header="Authorization", scheme="Bearer"), Auth(query="appid")])
def test_a_redirect_to_another_place_takes_nothing_there(auth: Auth) -> None:
    """Not the credential, not even a connection; another port or name is another place."""
    with Peer(says(http([]))) as other, Peer(says(redirect("http://placeholder"))) as peer:
        elsewhere = [
            f"{other.url}/rows",
            f"//127.0.0.1:{other.port}/rows",
            f"http://localhost:{peer.port}/rows",
            f"https://127.0.0.1:{peer.port}/rows",
            f"http://{CANARY}@127.0.0.1:{peer.port}/rows",
            "http://[broken/rows",
        ]
        peer._speech = says(*(redirect(location) for location in elsewhere))
        asking = client(peer.url, auth=auth)
        for _ in elsewhere:
            with pytest.raises(ResponseUnreadable, match="redirected to another place") as caught:
                asking.send(GET)
            assert CANARY not in str(caught.value)
        assert other.connections == 0
        assert len(peer.requests) == len(elsewhere)


def test_a_redirected_submission_is_not_followed() -> None:
    """Nobody said that it may be sent twice."""
    with Peer(says(redirect("/moved", 307))) as peer:
        with pytest.raises(ResponseUnreadable, match="redirected a POST"):
            client(peer.url).send(POST)
        assert len(peer.requests) == 1


def test_the_environment_s_proxies_are_for_whoever_builds_the_client_to_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client never reads them; the function beside it does, exceptions included."""
    with Peer(says(http(["direct"]))) as peer, Peer(says(http(["proxied"]))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")

        assert client(peer.url).send(GET).data == ["direct"]
        assert proxy.connections == 0
        assert environment_proxy(peer.url) is None
        assert environment_proxy("http://data.invalid") == proxy.url


def test_a_proxy_that_is_given_is_told_the_whole_address() -> None:
    """Plain HTTP through a proxy names the host in the request line."""
    with Peer(says(http(["proxied"]))) as proxy:
        asking = client("http://data.invalid/v1", proxy=proxy.url)
        assert asking.send(GET).data == ["proxied"]
        line, headers, _ = proxy.parsed()
    assert (line, headers["host"]) == ("GET http://data.invalid/v1/rows HTTP/1.1", "data.invalid")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Peer]:
    """A peer with a certificate for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Peer(says(http(["secret"])), tls=context) as peer:
        yield peer


def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(secure: Peer) -> None:
    """Verification is on unless somebody switches it off."""
    with pytest.raises(ProviderUnavailable, match="no secure connection that we trust") as caught:
        client(secure.url, auth=Auth(header="X-Key")).send(GET)
    assert not caught.value.sent
    assert secure.requests == []


def test_a_company_s_own_authority_can_be_trusted(
    secure: Peer, authority: trustme.CA, tmp_path: Path
) -> None:
    """By the file of its certificate; connections are reused under TLS too."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    asking = client(secure.url, verify=str(bundle))
    assert [asking.send(GET).data for _ in range(3)] == [["secret"]] * 3
    assert secure.connections == 1
    asking.close()


def test_verification_can_be_switched_off_without_a_warning_per_call(secure: Peer) -> None:
    """Somebody chose it; settings refuse it in production."""
    asking = client(secure.url, verify=False)
    assert asking.send(GET).data == ["secret"]
    asking.close()


def test_a_forked_worker_makes_its_own_connections_and_its_own_watchdog() -> None:
    """A socket shared by two processes would mix their answers, and threads do not survive a fork."""
    hang = threading.Event()

    def speech(sock: socket.socket, request: bytes) -> None:
        if b"/hang" in request:
            hang.wait(10)
        else:
            sock.sendall(http([1]))

    with Peer(speech) as peer:
        asking = HttpClient(
            Provider(name="city", base_url=peer.url),
            base_url=peer.url,
            credential=None,
            timeouts=Timeouts(connect=2, read=30, total=1),
        )
        asking.send(GET)
        said = multiprocessing.get_context("fork").SimpleQueue()

        def child() -> None:
            said.put(asking.send(GET).data)
            try:
                asking.send(Request(path="/hang"))
            except ProviderUnavailable as error:
                said.put(str(error))
            os._exit(0)

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(15)
        hang.set()

        assert process.exitcode == 0
        assert [said.get(), said.get()] == [[1], "city timed out after 1 s"]
        assert asking.send(GET).data == [1]
        assert peer.connections >= 2
