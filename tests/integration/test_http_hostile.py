"""Whatever a provider does to a call, it ends as the right error, in time, and the client lives."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.raw_peer import Peer, Speech, http, says
from worker.errors import CallError, ProviderUnavailable, ResponseUnreadable
from worker.http.client import HttpClient
from worker.provider import Provider, Timeouts
from worker.request import Request

TOTAL = 0.5
LATEST = 3.0
"""Seconds within which a call of TOTAL seconds must have ended, on a machine as busy as ours."""

GET = Request(path="/rows", params={"$where": "bbl='canary-query'"})


def client(peer: Peer, *, timeouts: Timeouts | None = None, max_body: int = 1_000_000) -> HttpClient:
    """A client with a short patience."""
    provider = Provider(name="city", base_url=peer.url, max_body=max_body)
    patience = timeouts or Timeouts(connect=TOTAL, read=30, total=TOTAL)
    return HttpClient(provider, base_url=peer.url, credential=None, timeouts=patience)


@contextmanager
def failing(speech: Speech, *, max_body: int = 1_000_000) -> Iterator[CallError]:
    """The error that *speech* ends in; afterwards the same client still gets answers."""
    healthy = threading.Event()

    def mixed(sock: socket.socket, request: bytes) -> None:
        if healthy.is_set():
            sock.sendall(http([{"ok": 1}]))
        else:
            speech(sock, request)

    with Peer(mixed) as peer:
        asking = client(peer, max_body=max_body)
        began = time.monotonic()
        with pytest.raises(CallError) as caught:
            asking.send(GET)
        assert time.monotonic() - began < LATEST
        assert "canary" not in str(caught.value)
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
        yield caught.value
        healthy.set()
        assert asking.send(GET).data == [{"ok": 1}]
        asking.close()


def drip(sock: socket.socket, first: bytes, endless: bytes) -> None:
    """Send *first*, then a byte now and then until the peer hangs up."""
    pause = threading.Event()
    sock.sendall(first)
    while True:
        sock.sendall(endless)
        pause.wait(0.02)


def test_a_provider_that_never_answers_costs_the_total_deadline_and_says_so() -> None:
    """The read timeout of 30 s does not matter: the call's own time is up first."""
    pause = threading.Event()
    with failing(lambda _sock, _request: (pause.wait(LATEST), None)[1]) as error:
        pause.set()
        assert isinstance(error, ProviderUnavailable)
        assert str(error) == "city timed out after 0.5 s"
        assert error.sent


