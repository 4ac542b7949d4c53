"""A track from three providers at once: real gates, real sockets, one line of each provider's limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import ProviderSettings
from tasks.enrichment import enriched
from tests.integration.deployment import Deployment
from tests.sandbox import TOKEN, Sandbox
from worker.breaker import BreakerOpen
from worker.claim import Claim
from worker.errors import CallError
from worker.performing import Performance
from worker.steps import plain

KEYED = ("spotify", "lastfm")


class Worker:
    """Runs the operation as a task without a record does: a failure is final at once."""

    def __init__(self, here: Deployment) -> None:
        self.engine = here.engine

    def __call__(self, title: str, artist: str) -> Any:
        claim, pipeline = Claim(), self.engine.pipeline
        performance = Performance(pipeline, "spotify", "enrich_track", claim, lambda _: None)
        try:
            return plain(performance.of(enriched(title, artist, keyed=KEYED, limit=5)))
        finally:
            pipeline.tell(claim)


@pytest.fixture
def enrich(redis_url: str, sandbox: Sandbox) -> Iterator[Worker]:
    """One worker that has a key of everybody, and asks MusicBrainz as often as it likes."""
    sandbox.musicbrainz.rate = None
    spotify = sandbox.base_url("spotify")
    providers = {
        "spotify": ProviderSettings(
            base_url=f"{spotify}/v1", token_url=f"{spotify}/api/token", api_key=SecretStr(f"sandbox:{TOKEN}")
        ),
        "musicbrainz": ProviderSettings(base_url=sandbox.base_url("musicbrainz"), rate=100.0),
        "lastfm": ProviderSettings(base_url=sandbox.base_url("lastfm"), api_key=SecretStr(TOKEN)),
    }
    worker = Worker(Deployment(url=redis_url, changed={"providers": providers}))
    yield worker
    for name in providers:
        worker.engine.gateway(name).http.close()


def asked(sandbox: Sandbox) -> dict[str, int]:
    """How many questions reached each provider; tokens that were bought do not count."""
    return {
        name: sum(entry["path"] != "/api/token" for entry in sandbox.control.journal(name))
        for name in ("spotify", "musicbrainz", "lastfm")
    }


def test_a_track_that_spotify_knows_has_its_tags_from_last_fm(enrich: Worker, sandbox: Sandbox) -> None:
    """A second time nobody is asked."""
    first, second = (enrich("Happy", "Pharrell Williams") for _ in range(2))

    assert (first["spotify"]["title"], first["tags"][0]["name"]) == ("Happy", "pop")
    assert {name: source["from"] for name, source in first["sources"].items()} == {
        "spotify": "live",
        "lastfm": "live",
    }
    assert {source["from"] for source in second["sources"].values()} == {"cache"}
    assert asked(sandbox) == {"spotify": 1, "musicbrainz": 0, "lastfm": 1}


def test_what_spotify_does_not_have_musicbrainz_may(enrich: Worker) -> None:
    """The best match, and the tags that Last.fm has under the same names."""
    found = enrich("Slack Water", "The Ferry Slips")

    assert found["spotify"] is None
    assert (found["musicbrainz"]["title"], found["musicbrainz"]["score"]) == ("Slack Water", 100)
    assert [tag["name"] for tag in found["tags"]] == ["harbour"]


def test_an_outage_of_spotify_is_its_own(enrich: Worker, sandbox: Sandbox) -> None:
    """Once its breaker is open it is not even asked, and all answers are complete but for its part."""
    sandbox.control.fault("spotify", status=500)

    found = [enrich("Hey Boy Hey Girl", "The Chemical Brothers") for _ in range(8)]

    assert {each["sources"]["spotify"]["error"] for each in found} == {"upstream_error", BreakerOpen.code}
    assert all(each["musicbrainz"]["id"] for each in found)
    assert [each["tags"][0]["name"] for each in found] == ["electronic"] * 8
    assert enrich.engine.gateway("spotify").breaker.current_state == "open"
    assert enrich.engine.gateway("lastfm").breaker.current_state == "closed"


def test_a_secret_that_spotify_refuses_degrades_and_alarms(redis_url: str, sandbox: Sandbox) -> None:
    """The answer comes from elsewhere; that somebody must act is counted, and no part of the secret told."""
    spotify = sandbox.base_url("spotify")
    refused = ProviderSettings(
        base_url=f"{spotify}/v1", token_url=f"{spotify}/api/token", api_key=SecretStr("sandbox:canary-secret")
    )
    providers = {
        "spotify": refused,
        "musicbrainz": ProviderSettings(base_url=sandbox.base_url("musicbrainz")),
        "lastfm": ProviderSettings(base_url=sandbox.base_url("lastfm"), api_key=SecretStr(TOKEN)),
    }
    enrich = Worker(Deployment(url=redis_url, changed={"providers": providers}))

    found = enrich("Hey Boy Hey Girl", "The Chemical Brothers")

    assert found["sources"]["spotify"] == {"error": "upstream_rejected"}
    assert found["musicbrainz"] is not None
    assert "canary" not in str(found)


def test_when_nobody_answers_the_task_fails_with_what_spotify_said(enrich: Worker, sandbox: Sandbox) -> None:
    """The first of them."""
    for name in ("spotify", "musicbrainz", "lastfm"):
        sandbox.control.fault(name, status=500)

    with pytest.raises(CallError, match="spotify answered 500"):
        enrich("Hey Boy Hey Girl", "The Chemical Brothers")


def test_who_calls_directly_has_what_there_is_while_spotify_cools_down(
    enrich: Worker, sandbox: Sandbox
) -> None:
    """Nobody makes such a call again, so it does without what could come later; the first was told itself."""
    sandbox.control.fault("spotify", mode="throttle", retry_after="300")

    told = [enrich("Hey Boy Hey Girl", "The Chemical Brothers")["sources"]["spotify"] for _ in range(2)]

    assert told == [{"error": "rate_limited"}] * 2
