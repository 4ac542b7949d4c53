"""What is kept and for how long: a provider's answers, a request's own, those that hold nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis

from config.settings import ProviderSettings
from tests.fleet import until
from tests.sandbox import Reply, Sandbox, json_reply
from tests.sandbox import Request as Asked
from worker.cache.cache import Cache, Entry
from worker.claim import Claim
from worker.errors import ProviderUnavailable, ResponseUnreadable
from worker.gateway import Gateway, open_gateway
from worker.keys import keys
from worker.metrics.metrics import Metrics
from worker.pipeline import Pipeline
from worker.provider import Auth, Caching, Provider, Verdict
from worker.request import Answer, Request
from worker.watcher import Watcher

NAME = "shelf"
LONG = Caching(memory=0.0, redis=600.0, stale_if_error=600.0, empty=60.0)
SHORT = Caching(memory=0.0, redis=0.05, stale_if_error=600.0)


class ShelfPlayer:
    """Answers ``/<word>`` with what stands there, and counts who comes; an ill shelf fails."""

    name = NAME

    def __init__(self) -> None:
        self.holds: dict[str, list[int]] = {"full": [1, 2], "bare": []}
        self.asked: list[str] = []
        self.ill = self.odd = False

    async def answer(self, request: Asked) -> Reply:
        word = request.path.strip("/")
        self.asked.append(f"{request.method} {word}")
        if self.ill:
            return self.failure(500)
        if self.odd:
            return json_reply({"shelf": "elsewhere"})
        return json_reply({"items": self.holds[word]}) if word in self.holds else self.failure(404)

    def failure(self, status: int) -> Reply:
        return json_reply({"error": status}, status=status)


def judge(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:  # noqa: ARG001
    """A shelf holds something or nothing; what is no shelf is not to be read."""
    if status == 404:
        return "empty"
    if status != 200:
        return None
    items = body.get("items") if isinstance(body, dict) else None
    return "unreadable" if items is None else "ok" if items else "empty"


@pytest.fixture
def shelf() -> ShelfPlayer:
    """A provider of one thing."""
    return ShelfPlayer()


Make = Callable[..., Pipeline]


@pytest.fixture
def make(state: Redis, shelf: ShelfPlayer) -> Any:
    """Builds a worker's pipeline for the shelf; each call of it is another worker."""
    with Sandbox(players=[shelf]) as sandbox:

        def pipeline(settings: ProviderSettings | None = None, **declared: Any) -> Pipeline:
            usual = {"caching": LONG, "judge": judge, "base_url": sandbox.base_url(NAME)}
            provider = Provider(name=NAME, **{**usual, **declared})
            gateway = open_gateway(provider, settings, state, state, None, Cache(state))
            return Pipeline(lambda _: gateway, inline_wait=0.5, watcher=Watcher(Metrics()))

        yield pipeline


def ask(pipeline: Pipeline, word: str = "full", **how: Any) -> Answer:
    """One call and its report, as a task that ends after it."""
    claim = Claim()
    try:
        return pipeline.call(gateway_of(pipeline), Request(path=f"/{word}", **how), claim)
    finally:
        pipeline.tell(claim)


def gateway_of(pipeline: Pipeline) -> Gateway:
    """The only gateway of these tests."""
    return pipeline.gateway(NAME)


def kept(pipeline: Pipeline, word: str = "full", **how: Any) -> Entry | None:
    """What is kept for a word."""
    return gateway_of(pipeline).recall(Request(path=f"/{word}", **how))


def life(state: Redis, word: str) -> float:
    """Seconds for which Redis keeps the answer for a word, fresh and stale together."""
    return float(state.pttl(keys(NAME).cached(Request(path=f"/{word}").fingerprint))) / 1000


def grown_old(pipeline: Pipeline, word: str = "full", **how: Any) -> None:
    """Wait until what is kept for a word is no longer fresh."""

    def old() -> bool:
        entry = kept(pipeline, word, **how)
        return entry is None or not entry.fresh

    until(old)


def test_a_request_may_say_how_long_its_own_answer_is_good(make: Make, state: Redis) -> None:
    """A search is not a look-up: the provider's own time holds for all others."""
    pipeline = make()
    ask(pipeline, "full", caching=Caching(memory=0.0, redis=5.0, stale_if_error=3.0))
    own = life(state, "full")
    state.flushall()

    ask(pipeline, "full")

    assert 6.0 < own <= 8.0
    assert 1190.0 < life(state, "full") <= 1200.0


def test_a_requests_own_time_holds_where_the_provider_keeps_nothing(make: Make, shelf: ShelfPlayer) -> None:
    """And nothing else of that provider is kept."""
    pipeline = make(caching=None)

    sources = [ask(pipeline, "full", caching=LONG).source for _ in range(2)]
    others = [ask(pipeline, "full").source for _ in range(2)]

    assert (sources, others) == (["live", "cache"], ["live", "live"])
    assert len(shelf.asked) == 3


