"""MusicBrainz and Last.fm through a real gate, over real sockets: what goes wrong, in their own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis

from config.settings import ProviderSettings
from tasks import get_track_tags, lastfm, lookup_isrc, musicbrainz
from tests.fleet import until
from tests.sandbox import TOKEN, Sandbox
from worker.cache.cache import Cache
from worker.claim import Claim
from worker.errors import (
    CredentialsRefused,
    ProviderCooling,
    ProviderThrottled,
    ProviderUnavailable,
    RequestInvalid,
    ResponseUnreadable,
)
from worker.gateway import open_gateway
from worker.metrics.metrics import Metrics
from worker.performing import Performance
from worker.pipeline import Pipeline
from worker.provider import Provider
from worker.steps import plain
from worker.watcher import Watcher

CODES = ("GBAAA9900303", "QZNRW2600001", "QZNRW2600002")
CONTACT = "ops@example.org"

Worker = Callable[..., Any]
Make = Callable[..., Worker]


@pytest.fixture
def make(state: Redis, sandbox: Sandbox) -> Iterator[Make]:
    """Builds a worker of one provider; what it is called with goes to an operation of that."""
    with ExitStack() as opened:

        def worker(provider: Provider, *, key: str = TOKEN, **changed: Any) -> Worker:
            settings = ProviderSettings(
                base_url=sandbox.base_url(provider.name), api_key=SecretStr(key) if provider.auth else None
            )
            gateway = open_gateway(
                replace(provider, **changed), settings, state, state, None, Cache(state), contact=CONTACT
            )
            opened.callback(gateway.http.close)
            pipeline = Pipeline(lambda _: gateway, inline_wait=2.0, watcher=Watcher(Metrics()))

            def run(task: Any, *args: Any) -> Any:
                claim = Claim()
                performance = Performance(pipeline, provider.name, task.name, claim, lambda _: None)
                try:
                    return plain(performance.of(task.operation.function(*args)))
                finally:
                    pipeline.tell(claim)

            return run

        yield worker


def breaker(state: Redis, provider: Provider) -> str:
    """Where the fleet's breaker stands."""
    gateway = open_gateway(provider, None, state, state, None, Cache(state))
    try:
        return str(gateway.breaker.current_state)
    finally:
        gateway.http.close()


def asked(sandbox: Sandbox, provider: Provider) -> int:
    """How many requests reached a provider."""
    count: int = sandbox.control.counts(provider.name)["count"]
    return count


# --- MusicBrainz ----------------------------------------------------------------------------------


def test_two_workers_keep_musicbrainzs_rate_between_them(make: Make, sandbox: Sandbox) -> None:
    """Six codes as fast as they may: never a 503, which would be for everybody."""
    workers = [make(musicbrainz.PROVIDER, caching=None) for _ in range(2)]

    for number in range(6):
        workers[number % 2](lookup_isrc, CODES[number % 3])

    assert sandbox.control.counts("musicbrainz")["statuses"] == {"200": 6}


def test_somebody_elses_haste_is_a_pause_for_our_fleet(make: Make, sandbox: Sandbox, state: Redis) -> None:
    """One of our calls hears of it, the next are not made, and the breaker learns nothing."""
    one, other = (make(musicbrainz.PROVIDER) for _ in range(2))
    sandbox.control.fault("musicbrainz", mode="throttle", times=1)
    with pytest.raises(ProviderThrottled) as throttled:
        one(lookup_isrc, CODES[0])

    with pytest.raises(ProviderCooling) as held:
        other(lookup_isrc, CODES[0])

    assert asked(sandbox, musicbrainz.PROVIDER) == 1
    assert 0.9 <= (throttled.value.retry_after or 0.0) <= 3.0
    assert held.value.wait <= 3.0
    assert breaker(state, musicbrainz.PROVIDER) == "closed"
    until(lambda: _answers(other), within=20)


def test_three_failures_in_a_row_open_its_breaker(make: Make, sandbox: Sandbox, state: Redis) -> None:
    """A 500 is a failure, unlike a 503."""
    worker = make(musicbrainz.PROVIDER)
    sandbox.control.fault("musicbrainz", status=500)

    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            worker(lookup_isrc, CODES[0])

    assert breaker(state, musicbrainz.PROVIDER) == "open"


def test_an_unknown_code_is_an_answer_that_is_kept(make: Make, sandbox: Sandbox, state: Redis) -> None:
    """Asked for again at once, it costs nothing."""
    worker = make(musicbrainz.PROVIDER)

    found = [worker(lookup_isrc, "QZNRW2600404") for _ in range(2)]

    assert found == [{"isrc": "QZNRW2600404", "recordings": (), "chosen": None}] * 2
    assert asked(sandbox, musicbrainz.PROVIDER) == 1
    assert breaker(state, musicbrainz.PROVIDER) == "closed"


