"""OAuth 2 client credentials: what asks for a token, and what of an answer is one."""

from __future__ import annotations

import base64
import math
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.auth.pieces import LONGEST, LONGEST_LIFE, ClientCredentials, TokenGrant
from worker.errors import ConfigurationError, ResponseUnreadable

AUTH = ClientCredentials(url="https://accounts.example.org/token")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_it_asks_as_the_rfc_has_it() -> None:
    """A form, and the client's own two parts in a Basic header (RFC 6749, 4.4.2 and 2.3.1)."""
    asked = AUTH.request("/token", "id:secret")

    sent = base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode()
    assert sent == "id:secret"
    assert (asked.method, asked.path, asked.form) == ("POST", "/token", {"grant_type": "client_credentials"})
    assert asked.repeatable


@given(st.from_regex(r"[!-9;-~]{1,20}", fullmatch=True), st.from_regex(r"[!-~]{1,20}", fullmatch=True))
def test_whatever_stands_in_a_credential_is_read_as_the_rfc_has_it(client: str, secret: str) -> None:
    """Each part is encoded as in a form before a colon parts the two (RFC 6749, 2.3.1)."""
    asked = AUTH.request("/token", f"{client}:{secret}")

    sent = base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode()
    assert sent.count(":") == 1
    assert tuple(map(unquote_plus, sent.split(":"))) == (client, secret)


def test_a_scope_goes_along() -> None:
    """Where there is one."""
    scoped = ClientCredentials(url="https://accounts.example.org/token", scope="read write")

    assert scoped.request("/token", "id:secret").form == {
        "grant_type": "client_credentials",
        "scope": "read write",
    }


@pytest.mark.parametrize("credential", ["secret", ":secret", "id:", ":", ""])
def test_a_credential_of_one_part_is_refused_without_saying_it(credential: str) -> None:
    """Whoever reads the message learns how it is written."""
    with pytest.raises(ConfigurationError, match="id:secret") as refused:
        AUTH.request("/token", credential)

    assert "secret" not in str(refused.value).replace("id:secret", "")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (3600, 3600.0),
        (0.5, 0.5),
        ("1800", 1800.0),
        (None, 3600.0),
        ("soon", 3600.0),
        (True, 3600.0),
        (0, 3600.0),
        (-5, 3600.0),
        ([60], 3600.0),
        (10**400, LONGEST_LIFE),
        ("9" * 4000, 3600.0),
    ],
)
def test_a_token_lasts_as_long_as_its_seller_says(said: Any, seconds: float) -> None:
    """An hour when that cannot be read, and never for so long that nobody can keep it."""
    assert AUTH.grant({"access_token": "abc", "expires_in": said}) == TokenGrant("abc", seconds)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "abc",
        {},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "two words"},
        {"access_token": "line\r\nX-Evil: 1"},
        {"access_token": "Schlüssel"},
        {"access_token": "x" * (LONGEST + 1)},
    ],
)
def test_what_fits_into_no_header_is_no_token(data: Any) -> None:
    """It is refused here, and not by whoever would send it."""
    with pytest.raises(ResponseUnreadable):
        AUTH.grant(data)


def test_the_token_stands_in_its_header_only() -> None:
    """RFC 6750, 2.1."""
    assert AUTH.headers("abc") == {"Authorization": "Bearer abc"}


@given(st.dictionaries(st.sampled_from(["access_token", "expires_in", "error"]), JSON) | JSON)
def test_any_answer_is_a_grant_or_unreadable(data: Any) -> None:
    """Whatever a token host sends."""
    try:
        token, seconds = AUTH.grant(data)
    except ResponseUnreadable:
        return
    assert token.isascii()
    assert 0 < seconds < math.inf