@pytest.mark.parametrize("chosen", [{"cache_seconds": 0.0}, {"cache_seconds": 3.0}])
def test_what_the_deployment_says_of_caching_holds_for_a_requests_own_too(
    make: Make, state: Redis, chosen: dict[str, float]
) -> None:
    """Whoever sets CACHE_SECONDS means every answer of that provider."""
    pipeline = make(ProviderSettings(stale_if_error=0.0, **chosen))

    ask(pipeline, "full", caching=LONG)

    assert chosen["cache_seconds"] - 1.0 < life(state, "full") <= chosen["cache_seconds"]


def test_an_answer_that_may_not_be_kept_is_not(make: Make, state: Redis, shelf: ShelfPlayer) -> None:
    """Terms forbid it, or it would be somebody's address in Redis: not even when all else fails."""
    pipeline = make()

    sources = [ask(pipeline, "full", kept=False, caching=caching).source for caching in (None, LONG)]
    shelf.ill = True

    assert sources == ["live", "live"]
    assert state.keys("*:cache:*") == []
    with pytest.raises(ProviderUnavailable):
        ask(pipeline, "full", kept=False)


def test_what_only_computes_is_not_kept_either(make: Make, state: Redis) -> None:
    """A POST's fingerprint would have its whole body in it."""
    pipeline = make(judge=lambda *_: "ok")

    for _ in range(2):
        ask(pipeline, "full", method="POST", data={"who": "canary"}, pure=True)

    assert state.keys("*:cache:*") == []


@pytest.mark.parametrize("word", ["bare", "unheard-of"])
def test_an_answer_that_holds_nothing_is_soon_asked_for_again(make: Make, state: Redis, word: str) -> None:
    """A minute of the ten: what was not there may come any moment."""
    ask(make(), word)

    assert 55.0 < life(state, word) <= 60.0


def test_nothing_is_good_for_no_longer_than_something(make: Make, state: Redis) -> None:
    """Where answers are good for two seconds, empty ones are not good for a minute."""
    ask(make(caching=Caching(memory=0.0, redis=2.0, empty=60.0)), "bare")

    assert life(state, "bare") <= 2.0


def test_an_answer_that_holds_nothing_says_so_also_from_the_cache(make: Make, shelf: ShelfPlayer) -> None:
    """Whatever its status was: an operation that is answered need not look twice."""
    pipeline = make()

    found = [ask(make(), word) for word in ("unheard-of", "unheard-of", "full", "full")]

    assert [(each.status, each.source, each.empty) for each in found] == [
        (404, "live", True),
        (404, "cache", True),
        (200, "live", False),
        (200, "cache", False),
    ]
    assert shelf.asked == ["GET unheard-of", "GET full"]
    assert gateway_of(pipeline).breaker.current_state == "closed"


def test_nothing_is_no_stand_in_when_the_provider_is_down(make: Make, shelf: ShelfPlayer) -> None:
    """An old list is better than none; that there was none a while ago is not."""
    pipeline = make(caching=SHORT)
    ask(pipeline, "bare")
    ask(pipeline, "full")
    grown_old(pipeline, "bare")
    grown_old(pipeline, "full")
    shelf.ill = True

    assert ask(pipeline, "full").source == "stale"
    with pytest.raises(ProviderUnavailable):
        ask(pipeline, "bare")


def test_what_comes_to_an_empty_shelf_is_seen_once_its_time_is_over(make: Make, shelf: ShelfPlayer) -> None:
    """And from then on kept as long as any."""
    pipeline = make(caching=Caching(memory=0.0, redis=600.0, empty=0.05))
    ask(pipeline, "bare")
    shelf.holds["bare"] = [7]
    grown_old(pipeline, "bare")

    found = [ask(pipeline, "bare") for _ in range(2)]

    assert [(each.source, each.data["items"]) for each in found] == [("live", [7]), ("cache", [7])]


def test_an_answer_that_cannot_be_read_is_not_kept(make: Make, state: Redis, shelf: ShelfPlayer) -> None:
    """Kept for a month, one slip of the provider's would be ours for a month."""
    pipeline = make()
    shelf.odd = True
    with pytest.raises(ResponseUnreadable):
        ask(pipeline, "full")
    shelf.odd = False

    assert state.keys("*:cache:*") == []
    assert ask(pipeline, "full").data == {"items": [1, 2]}


def test_an_answer_that_cannot_be_read_leaves_the_last_good_one(make: Make, shelf: ShelfPlayer) -> None:
    """It is an error and no answer: what is kept stands in again when the provider is down."""
    pipeline = make(caching=SHORT)
    ask(pipeline, "full")
    grown_old(pipeline, "full")
    shelf.odd = True
    with pytest.raises(ResponseUnreadable):
        ask(pipeline, "full")
    shelf.odd, shelf.ill = False, True

    assert ask(pipeline, "full").source == "stale"


def test_no_key_and_no_query_stands_in_the_name_under_which_an_answer_is_kept(
    make: Make, state: Redis
) -> None:
    """Names of keys are seen by whoever looks at Redis; credentials are added on the wire alone."""
    settings = ProviderSettings(api_key=SecretStr("canary-key"))
    pipeline = make(settings, auth=Auth(query="api_key"))

    ask(pipeline, "full", params={"q": "canary-words"})

    (name,) = state.keys("*:cache:*")
    assert b"canary" not in name
    assert b"canary" not in (state.get(name) or b"")
