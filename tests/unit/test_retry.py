"""When a failed call is tried again, and after how long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.errors import CallRejected, ProviderThrottled, ProviderUnavailable
from worker.provider import Retry
from worker.retry import RetryPolicy


def longest(low: float, high: float) -> float:
    """Chance, at its worst."""
    assert low <= high
    return high


def test_the_waits_grow_to_the_declared_most() -> None:
    """Decorrelated jitter: each at most three times the last."""
    policy = RetryPolicy(Retry(attempts=9, first=1.0, most=10.0), uniform=longest)
    waits, last = [], 0.0
    for attempt in range(1, 5):
        last = policy.backoff(ProviderUnavailable(), attempt=attempt, elapsed=0.0, last=last) or 0.0
        waits.append(last)

    assert waits == [3.0, 9.0, 10.0, 10.0]


@given(attempt=st.integers(1, 4), last=st.floats(0, 60), first=st.floats(0.1, 5), most=st.floats(5, 60))
def test_no_wait_is_outside_of_what_is_declared(attempt: int, last: float, first: float, most: float) -> None:
    """Whatever came before."""
    policy = RetryPolicy(Retry(attempts=5, first=first, most=most))

    wait = policy.backoff(ProviderUnavailable(), attempt=attempt, elapsed=1.0, last=last)

    assert wait is not None
    assert first <= wait <= most


def test_the_last_attempt_is_the_last() -> None:
    """Three attempts are two retries."""
    policy = RetryPolicy(Retry(attempts=3))

    decisions = [policy.backoff(ProviderUnavailable(), attempt=n, elapsed=0.0, last=0.0) for n in (1, 2, 3)]

    assert [decision is None for decision in decisions] == [False, False, True]


def test_no_attempt_begins_after_the_declared_time() -> None:
    """Five minutes are five minutes, however few attempts they held."""
    policy = RetryPolicy(Retry(attempts=5, within=300.0))

    assert policy.backoff(ProviderUnavailable(), attempt=2, elapsed=300.0, last=1.0) is None


def test_a_longer_wait_that_the_provider_names_wins() -> None:
    """And a shorter one does not shorten the back-off."""
    policy = RetryPolicy(Retry(first=2.0), uniform=lambda low, _: low)

    waits = [
        policy.backoff(ProviderThrottled(retry_after=after), attempt=1, elapsed=0.0, last=0.0)
        for after in (60.0, 0.5)
    ]

    assert waits == [60.0, 2.0]


def test_a_rejection_is_not_tried_again() -> None:
    """Asking again cannot help."""
    policy = RetryPolicy(Retry())

    assert policy.backoff(CallRejected(), attempt=1, elapsed=0.0, last=0.0) is None


class Patient(ProviderUnavailable):
    """Nothing is wrong with the call."""

    patience = 500.0


def test_what_there_is_patience_for_is_not_bound_by_attempts() -> None:
    """But by its own time, however short the other one is; its waits may grow with it."""
    policy = RetryPolicy(Retry(attempts=3, within=60.0, first=1.0, most=2.0), uniform=longest)

    assert policy.backoff(Patient(), attempt=50, elapsed=499.0, last=9.0) == 10.0
    assert policy.backoff(Patient(), attempt=1, elapsed=500.0, last=9.0) is None
