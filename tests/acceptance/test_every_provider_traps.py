"""The trap of each provider that its callers fall into, with real workers at the providers' own rates."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from redis import Redis

import tasks
from tests.acceptance.city_hall import report
from tests.acceptance.every_provider import ROWS
from tests.acceptance.provider_desk import Desk
from tests.fleet import Fleet, Ground, until
from tests.sandbox import LOTS
from tests.sandbox.openweather import NOWHERE
from tests.sandbox.twilio.player import OPTED_OUT
from worker.errors import CallInDoubt, RecipientSuppressed, RequestInvalid

OWN = {
    "NARROWS_PROVIDERS__NYC311__CONTRACT": "apim",
    "NARROWS_PROVIDERS__GEOCLIENT__OPTIONS__FALLBACK": "none",
    "NARROWS_PROVIDERS__LASTFM__COOLDOWN": "1",
    "NARROWS_PROVIDERS__SENDGRID__TOTAL_TIMEOUT": "1.5",
}
"""All else is as the modules declare it."""


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """A worker."""
    with Fleet(clean, workers=1, env=OWN) as fleet:
        yield fleet


@pytest.fixture
def desk(state: Redis, clean: Ground, request: pytest.FixtureRequest) -> Desk:
    """Where the provider is watched that the test names."""
    desk = Desk(state=state, ground=clean, row=ROWS[request.param])
    desk.clear()
    return desk


def of(name: str) -> pytest.MarkDecorator:
    """Has *desk* watch the provider of that name."""
    return pytest.mark.parametrize("desk", [name], indirect=True)


@of("nyc_open_data")
def test_violations_are_found_however_the_lot_is_padded(desk: Desk) -> None:
    """Socrata compares texts, and Buildings writes 00001, 0001, 001 and 1: a miss would look like no rows."""
    rows = tasks.fetch_dob_violations.delay(LOTS[0].bbl).get(timeout=20)

    assert Counter(row["lot"] for row in rows) == {"00001": 2, "0001": 2, "001": 2, "1": 2}
    assert desk.letters == []


@of("nyc311")
def test_a_status_that_is_a_number_is_read_as_the_word_that_it_stands_for(desk: Desk) -> None:
    """The City's own interface says 614110003 of what is closed."""
    number = tasks.submit_service_request.delay(report("a hole")).get(timeout=20)["external_id"]
    desk.ground.sandbox.nyc311.move(number, "closed")

    told = tasks.check_service_request.delay(number).get(timeout=20)

    assert told["external_status"] == "closed"


@of("geoclient")
def test_what_geoclient_rejects_in_a_200_is_not_found(desk: Desk) -> None:
    """The status says that all is well, and means the service."""
    found = tasks.geocode.delay("1 Nowhere Lane, Manhattan").get(timeout=20)

    assert [each["status"] for each in desk.heard] == [200]
    assert (found["status"], found["place"], found["candidates"]) == ("not_found", None, [])


@of("mapbox")
def test_what_mapbox_says_is_not_kept_unless_that_is_paid_for(desk: Desk) -> None:
    """The same again is asked again, and nothing of it lies in the cache."""
    for _ in range(2):
        tasks.geocode_mapbox.delay("280 Riverside Drive, Manhattan").get(timeout=20)

    assert len(desk.heard) == 2
    assert list(desk.ground.cache.client().scan_iter("narrows:{mapbox}:*")) == []


@of("benefits")
def test_a_token_that_has_ended_is_bought_anew_once_for_the_fleet(desk: Desk) -> None:
    """Sixteen calls find out together; each is answered, and the City hears of one more login."""
    player = desk.ground.sandbox.benefits
    desk.row.asked(0).get(timeout=20)
    before = player.logins
    player.end_tokens()

    calls = [desk.row.asked(number) for number in range(16)]

    assert all(desk.row.brings(call.get(timeout=20)) for call in calls)
    assert player.logins == before + 1
    assert desk.letters == []


