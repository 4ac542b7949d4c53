"""What is kept may have been written by anybody: entries of the cache, tokens, and why there is no token."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fleet import Ground
from tests.fuzz.driving import PATIENCE
from tests.fuzz.effort import examples
from tests.fuzz.oddities import CANARY, changed, documents, written
from tests.fuzz.wrong_peer import Reply, WrongPeer, replies
from worker.auth.token_slot import Slot
from worker.auth.tokens import Tokens
from worker.cache.envelope import sealed
from worker.claim import Claim
from worker.clients import TOKEN_BODY, TOKEN_SIGNS
from worker.engine import engine
from worker.errors import CallError
from worker.http.client import HttpClient
from worker.keys import keys
from worker.provider import Provider, Timeouts
from worker.request import Answer, Request

HOME = "nyc_open_data"
CREDENTIAL = "fuzzed:nobody-knows"
NUMBERS = count(1)
RIGHT = {"status": 200, "data": [{"bbl": "1012650001"}], "headers": {"etag": "v1"}, "empty": False}
NOW = 1_800_000_000.0
GRANTS: dict[str, dict[str, Any]] = {
    "spotify": {"access_token": "a" * 40, "token_type": "Bearer", "expires_in": 3600},
    "benefits": {"type": "SUCCESS", "token": "b" * 40},
}
"""What a credential buys."""


@pytest.fixture(scope="module")
def peer() -> Iterator[WrongPeer]:
    """A token host, and the provider to which its tokens are shown."""
    with WrongPeer() as peer:
        yield peer


class Shop:
    """A provider's tokens, bought at the peer; one credential for all examples, for it is dear to derive."""

    def __init__(self, peer: WrongPeer, name: str) -> None:
        here = engine().gateway(name)
        assert here.tokens
        self.peer, self.home = peer, here
        shop = Provider(name=name, base_url=peer.url, judge=TOKEN_SIGNS, max_body=TOKEN_BODY)
        limits = Timeouts(connect=PATIENCE, read=PATIENCE, total=PATIENCE)
        self.client = HttpClient(shop, base_url=peer.url, credential=None, timeouts=limits)
        self.auth: Any = here.provider.auth
        self.slot = Slot(name, CREDENTIAL, keys(name))
        assert self.slot.key

    def tokens(self) -> Tokens:
        """Of a process that knows none yet, where the fleet knows none either."""
        state = engine().state
        state.delete(self.slot.key, self.slot.failed, self.slot.anew, self.slot.asking)
        name = self.home.provider.name
        made = Tokens(
            name, self.auth, "/token", self.client.send, [], engine().line, keys(name), within=PATIENCE
        )
        self.slot.kept = None, 0.0
        made._slots.append(self.slot)
        return made


@pytest.fixture(scope="module")
def shops(ground: Ground, peer: WrongPeer) -> Iterator[dict[str, Shop]]:  # noqa: ARG001 - it points here
    """One for each way of buying tokens."""
    shops = {name: Shop(peer, name) for name in GRANTS}
    yield shops
    for shop in shops.values():
        shop.client.close()


@st.composite
def entries(draw: st.DrawFn) -> bytes:
    """An entry of the cache, nearly right: another value, or bytes that were changed."""
    value = draw(changed(RIGHT) | documents)
    try:
        raw = sealed(
            json.loads(json.dumps(value)), now=NOW, fresh=1e9, memory=draw(st.sampled_from([0.0, 60.0]))
        )
    except ValueError:
        raw = b""
    how = draw(st.sampled_from(["value", "value", "bytes", "cut", "form", "any"]))
    at = draw(st.integers(0, max(0, len(raw) - 1)))
    if how == "bytes":
        return raw[:at] + draw(st.binary(min_size=1, max_size=9)) + raw[at + 1 :]
    if how == "cut":
        return raw[:at]
    if how == "form":
        return raw[:13] + b"z" + raw[14:40] + zlib.compress(draw(st.binary(max_size=9)))
    return draw(st.binary(max_size=80)) if how == "any" else raw


@examples(150)
@given(raw=entries())
@example(raw=sealed(RIGHT, now=NOW, fresh=1e9, memory=60.0).replace(b"000060000", b"six secon", 1))
@example(raw=sealed([CANARY], now=NOW, fresh=1e9, memory=60.0))
@example(raw=sealed({"status": 200}, now=NOW, fresh=1e9, memory=60.0))
def test_whatever_lies_in_the_cache_a_call_has_its_answer(ground: Ground, raw: bytes) -> None:
    """The entry, if it can be one; otherwise the provider's own."""
    here = engine()
    gateway = here.gateway(HOME)
    query = {"$limit": "1", "$offset": str(next(NUMBERS))}
    request = Request(path="/resource/ipu4-2q9a.json", params=query, label="permits")
    with ground.cache.client() as cache:
        cache.set(keys(HOME).cached(request.fingerprint), raw)
    here.state.delete(keys(HOME).limits)  # a call must not wait for a token here

    for _ in range(2):
        answer = here.pipeline.call(gateway, request, Claim())

        assert isinstance(answer, Answer)
        assert isinstance(answer.status, int)
        assert isinstance(dict(answer.headers), dict)


@pytest.mark.parametrize("name", GRANTS)
@examples(60)
@given(data=st.data())
def test_whatever_a_token_host_says_there_is_a_token_that_can_be_shown_or_an_error_of_ours(
    shops: dict[str, Shop], name: str, data: st.DataObject
) -> None:
    """Of the right kind and length, and fit for a header."""
    shop = shops[name]
    shop.peer.reply = data.draw(replies(Answer(status=200, data=GRANTS[name])))
    tokens = shop.tokens()
    try:
        token = tokens.held(0)
    except CallError as why:
        told = str(why)
        with pytest.raises(CallError):  # as it is remembered
            tokens.held(0)
        assert CANARY not in told
        return

    shop.peer.reply = Reply(body=b"{}")
    answer = shop.client.send(Request(path="/x"), extra_headers=tokens.headers(token))

    assert answer.status == 200


@examples(60)
@given(data=st.data())
def test_whatever_lies_where_tokens_are_kept_there_is_a_token_or_an_error_of_ours(
    ground: Ground, shops: dict[str, Shop], data: st.DataObject
) -> None:
    """The token, why there is none, and the mark of one that must hold."""
    shop = shops["spotify"]
    shop.peer.reply = Reply(body=written(GRANTS["spotify"]))
    tokens = shop.tokens()
    told = {"kind": "ProviderUnavailable", "said": "no", "status": None, "wait": 1.5}
    values = st.binary(max_size=20) | changed(told).map(written)
    with ground.client() as state:
        for key in (shop.slot.key, shop.slot.failed, shop.slot.anew):
            if data.draw(st.booleans()):
                state.set(key, data.draw(values))

    try:
        token = tokens.held(0)
    except CallError as why:
        json.dumps([str(why), getattr(why, "retry_after", None)], allow_nan=False)
    else:
        assert token.text == GRANTS["spotify"]["access_token"]