def test_headers_that_drip_do_not_stretch_the_deadline() -> None:
    """Each byte starts a socket's timeout anew, so only the watchdog can end this."""
    with failing(lambda sock, _: drip(sock, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a")) as error:
        assert str(error) == "city timed out after 0.5 s"


def test_a_body_that_drips_does_not_stretch_the_deadline() -> None:
    """The same with the promised length never reached."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n["
    with failing(lambda sock, _: drip(sock, head, b" ")) as error:
        assert str(error) == "city timed out after 0.5 s"


def test_a_body_cut_off_by_the_deadline_is_never_taken_for_a_whole_one() -> None:
    """Without a length the end of the connection is the end of the body; here it is our own doing."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[1]"
    with failing(lambda sock, _: drip(sock, head, b" ")) as error:
        assert str(error) == "city timed out after 0.5 s"


def test_interim_answers_without_end_do_not_stretch_the_deadline() -> None:
    """HTTP lets a server say 100 as often as it likes."""
    with failing(lambda sock, _: drip(sock, b"", b"HTTP/1.1 100 Continue\r\n\r\n")) as error:
        assert str(error) == "city timed out after 0.5 s"


def test_a_silence_longer_than_the_read_timeout_says_that() -> None:
    """The socket's own timeout is still there for a provider that stops in mid-answer."""
    pause = threading.Event()
    with Peer(lambda _sock, _request: (pause.wait(LATEST), None)[1]) as peer:
        with pytest.raises(ProviderUnavailable, match=r"timed out after 0\.2 s without a byte") as caught:
            client(peer, timeouts=Timeouts(connect=1, read=0.2, total=30)).send(GET)
        pause.set()
    assert caught.value.sent


def test_a_tls_handshake_that_hangs_ends_at_the_deadline_with_nothing_sent() -> None:
    """The handshake takes the socket's descriptor away, and the watchdog still reaches it."""
    pause = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def drip_a_handshake() -> None:
        sock, _ = server.accept()
        accepted.append(sock)
        try:
            sock.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KB begins
            while not pause.wait(0.02):
                sock.sendall(b"\x02")
        except OSError:
            pass

    thread = threading.Thread(target=drip_a_handshake, daemon=True)
    thread.start()
    url = f"https://127.0.0.1:{server.getsockname()[1]}"
    asking = HttpClient(
        Provider(name="city", base_url=url),
        base_url=url,
        credential=None,
        timeouts=Timeouts(connect=20, read=20, total=TOTAL),
    )
    began = time.monotonic()

    with pytest.raises(ProviderUnavailable, match=r"timed out after 0\.5 s") as caught:
        asking.send(GET)

    assert time.monotonic() - began < LATEST
    assert not caught.value.sent
    pause.set()
    thread.join(5)
    for sock in (*accepted, server):
        sock.close()


def test_an_endless_body_is_left_at_the_size_limit() -> None:
    """Chunks for ever are read no further than max_body."""

    def endless(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            sock.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")

    with failing(endless) as error:
        assert isinstance(error, ResponseUnreadable)
        assert str(error) == "city sent more than 1000000 bytes"


def test_a_length_beyond_the_limit_is_refused_before_the_body_is_read() -> None:
    """The provider says it beforehand, so nothing of it is waited for."""
    with failing(says(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n")) as error:
        assert str(error) == "city sent more than 1000000 bytes"


def test_five_gigabytes_of_zeros_gzipped_are_never_held() -> None:
    """A bomb is counted as it decompresses: it ends near the limit in time and in memory."""
    compress = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"\0" * 10_000_000
    first = compress.compress(block) + compress.flush(zlib.Z_FULL_FLUSH)
    again = compress.compress(block) + compress.flush(zlib.Z_FULL_FLUSH)

    def bomb(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + first)
        for _ in range(499):
            sock.sendall(again)

    tracemalloc.start()
    with failing(bomb, max_body=4_000_000) as error:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(error, ResponseUnreadable)
        assert str(error) == "city sent more than 4000000 bytes"
        assert peak < 8_000_000


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("said", "response"),
    [
        ("not JSON", http(raw=b'[{"bbl": "10126')),
        ("HTML with 200", http(raw=b"<html>maintenance", headers={"Content-Type": "text/html"})),
        (
            "latin-1 that claims to be UTF-8",
            http(
                raw='["Café"]'.encode("latin-1"), headers={"Content-Type": "application/json;charset=utf-8"}
            ),
        ),
        (
            "an unknown charset",
            http(raw=b"[]", headers={"Content-Type": "application/json; charset=klingon"}),
        ),
        ("NaN", http(raw=b'[{"x": NaN}]')),
        ("brackets without end", http(raw=b"[" * 200_000)),
    ],
)
def test_a_body_that_is_no_json_is_unreadable_whatever_its_status_says(said: str, response: bytes) -> None:
    """A 200 promises nothing, and half-read data are worse than none."""
    with failing(says(response)) as error:
        assert isinstance(error, ResponseUnreadable), said
        assert error.status == 200
        assert error.sent


def test_a_compressed_body_that_is_none_is_unreadable() -> None:
    """A wrong Content-Encoding is the provider's fault and will be so again."""
    with failing(says(http([1], headers={"Content-Encoding": "gzip"}))) as error:
        assert isinstance(error, ResponseUnreadable)


def test_a_body_shorter_than_its_length_may_be_whole_next_time() -> None:
    """Truncation is an outage, not an answer."""

    def truncate(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(http([1, 2, 3])[:-4])
        raise ConnectionAbortedError

    with failing(truncate) as error:
        assert isinstance(error, ProviderUnavailable)
        assert str(error) == "city sent a truncated body"
        assert error.sent


def test_a_chunked_body_without_its_end_may_be_whole_next_time() -> None:
    """The last chunk is missing although what came is valid JSON."""

    def truncate(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n")
        raise ConnectionAbortedError

    with failing(truncate) as error:
        assert isinstance(error, ProviderUnavailable)


def test_a_reset_connection_is_an_outage_in_which_bytes_have_left() -> None:
    """A submission would be in doubt now."""

    def reset(sock: socket.socket, _request: bytes) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError

    with failing(reset) as error:
        assert isinstance(error, ProviderUnavailable)
        assert str(error) == "city broke the connection"
        assert error.sent


def test_bytes_that_are_no_http_are_an_outage() -> None:
    """Whoever answers there just now is not the provider."""

    def garbage(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(b"\x00\x01\x02 SSH-2.0-mistake\r\n\r\n")
        raise ConnectionAbortedError

    with failing(garbage) as error:
        assert isinstance(error, ProviderUnavailable)
        assert str(error) == "city did not answer in HTTP"


def test_a_refused_connection_is_an_outage_in_which_nothing_left() -> None:
    """A submission may go out again without a doubt."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    asking = HttpClient(
        Provider(name="city", base_url=url), base_url=url, credential=None, timeouts=Timeouts()
    )

    with pytest.raises(ProviderUnavailable, match="city refused the connection") as caught:
        asking.send(Request(path="/", method="POST", data={}))

    assert not caught.value.sent


def test_a_name_that_does_not_resolve_is_an_outage_in_which_nothing_left() -> None:
    """A label of 64 letters cannot be asked of any resolver, so none is asked here."""
    url = f"http://{'a' * 64}.invalid"
    asking = HttpClient(
        Provider(name="city", base_url=url), base_url=url, credential=None, timeouts=Timeouts(total=5)
    )

    with pytest.raises(ProviderUnavailable, match="has a name that does not resolve") as caught:
        asking.send(GET)

    assert not caught.value.sent


def test_a_gzipped_answer_within_the_limit_is_read_as_any_other() -> None:
    """Compression is asked for and undone."""
    content = gzip.compress(b'[{"bbl": "1012650001"}]')
    with Peer(says(http(raw=content, headers={"Content-Encoding": "gzip"}))) as peer:
        assert client(peer).send(GET).data == [{"bbl": "1012650001"}]