@of("spotify")
def test_an_app_in_development_asks_for_no_more_than_it_may(desk: Desk) -> None:
    """Five unless said otherwise; more than ten is the caller's mistake, and is asked for once."""
    found = tasks.search_track.delay("Tide Number").get(timeout=20)
    with pytest.raises(RequestInvalid):
        tasks.search_track.delay("Tide Number", limit=11).get(timeout=20)

    until(lambda: desk.letters)
    assert len(found) == 5
    assert [each["status"] for each in desk.heard] == [200, 400]
    assert [letter["code"] for letter in desk.letters] == ["upstream_rejected"]


@of("musicbrainz")
def test_a_burst_reaches_musicbrainz_at_one_call_a_second_whoever_sends_it(desk: Desk) -> None:
    """Above that it would answer nobody at all, and hear the fleet as one."""
    calls = [desk.row.asked(number) for number in range(5)]

    assert all(desk.row.brings(call.get(timeout=30)) for call in calls)

    came = [each["at"] for each in desk.heard]
    assert [each["status"] for each in desk.heard] == [200] * 5
    assert came[-1] - came[0] >= 3.9
    assert sum(later - earlier < 0.5 for earlier, later in pairwise(came)) <= 1  # a busy machine bunches two


@of("lastfm")
def test_an_error_in_a_200_is_an_error(desk: Desk) -> None:
    """29 is too often: the call waits, and nothing of it is kept as an answer."""
    player = desk.ground.sandbox.lastfm
    player.error = 29
    call = desk.row.asked(0)
    until(lambda: "lastfm cooldown" in str(call.info), told=lambda: call.info)
    player.error = None

    assert desk.row.brings(call.get(timeout=20))
    assert {each["status"] for each in desk.heard} == {200}
    assert len(desk.heard) >= 2
    assert desk.letters == []


@of("sendgrid")
def test_a_mail_that_was_taken_in_silence_is_not_sent_again(desk: Desk) -> None:
    """Nobody knows that it was taken, so a person is asked, and the same key finds the same mail."""
    desk.misbehave(mode="acted_silent", times=1)
    player = desk.ground.sandbox.sendgrid
    player.clear()

    def send() -> object:
        call = tasks.send_email.delay(["a@example.org"], "News", text="High.", idempotency_key="news-1")
        with pytest.raises(CallInDoubt):
            call.get(timeout=20)
        return call.id

    assert send() == send()

    assert list(player.arrivals.values()) == [1]
    assert len(desk.heard) == 1
    until(lambda: [letter["code"] for letter in desk.letters] == ["in_doubt"])


@of("twilio")
def test_who_answered_stop_is_written_to_once_and_never_again(desk: Desk) -> None:
    """Twilio's 21610 is remembered: the next message to that number leaves nothing, whoever sends it."""
    for text in ("High water.", "Low water."):
        with pytest.raises(RecipientSuppressed):
            tasks.send_sms.delay(OPTED_OUT, text).get(timeout=20)

    until(lambda: len(desk.letters) == 2)
    assert [each["method"] for each in desk.heard] == ["POST"]
    assert {letter["code"] for letter in desk.letters} == {"suppressed"}
    assert not any(OPTED_OUT in letter["error"] + letter["payload_excerpt"] for letter in desk.letters)


@of("openweather")
def test_a_404_in_the_body_of_a_200_is_no_weather(desk: Desk) -> None:
    """As it was said for years."""
    assert tasks.current_weather.delay(NOWHERE, 1.0).get(timeout=20) is None

    assert [each["status"] for each in desk.heard] == [200]
    assert desk.letters == []


@of("storage")
def test_a_watermark_never_moves_back(desk: Desk) -> None:
    """A late retry finds the newer one and leaves it; so does the slowest of many at once."""
    moments = [f"2026-11-21T09:{minute:02d}:00Z" for minute in (30, 10, 59, 20, 40)]
    player = desk.ground.sandbox.storage

    updates = [tasks.update_watermark.delay("tide", moment) for moment in moments]
    told = [update.get(timeout=20) for update in updates]
    late = tasks.update_watermark.delay("tide", moments[0]).get(timeout=20)

    written = [time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S") for moment in player.written["tide"]]
    assert written == sorted(set(written))
    assert late["moved"] is False
    assert sum(update["moved"] for update in told) == len(written)
    assert tasks.get_watermark.delay("tide").get(timeout=20)["timestamp"] == late["timestamp"]
