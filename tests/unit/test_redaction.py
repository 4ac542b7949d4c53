"""Arguments are seen by those who may see them."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from dataclasses import dataclass
from inspect import Signature
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.masking import is_secret_name, mask_url
from config.masking import masked as masked_text
from worker.redaction import excerpt, masked, redacted_repr


@dataclass(frozen=True)
class Offered:
    """What an operation says about its parameters."""

    signature: Signature
    shown: Collection[str]


def _submit(bbl: str, note: str = "", *, limit: int = 5, api_key: str = "", household: Any = None) -> None:
    """An operation's parameters."""


SUBMIT = Offered(inspect.signature(_submit), ("bbl", "limit", "api_key"))


def test_only_shown_values_are_seen() -> None:
    """In place and by name; one argument still looks like a tuple."""
    args, kwargs = masked(
        SUBMIT, ["1012650001", "Jane Canary"], {"limit": 7, "household": {"name": "Canary"}}
    )

    assert args == "('1012650001', ***)"
    assert kwargs == "{'limit': 7, 'household': ***}"
    assert masked(SUBMIT, ("1012650001",), None) == ("('1012650001',)", "{}")


def test_a_credential_is_hidden_even_when_its_name_is_shown() -> None:
    """A slip in a provider module does not print a key."""
    assert redacted_repr({"api_key": "canary"}, SUBMIT.shown) == "{'api_key': ***}"
    assert "canary" not in excerpt(SUBMIT, ["1"], {"api_key": "canary"})


def test_arguments_that_fit_no_parameter_are_hidden_with_their_names() -> None:
    """A message from elsewhere may call with anything, an address as a name included."""
    args, kwargs = masked(SUBMIT, ["1", "x", "canary"], {"jane@canary.org": 1, "limit": 2})

    assert args == "('1', ***, ***)"
    assert kwargs == "{'limit': 2, '…': ***}"
    assert "canary" not in excerpt(SUBMIT, ["1", "x", "canary"], {"jane@canary.org": 1})


@pytest.mark.parametrize(("args", "kwargs"), [(None, None), ("canary", "canary"), (5, []), ({}, {1: 2})])
def test_a_message_of_the_wrong_shape_shows_nothing(args: Any, kwargs: Any) -> None:
    """What is not a list and a mapping was not written by Celery."""
    shown = "".join(masked(SUBMIT, args, kwargs)) + excerpt(SUBMIT, args, kwargs)
    assert "canary" not in shown


def test_long_values_are_cut() -> None:
    """Flower keeps thousands of these in memory."""
    args, _ = masked(SUBMIT, ["9" * 100_000], {})

    assert len(args) < 80
    assert args.endswith("…,)")


def test_an_object_that_is_shown_is_shown_by_its_type() -> None:
    """A repr may hold anything, and may fail."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("canary")

    assert redacted_repr({"bbl": Odd()}, ("bbl",)) == "{'bbl': '<Odd>'}"


def test_an_excerpt_says_what_the_call_was_about() -> None:
    """Names, shown values, and the kind and size of all others."""
    text = excerpt(SUBMIT, ["1012650001", "Jane Canary"], {"household": {"a": 1, "b": 2}, "limit": None})

    assert text == "bbl='1012650001', note=<str of 11>, household=<dict of 2>, limit=None"


@given(st.lists(st.text(max_size=2000) | st.integers() | st.none(), max_size=40))
def test_an_excerpt_is_at_most_500_characters(values: list[Any]) -> None:
    """It stands in a table."""
    assert len(excerpt(SUBMIT, values, {"household": values})) <= 500


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:canary@h:6379/0", "redis://***@h:6379/0"),
        ("redis://:c@n/ary@h/0", "redis://***@h/0"),
        ("rediss://h:6379/0?password=canary&db=1", "rediss://h:6379/0?password=***&db=***"),
        ("https://h/path?appid=canary#canary", "https://h/path?appid=***"),
        ("sentinel://:canary@a:1;sentinel://:canary@b:2", "sentinel://***@a:1;sentinel://***@b:2"),
        ("unix:///run/valkey.sock?db=0", "unix:///run/valkey.sock?db=***"),
        ("https://h/plain", "https://h/plain"),
    ],
)
def test_an_address_is_shown_without_credentials_and_values(url: str, shown: str) -> None:
    """Keys stand in queries (OpenWeather, Last.fm, Mapbox), passwords before the host."""
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    "text",
    [
        "to jane.canary+nyc@example.org now",
        "jane.canary%40example.org",
        "call +1 (212) 555-0100",
        "call (212) 555-0100",
        "call 212-555-0100",
        "call +12125550100",
        "Authorization: Bearer canary0123456789",
        "authorization=Basic Y2FuYXJ5OmNhbmFyeQ==",
        "token=canary0123",
        'he said "api_key": "canary0123"',
        "GET /data?q=canary0123&appid=canary0123 HTTP/1.1",
        "redis://:canary0123@h:6379",
    ],
)
def test_a_text_loses_what_looks_private(text: str) -> None:
    """Addresses, telephone numbers and credentials, in the forms in which they turn up."""
    shown = masked_text(text)

    assert "***" in shown
    for canary in ("canary", "555", "0100", "Y2Fu"):
        assert canary not in shown


@pytest.mark.parametrize(
    "text",
    ["1012650001", "2026-11-21T05:44:25.046Z", "call deferred", "a bearer of news", "3 of 5 tokens: 2",
     "50% of 20", "9f1c2d3e-1234-5678-9abc-def012345678", "http://127.0.0.1:9808/metrics",
     "nyc_open_data.fetch_bbl"],
)  # fmt: skip
def test_a_text_keeps_what_is_not(text: str) -> None:
    """A BBL has ten digits; times, ids and plain words are what operators look for."""
    assert masked_text(text) == text


def test_long_digits_are_hidden_when_nobody_vouches_for_them() -> None:
    """In another library's line ten digits may be a telephone number."""
    assert masked_text("to 2125550100", digits=True) == "to ***"


@given(st.text(alphabet="ab@:/?=&.+-( 1\n\x1b\ud800", max_size=4000))
def test_any_text_comes_out_short_and_harmless(text: str) -> None:
    """Control characters cannot move a terminal's cursor, and nothing grows without bound."""
    shown = masked_text(text)

    assert "\x1b" not in shown
    assert len(shown) <= 2001 * 6
    shown.encode()


@pytest.mark.parametrize(
    "name", ["password", "X-Api-Key", "apiKey", "authToken", "client_secret", "API_KEY", "appid"]
)
def test_names_of_credentials_are_known(name: str) -> None:
    """In the spellings of headers, Python and JSON."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["bbl", "tokens", "key", "monkey", "task_id", "keyboard", "authority", "app_name"]
)
def test_other_names_are_not_taken_for_credentials(name: str) -> None:
    """Tokens in a bucket are a number that operators need."""
    assert not is_secret_name(name)
