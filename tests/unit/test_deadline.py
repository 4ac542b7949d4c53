"""The watchdog: cuts what is late, spares what is over, and keeps nothing of either."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from worker.http.deadline import SWEEP_ABOVE, Deadline, Watchdog

Pair = tuple[socket.socket, socket.socket]


class Pooled:
    """What a connection is to a deadline."""

    deadline: Deadline | None = None


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a connection, the first of which waits at most five seconds."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_late_socket_is_shut_down_and_its_reader_wakes(pair: Pair) -> None:
    """Long before the socket's own timeout."""
    deadline = Watchdog().arm(0.05)
    deadline.guard(Pooled(), pair[0])
    began = time.monotonic()

    assert pair[0].recv(1) == b""

    assert deadline.expired
    assert 0.04 < time.monotonic() - began < 3
    assert deadline.remaining == 0.0


def test_a_socket_that_comes_after_the_deadline_is_shut_down_at_once(pair: Pair) -> None:
    """A name that took too long to resolve leaves no time for the connection."""
    deadline = Watchdog().arm(0.0)
    first = socket.socketpair()
    first[0].settimeout(5)
    deadline.guard(Pooled(), first[0])
    assert first[0].recv(1) == b""
    deadline.guard(Pooled(), pair[0])
    assert pair[0].recv(1) == b""
    for sock in first:
        sock.close()


def test_a_connection_belongs_to_the_call_that_took_it_last(pair: Pair) -> None:
    """A call whose connection went back to the pool cannot cut the next one's."""
    watchdog, pooled = Watchdog(), Pooled()
    former = watchdog.arm(0.05)
    former.guard(pooled, pair[0])
    latter = watchdog.arm(30)
    latter.guard(pooled, pair[0])

    marker = watchdog.arm(0.1)
    other = socket.socketpair()
    other[0].settimeout(5)
    marker.guard(Pooled(), other[0])
    assert other[0].recv(1) == b""  # the former's time is up, too

    pair[1].sendall(b"x")
    assert former.expired
    assert pair[0].recv(1) == b"x"
    latter.end()
    assert pooled.deadline is None
    for sock in other:
        sock.close()


def test_an_earlier_deadline_does_not_wait_for_a_later_one(pair: Pair) -> None:
    """The watchdog sleeps until the first of all, whichever was armed first."""
    watchdog = Watchdog()
    watchdog.arm(60)
    deadline = watchdog.arm(0.05)
    deadline.guard(Pooled(), pair[0])
    assert pair[0].recv(1) == b""


def test_calls_that_ended_in_time_leave_nothing_behind() -> None:
    """A thousand calls a second with half a minute each would fill the heap otherwise."""
    watchdog = Watchdog()
    running = [watchdog.arm(60) for _ in range(10)]
    for _ in range(5_000):
        watchdog.arm(30).end()
    assert len(watchdog._heap) < 3 * SWEEP_ABOVE
    assert not any(deadline.expired for deadline in running)
