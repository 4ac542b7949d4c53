"""What answers mean: a provider's signs as data, and what each verdict becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import (
    CallError,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    RecipientSuppressed,
    RequestInvalid,
    ResourceMissing,
    ResponseUnreadable,
)
from worker.http.retry_after import left_of_day
from worker.http.verdict import failure, verdict
from worker.provider import Provider, Quota, Signs, Verdict

SIGNS = Signs(
    at="error.code",
    codes={"29": "throttled", "10": "credentials", "busy": "unavailable"},
    message="error.said",
    words={"suspended": "credentials", "tomorrow": "spent"},
    statuses={503: "throttled", 404: "empty"},
)
ACME = Provider(name="acme", base_url="http://127.0.0.1", judge=SIGNS)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ODD = st.one_of(JSON, st.fixed_dictionaries({"error": st.one_of(JSON, st.dictionaries(
    st.sampled_from(["code", "said"]), JSON))}))  # fmt: skip


def meant(status: int, body: Any, signs: Signs = SIGNS) -> Verdict | None:
    """What the signs say of an answer without headers."""
    return signs(status, {}, body)


def failed(meaning: Verdict, *, provider: Provider = ACME, body: Any = None, **headers: str) -> CallError:
    """The error that stands for *meaning* in an answer 418."""
    return failure(provider, meaning, 418, headers, body)


@pytest.mark.parametrize("code", [29, "29"])
@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_code_in_the_body_is_believed_whatever_the_status(code: object, status: int) -> None:
    """As a number or as text: Last.fm throttles with a 200."""
    assert meant(status, {"error": {"code": code}}) == "throttled"


def test_a_code_is_believed_before_words_and_words_before_the_status() -> None:
    """Each is what the provider says with more care than the next."""
    both = {"error": {"code": "busy", "said": "account suspended"}}
    words = {"error": {"code": "unheard", "said": "account suspended"}}

    assert [meant(503, body) for body in (both, words, {})] == ["unavailable", "credentials", "throttled"]


def test_what_no_sign_speaks_of_is_left_to_the_usual_table() -> None:
    """The provider has no opinion, so the status decides."""
    assert meant(400, {"error": {"code": 3}}) is None
    assert [verdict(ACME, status, {}, None) for status in (200, 400, 404, 429, 500, 503)] == [
        "ok", "rejected", "empty", "throttled", "unavailable", "throttled",
    ]  # fmt: skip


def test_a_code_stands_in_the_first_of_a_list() -> None:
    """SendGrid sends errors by the list."""
    signs = Signs(at="errors.code", codes={"7": "missing"})

    assert meant(400, {"errors": [{"code": 7}, {"code": 8}]}, signs) == "missing"
    assert meant(400, {"errors": []}, signs) is None


@given(st.integers(100, 599), ODD)
def test_no_body_makes_signs_fail(status: int, body: Any) -> None:
    """Whatever a stranger answers is a verdict, or left to the table."""
    meaning = meant(status, body)

    assert meaning is None or meaning in get_args(Verdict)


@pytest.mark.parametrize(
    ("meaning", "kind"),
    [
        ("credentials", CredentialsRefused),
        ("missing", ResourceMissing),
        ("rejected", RequestInvalid),
        ("throttled", ProviderThrottled),
        ("spent", ProviderThrottled),
        ("suppressed", RecipientSuppressed),
        ("unavailable", ProviderUnavailable),
        ("pending", ProviderUnavailable),
        ("unreadable", ResponseUnreadable),
    ],
)
def test_each_verdict_but_the_good_ones_has_its_error(meaning: Verdict, kind: type[CallError]) -> None:
    """And the request did leave, which a submission has to know."""
    error = failed(meaning)

    assert type(error) is kind
    assert error.sent is True
    assert (meaning == "pending") is error.neutral


def test_every_verdict_is_spoken_of_above() -> None:
    """A new one needs an error, or is good."""
    told = {"credentials", "missing", "rejected", "throttled", "spent", "suppressed", "unavailable"}

    assert {*told, "pending", "unreadable", "ok", "empty"} == {*get_args(Verdict)}


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kolkata"])
def test_a_spent_day_ends_at_the_providers_own_midnight(zone: str) -> None:
    """Whatever the answer says of a wait: a day that is spent comes back with the next one."""
    provider = Provider(name="acme", base_url="http://127.0.0.1", quota=Quota(limit=9, zone=zone))
    before = left_of_day(zone)

    error = failed("spent", provider=provider, **{"retry-after": "5"})

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after is not None
    assert before - 60 < error.retry_after <= before
    assert "today's are spent" in str(error)


def test_the_hours_of_a_day_are_counted_also_when_clocks_change() -> None:
    """New York's 1 November 2026 has 25 hours; its 8 March 23."""
    zone = ZoneInfo("America/New_York")
    autumn, spring = datetime(2026, 11, 1, tzinfo=zone), datetime(2026, 3, 8, tzinfo=zone)

    hours = [left_of_day(zone.key, now=day.astimezone(UTC)) / 3600 for day in (autumn, spring)]

    assert hours == [25, 23]


def test_a_throttled_answer_says_its_wait_in_headers_or_else_in_words() -> None:
    """Headers are believed first."""
    provider = Provider(name="acme", base_url="http://127.0.0.1", waits=(r"in (\d+) seconds",))
    body = {"message": "Try again in 7 seconds."}

    by_words = failed("throttled", provider=provider, body=body)
    by_header = failed("throttled", provider=provider, body=body, **{"retry-after": "3"})

    assert [error.retry_after for error in (by_words, by_header) if isinstance(error, ProviderThrottled)] == [
        7.0,
        3.0,
    ]


def test_words_that_are_read_stand_in_no_error() -> None:
    """A message may quote what was asked."""
    body = {"error": {"code": "29", "said": "suspended: canary"}, "message": "canary"}

    errors = [failed(meaning, body=body) for meaning in get_args(Verdict) if meaning not in {"ok", "empty"}]

    assert "canary" not in str(errors)
