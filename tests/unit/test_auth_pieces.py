"""Small pieces that say who asks: what each adds to a request, what it buys with, what it refuses."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.auth.pieces import (
    Auth,
    Basic,
    ClientCredentials,
    Login,
    Pair,
    TokenAuth,
    TokenGrant,
    basic,
    parts_of,
)
from worker.errors import ConfigurationError, ResponseUnreadable
from worker.http.auth import WireAuth, wire_auth
from worker.http.wire import Wire
from worker.provider import Provider
from worker.request import Request

SECRET = "canary-id:canary-secret"
ANY: list[Any] = [
    Auth(header="X-Api-Key"),
    Auth(query="appid"),
    Auth(header="Authorization", scheme="Bearer"),
    Basic(),
    Pair(query=("app_id", "app_key")),
    ClientCredentials(url="/token"),
    Login(url="/login"),
]


def provider(auth: Any) -> Provider:
    """One that wants to know who asks."""
    return Provider(name="harbor", base_url="http://127.0.0.1:9", auth=auth)


def target(auth: Any, request: Request) -> str:
    """Path and query as they leave."""
    known = provider(auth)
    wire = Wire(known, wire_auth(known, SECRET), user_agent="Narrows", prefix="")
    return wire.ready(request).target


@pytest.mark.parametrize(
    ("auth", "headers", "query"),
    [
        (Auth(header="X-Api-Key"), {"X-Api-Key": SECRET}, {}),
        (Auth(header="Authorization", scheme="Bearer"), {"Authorization": f"Bearer {SECRET}"}, {}),
        (Auth(query="appid"), {}, {"appid": SECRET}),
        (Basic(), {"Authorization": "Basic Y2FuYXJ5LWlkOmNhbmFyeS1zZWNyZXQ="}, {}),
        (Pair(query=("app_id", "app_key")), {}, {"app_id": "canary-id", "app_key": "canary-secret"}),
        (ClientCredentials(url="/token"), {}, {}),
        (Login(url="/login"), {}, {}),
    ],
)
def test_a_credential_stands_where_its_provider_wants_it(
    auth: Any, headers: dict[str, str], query: dict[str, str]
) -> None:
    """What only buys a token stands in no request at all."""
    assert wire_auth(provider(auth), SECRET) == WireAuth(headers=headers, query=query)


@pytest.mark.parametrize("auth", ANY)
@pytest.mark.parametrize("credential", [None, ""])
def test_nothing_is_sent_without_a_credential(auth: Any, credential: str | None) -> None:
    """To whoever wants one."""
    assert wire_auth(provider(auth), credential) == WireAuth(missing=True)


@pytest.mark.parametrize("auth", [replace(auth, required=False) for auth in ANY[:5]])
def test_a_credential_that_is_a_choice_may_be_left_out(auth: Any) -> None:
    """It is asked anonymously."""
    assert wire_auth(provider(auth), None) == WireAuth()


def test_a_provider_that_asks_for_none_is_told_none() -> None:
    """Even if there is one."""
    assert wire_auth(provider(None), SECRET) == WireAuth()


@pytest.mark.parametrize("auth", ANY[3:])
@pytest.mark.parametrize("credential", ["canary", "canary:", ":canary", ":"])
def test_a_credential_of_two_parts_has_both(auth: Any, credential: str) -> None:
    """The message names the provider and the form, and not what was set."""
    with pytest.raises(ConfigurationError) as refused:
        wire_auth(provider(auth), credential)

    assert str(refused.value) == (
        "harbor: a credential of two parts is written with a colon between them: id:secret"
    )


@pytest.mark.parametrize("auth", ANY)
@pytest.mark.parametrize("credential", ["can\nary:x", "can\0ary:x", "canäry:x", "canary:x\r\nX-Other: y"])
def test_a_credential_that_no_header_may_hold_is_refused(auth: Any, credential: str) -> None:
    """It would end the header, and begin another."""
    with pytest.raises(ConfigurationError) as refused:
        wire_auth(provider(auth), credential)

    assert "ary" not in str(refused.value)


@given(st.text(min_size=1).filter(lambda text: ":" not in text), st.text(min_size=1))
def test_a_password_may_hold_colons(user: str, password: str) -> None:
    """The first one parts them (RFC 7617, 2)."""
    assert parts_of(f"{user}:{password}") == (user, password)


@given(st.from_regex(r"[!-9;-~]{1,20}", fullmatch=True), st.from_regex(r"[!-~]{1,20}", fullmatch=True))
def test_basic_is_read_as_it_was_written(user: str, password: str) -> None:
    """By any server that knows RFC 7617."""
    scheme, _, encoded = basic(f"{user}:{password}")["Authorization"].partition(" ")

    assert (scheme, b64decode(encoded, validate=True).decode()) == ("Basic", f"{user}:{password}")


@pytest.mark.parametrize("auth", ANY[1:2] + ANY[4:5])
def test_a_key_in_the_query_follows_what_is_asked_and_replaces_nothing(auth: Any) -> None:
    """It is added as the request leaves, and stands nowhere before."""
    request = Request(path="/weather", params={"lat": "1"})

    asked = dict(parse_qsl(target(auth, request).partition("?")[2]))

    assert asked.pop("lat") == "1"
    assert "canary" in str(asked)
    assert "canary" not in repr(request) + json.dumps(dict(request.params)) + request.fingerprint


def test_what_a_credential_adds_is_never_printed() -> None:
    """Neither its headers nor its query."""
    printed = [repr(wire_auth(provider(auth), SECRET)) for auth in ANY]

    assert not [text for text in printed if "canary" in text or "Y2FuYXJ5" in text]


@pytest.mark.parametrize("kind", [ClientCredentials, Login])
@pytest.mark.parametrize("url", ["/token?audience=x", "https://accounts.example.org/token?x", "/token#part"])
def test_a_query_in_a_tokens_url_is_refused_where_it_is_declared(kind: Any, url: str) -> None:
    """It would be dropped, and another token bought than was meant."""
    with pytest.raises(ValueError, match="would not be sent"):
        kind(url=url)


def test_a_login_sends_user_and_password_in_the_fields_of_its_provider() -> None:
    """As JSON; its body is never printed."""
    login = Login(url="/in", user="name", password="word")

    request = login.request("/in", "ada:pass:word")

    assert (request.method, request.path, request.pure) == ("POST", "/in", True)
    assert request.data == {"name": "ada", "word": "pass:word"}
    assert "pass" not in repr(request)


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (ClientCredentials(url="/token"), "Bearer abc"),
        (Login(url="/in"), "abc"),
        (Login(url="/in", scheme="Token"), "Token abc"),
    ],
)
def test_a_token_is_shown_as_its_provider_wants_it(auth: TokenAuth, header: str) -> None:
    """The screening wants it bare."""
    assert auth.headers("abc") == {"Authorization": header}


@pytest.mark.parametrize(
    ("auth", "said", "granted"),
    [
        (Login(url="/in"), {"token": "abc", "type": "SUCCESS"}, TokenGrant("abc", 3600.0)),
        (Login(url="/in"), {"token": "abc", "expires_in": 60}, TokenGrant("abc", 60.0)),
        (Login(url="/in"), {"token": "abc", "expires_in": True}, TokenGrant("abc", 3600.0)),
        (Login(url="/in"), {"token": "abc", "expires_in": -1}, TokenGrant("abc", 3600.0)),
        (Login(url="/in", at="id", seconds=5.0), {"id": "abc"}, TokenGrant("abc", 5.0)),
    ],
)
def test_a_token_is_good_for_as_long_as_its_provider_says(
    auth: TokenAuth, said: Any, granted: TokenGrant
) -> None:
    """Or for as long as is usual there, when it says nothing or nonsense."""
    assert auth.grant(said) == granted


@pytest.mark.parametrize("auth", ANY[5:])
@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "abc",
        {},
        *(
            {"access_token": text, "token": text}
            for text in (None, "", 7, "a b", "a\nb", "ä", "x" * 8193, ["abc"], {"abc": 1})
        ),
    ],
)
def test_what_holds_no_token_cannot_be_read(auth: TokenAuth, said: Any) -> None:
    """Nothing of it would fit into a header."""
    with pytest.raises(ResponseUnreadable, match="holds no access token"):
        auth.grant(said)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["access_token", "token", "expires_in"]), inner)
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from(ANY[5:]))
def test_any_answer_of_a_token_host_is_a_token_or_an_error_of_ours(said: Any, auth: TokenAuth) -> None:
    """And a token that was granted fits into a header, for some time that passes."""
    try:
        token, seconds = auth.grant(said)
    except ResponseUnreadable:
        return
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token
    assert seconds > 0
    assert seconds < float("inf")