def test_a_page_in_place_of_json_says_nothing_of_a_code(make: Make, sandbox: Sandbox) -> None:
    """Also with 404: a wrong address would have every code unknown. It is not kept."""
    worker = make(musicbrainz.PROVIDER)
    for status, kind in ((404, RequestInvalid), (200, ResponseUnreadable)):
        sandbox.control.fault("musicbrainz", mode="html", status=status, times=1)
        with pytest.raises(kind):
            worker(lookup_isrc, CODES[0])

    assert worker(lookup_isrc, CODES[0])["chosen"]["title"] == "Hey Boy Hey Girl"


def test_the_one_that_is_meant_is_neither_the_first_nor_the_film(make: Make) -> None:
    """The sandbox lists a film first, which is on most releases, then a remaster."""
    found = make(musicbrainz.PROVIDER)(lookup_isrc, "QZNRW2600001")

    assert [each["disambiguation"] for each in found["recordings"]] == ["official video", "remaster", None]
    assert found["chosen"]["releases"][0]["title"] == "Upper Bay"
    assert (found["chosen"]["length_ms"], found["chosen"]["first_release_date"]) == (None, "2001")


@pytest.mark.parametrize("provider", [musicbrainz.PROVIDER, lastfm.PROVIDER], ids=lambda each: each.name)
def test_whom_to_write_to_stands_in_every_request(make: Make, sandbox: Sandbox, provider: Provider) -> None:
    """MusicBrainz refuses callers without a name, and slows down those without an address."""
    if provider is musicbrainz.PROVIDER:
        make(provider)(lookup_isrc, CODES[0])
    else:
        make(provider)(get_track_tags, "Hells Bells", "AC/DC")

    (entry,) = sandbox.control.journal(provider.name)
    assert entry["headers"]["user-agent"] == f"Narrows/0.1 ({CONTACT})"


# --- Last.fm --------------------------------------------------------------------------------------


def test_one_tag_alone_and_none_are_lists_too(make: Make) -> None:
    """Whatever shape they came in."""
    worker = make(lastfm.PROVIDER)

    found = [
        worker(get_track_tags, track, "The Ferry Slips") for track in ("Slack Water", "Unheard", "Unsaid")
    ]

    assert [[tag["name"] for tag in tags] for tags in found] == [["harbour"], [], []]


def test_a_throttled_200_is_a_pause_for_the_fleet(make: Make, sandbox: Sandbox, state: Redis) -> None:
    """Ten seconds, since Last.fm names none; the breaker learns nothing."""
    one, other = (make(lastfm.PROVIDER) for _ in range(2))
    sandbox.lastfm.error = 29
    with pytest.raises(ProviderThrottled):
        one(get_track_tags, "Hells Bells", "AC/DC")

    with pytest.raises(ProviderCooling) as held:
        other(get_track_tags, "Hells Bells", "AC/DC")

    assert 9.0 < held.value.wait <= 10.0 + 1.0  # work resumes paced
    assert asked(sandbox, lastfm.PROVIDER) == 1
    assert breaker(state, lastfm.PROVIDER) == "closed"


@pytest.mark.parametrize("code", [8, 11, 16])
def test_an_outage_in_a_200_opens_the_breaker(make: Make, sandbox: Sandbox, state: Redis, code: int) -> None:
    """As one that says so by its status would."""
    worker = make(lastfm.PROVIDER)
    sandbox.lastfm.error = code

    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            worker(get_track_tags, "Hells Bells", "AC/DC")

    assert breaker(state, lastfm.PROVIDER) == "open"


def test_a_failure_in_a_200_is_never_kept(make: Make, sandbox: Sandbox, state: Redis) -> None:
    """It would be served for a week."""
    worker = make(lastfm.PROVIDER)
    for code, kind in ((8, ProviderUnavailable), (26, CredentialsRefused), (5, RequestInvalid)):
        sandbox.lastfm.error = code
        with pytest.raises(kind):
            worker(get_track_tags, "Hells Bells", "AC/DC")

    assert state.keys("*:cache:*") == []
    sandbox.lastfm.error = None
    assert worker(get_track_tags, "Hells Bells", "AC/DC")[0]["name"] == "hard rock"


def test_a_key_that_last_fm_does_not_know_is_told_to_nobody(
    make: Make, state: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """It stands in the address, so no address stands anywhere."""
    worker = make(lastfm.PROVIDER, key="canary-key")

    with pytest.raises(CredentialsRefused) as refused:
        worker(get_track_tags, "Hells Bells", "AC/DC")

    assert "(10)" in str(refused.value)
    seen = [str(refused.value), repr(refused.value), caplog.text, *map(str, _everything(state))]
    assert "canary" not in " ".join(seen)


def _answers(worker: Worker) -> bool:
    try:
        worker(lookup_isrc, CODES[0])
    except ProviderCooling:
        return False
    return True


def _everything(state: Redis) -> Iterator[object]:
    """The names and values of all that Redis holds."""
    for name in state.scan_iter():
        yield name
        yield state.dump(name)
