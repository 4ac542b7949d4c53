"""MusicBrainz: what it is asked, how its answers read, which recording of several is meant."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks import lookup_isrc, search_recording
from tasks.musicbrainz import PROVIDER, escaped, judge, search_request
from tasks.musicbrainz_recordings import Recording, Recordings, Release, chosen, recordings
from tests.driver import Driver
from tests.sandbox.musicbrainz import Clause, parsed
from worker.errors import (
    ArgumentsInvalid,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    RequestInvalid,
    ResponseUnreadable,
)
from worker.http.auth import WireAuth
from worker.http.verdict import failure, verdict
from worker.http.wire import Wire
from worker.redaction import excerpt
from worker.request import Answer
from worker.steps import plain

ISRC = "GBAAA9900303"
UNKNOWN = {"error": "Not Found", "help": "For usage, please see: https://musicbrainz.org/development/mmd"}
FIRST = "bf7845cc-eac3-48a3-8b06-543b4b7ba117"
DOCUMENT: dict[str, Any] = {
    "id": FIRST,
    "title": "Hey Boy Hey Girl",
    "length": 289946,
    "video": False,
    "disambiguation": "",
    "first-release-date": "1999-06-21",
    "artist-credit": [
        {"name": "One", "joinphrase": " feat. ", "artist": {"id": "a1", "name": "One Himself"}},
        {"name": "Two", "joinphrase": "", "artist": {"id": "a2", "name": "Two"}},
    ],
    "releases": [
        {"id": "r1", "title": "Surrender", "date": "1999-06-21", "country": "GB", "status": "Official"},
        {"id": "r2", "title": "Surrender", "date": "1999"},
    ],
    "isrcs": [ISRC],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NEARLY = st.lists(
    st.fixed_dictionaries(
        {"id": st.just("x") | JSON, "title": st.just("y") | JSON},
        optional={name: JSON for name in DOCUMENT if name not in {"id", "title"}},
    )
    | JSON,
    max_size=3,
)
BODIES = JSON | st.fixed_dictionaries({"recordings": NEARLY})
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=30)


def recording(**changed: Any) -> Recording:
    """A recording, of which only what is told here matters."""
    plainly = recordings({"recordings": [{"id": "x", "title": "y"}]})[0]
    return replace(plainly, **changed)


def releases(number: int) -> tuple[Release, ...]:
    """So many releases."""
    return tuple(Release(id=str(n), title=None, date=None, country=None, status=None) for n in range(number))


def answered(data: Any, status: int = 200) -> Driver:
    """A provider that always answers so."""
    return Driver(answer=lambda _: Answer(status=status, data=data))


# --- asking ---------------------------------------------------------------------------------------


def test_a_code_is_asked_for_with_all_that_helps_to_choose() -> None:
    """Artists and releases; a plus sign parts them on the wire, where an encoded one would not."""
    driver = answered({"recordings": [DOCUMENT]})

    driver.run(lookup_isrc.operation.function(ISRC))

    (request,) = driver.requests
    wire = Wire(PROVIDER, WireAuth(), user_agent="Narrows/0.1", prefix="").ready(request)
    assert wire.target == f"/ws/2/isrc/{ISRC}?inc=artist-credits+releases&fmt=json"


def test_a_search_names_the_title_the_artist_and_how_many() -> None:
    """Both as phrases, so that their words are next to one another."""
    driver = answered({"recordings": []})

    driver.run(search_recording.operation.function("Hey Boy", "The Chemical Brothers", limit=3))

    assert driver.requests[0].params == {
        "query": 'recording:"Hey Boy" AND artist:"The Chemical Brothers"',
        "limit": "3",
        "fmt": "json",
    }
    assert driver.requests[0].caching is not None


def test_a_search_without_an_artist_does_not_speak_of_one() -> None:
    """An empty phrase would find nothing."""
    assert search_request("Hey Boy").params["query"] == 'recording:"Hey Boy"'


@pytest.mark.parametrize("special", ["+", "-", "&&", "||", *'!(){}[]^"~*?:\\/'])
def test_what_means_something_to_lucene_is_escaped(special: str) -> None:
    """Each of its characters by a backslash of its own."""
    assert escaped(f"a{special}b") == "a" + "".join(f"\\{each}" for each in special) + "b"


@given(LINES, st.none() | LINES)
@example('What? (AC/DC + "You" && Me) [1:2] {^~*} \\ !', 'x" OR artist:"y')
@example("\\", "\\\\")
@example("AND", "NOT")
def test_whatever_a_title_holds_is_looked_for_and_nothing_else(title: str, artist: str | None) -> None:
    """The sandbox reads the query by itself, and refuses a character that might mean something."""
    wanted = [Clause("recording", title), *([Clause("artist", artist)] if artist else [])]

    assert parsed(search_request(title, artist).params["query"]) == wanted


@given(LINES, LINES)
def test_the_longest_names_fit_into_a_requests_first_line(title: str, artist: str) -> None:
    """Servers take 8 kB of it, and letters grow twelvefold when they are encoded."""
    longest = search_request((title * 200)[:200], (artist * 200)[:200], 100)

    target = Wire(PROVIDER, WireAuth(), user_agent="x", prefix="").ready(longest).target

    assert len(target) < 8000
    assert parse_qs(target.partition("?")[2])["limit"] == ["100"]


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["GB-AAA-99-00303", "gbaaa9900303", " GB AAA 99 00303 "])
def test_every_spelling_of_a_code_is_the_same_code(text: str) -> None:
    """One spelling on the wire, so one cached answer."""
    assert lookup_isrc.operation.checked((text,), {}) == ([ISRC], {})


@pytest.mark.parametrize(
    ("task", "args", "said"),
    [
        (lookup_isrc, ("GBAAA990030",), "lookup_isrc: isrc: takes an ISRC"),
        (lookup_isrc, ("1BAAA9900303",), "takes an ISRC"),
        (lookup_isrc, ("GBAAA99003O3",), "takes an ISRC"),
        (lookup_isrc, ("GBAAA990030٣",), "takes an ISRC"),
        (lookup_isrc, (None,), "takes an ISRC"),
        (search_recording, ("",), "search_recording: title: takes a text of 1 to 200 characters"),
        (search_recording, (" \n ",), "takes a text"),
        (search_recording, ("x" * 201,), "takes a text"),
        (search_recording, ("canary\x00",), "takes a text"),
        (search_recording, ("canary\ud800",), "takes a text"),
        (search_recording, (7,), "takes a text"),
        (search_recording, ("x", ""), "search_recording: artist: takes a text"),
        (search_recording, ("x", None, 0), "search_recording: limit: takes a whole number from 1 to 100"),
        (search_recording, ("x", None, 101), "takes a whole number"),
    ],
)
def test_what_a_task_does_not_take_is_refused_where_it_is_called(task: Any, args: Any, said: str) -> None:
    """In words that help, and without the value."""
    with pytest.raises(ArgumentsInvalid) as refused:
        task.operation.checked(args, {})

    assert said in str(refused.value)
    assert "canary" not in str(refused.value)


def test_names_that_look_the_same_are_the_same() -> None:
    """Blanks inside and accents in two pieces would be other cached answers."""
    assert search_recording.operation.checked((" Hey   Boy ", "Beyonce\u0301"), {}) == (
        ["Hey Boy", "Beyonc\u00e9"],
        {},
    )


def test_what_is_looked_for_may_be_seen_by_an_operator() -> None:
    """Works and codes, which say nothing of anybody."""
    assert excerpt(lookup_isrc.operation, [ISRC], {}) == f"isrc='{ISRC}'"


# --- reading --------------------------------------------------------------------------------------


def test_every_recording_of_a_code_comes_with_the_one_that_is_meant() -> None:
    """As JSON objects, in the API's order."""
    other = {**DOCUMENT, "id": "other", "releases": []}

    found = answered({"isrc": ISRC, "recordings": [other, DOCUMENT]}).run(
        lookup_isrc.operation.function(ISRC)
    )

    shown = plain(found)
    assert [each["id"] for each in shown["recordings"]] == ["other", FIRST]
    assert shown["chosen"] == shown["recordings"][1]
    assert shown["chosen"]["artist"] == "One feat. Two"
    assert shown["chosen"]["artists"] == ({"id": "a1", "name": "One"}, {"id": "a2", "name": "Two"})
    assert shown["chosen"]["releases"][1] == {
        "id": "r2", "title": "Surrender", "date": "1999", "country": None, "status": None,
    }  # fmt: skip
    assert (shown["chosen"]["length_ms"], shown["chosen"]["isrcs"]) == (289946, (ISRC,))


def test_a_code_that_nobody_knows_has_no_recordings() -> None:
    """A result and no error."""
    found = answered(UNKNOWN, status=404).run(lookup_isrc.operation.function(ISRC))

    assert found == Recordings(isrc=ISRC, recordings=(), chosen=None)


def test_a_search_comes_in_the_order_of_its_scores_with_them() -> None:
    """The API's own order."""
    listed = [{**DOCUMENT, "score": 100}, {**DOCUMENT, "id": "x", "score": 41}]

    found = answered({"recordings": listed}).run(search_recording.operation.function("Hey"))

    assert [(each.id, each.score) for each in found] == [(FIRST, 100), ("x", 41)]
    assert answered({"count": 0, "recordings": []}).run(search_recording.operation.function("Hey")) == []


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("length", None, "length_ms"),
        ("length", "289946", "length_ms"),
        ("length", -1, "length_ms"),
        ("length", True, "length_ms"),
        ("first-release-date", "", "first_release_date"),
        ("first-release-date", "June 1999", "first_release_date"),
        ("disambiguation", "", "disambiguation"),
        ("artist-credit", None, "artist"),
    ],
)
def test_what_is_not_known_or_makes_no_sense_is_none(field: str, value: object, name: str) -> None:
    """The rest of the recording is none the worse for it."""
    (found,) = recordings({"recordings": [{**DOCUMENT, field: value}]})

    assert getattr(found, name) is None
    assert found.title == "Hey Boy Hey Girl"


@pytest.mark.parametrize("date", ["1999", "1999-06", "1999-06-21"])
def test_a_date_is_as_exact_as_it_is_known(date: str) -> None:
    """Nothing is made up to fill it."""
    assert (
        recordings({"recordings": [{**DOCUMENT, "first-release-date": date}]})[0].first_release_date == date
    )


@pytest.mark.parametrize(
    "data",
    [
        None, [], "x", {}, {"recordings": None}, {"recordings": {}}, {"recordings": [None]},
        {"recordings": [{**DOCUMENT, "id": None}]}, {"recordings": [DOCUMENT, {**DOCUMENT, "title": ""}]},
    ],
)  # fmt: skip
def test_a_body_that_is_not_as_promised_is_unreadable_and_not_kept(data: object) -> None:
    """An answer of nothing would be taken for a code that nobody knows, for a month."""
    with pytest.raises(ResponseUnreadable):
        answered(data).run(lookup_isrc.operation.function(ISRC))

    assert judge(200, {}, data) == "unreadable"


def test_a_search_that_is_not_found_is_no_search_that_finds_nothing() -> None:
    """Its path is there always, so whoever says otherwise is somebody else."""
    with pytest.raises(ResponseUnreadable):
        answered(UNKNOWN, status=404).run(search_recording.operation.function("Hey"))


@given(BODIES, st.sampled_from([200, 201, 204]))
def test_whatever_json_comes_is_a_result_or_an_error_of_ours(data: Any, status: int) -> None:
    """No KeyError, no TypeError: those would be a bug's."""
    for steps in (lookup_isrc.operation.function(ISRC), search_recording.operation.function("x")):
        try:
            answered(data, status).run(steps)
        except ResponseUnreadable:
            assert judge(status, {}, data) == "unreadable"


# --- verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, {"error": "Your requests are exceeding the allowable rate limit."}, ProviderThrottled),
        (503, None, ProviderThrottled),
        (403, {"error": "blocked"}, CredentialsRefused),
        (400, {"error": "Invalid isrc."}, RequestInvalid),
        (500, None, ProviderUnavailable),
        (502, None, ProviderUnavailable),
        (200, {"recordings": 7}, ResponseUnreadable),
    ],
)
def test_each_failure_is_the_error_that_it_means(status: int, body: object, kind: type) -> None:
    """A 503 is a pause for the fleet and nothing to the breaker, also an overload's: it looks the same."""
    meaning = verdict(PROVIDER, status, {}, body)

    assert type(failure(PROVIDER, meaning, status, {}, body)) is kind


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x-ratelimit-reset": "1700000004", "date": "Tue, 14 Nov 2023 22:13:20 GMT"}, 4.0),
        ({"retry-after": "2", "x-ratelimit-reset": "1700000009"}, 2.0),
        ({}, None),
    ],
)
def test_a_pause_is_as_long_as_the_headers_say(headers: dict[str, str], wait: float | None) -> None:
    """A date since the epoch, or Retry-After; ours when there is none."""
    error = failure(PROVIDER, "throttled", 503, headers, None)

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after == wait


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (404, UNKNOWN, "empty"),
        (404, None, "rejected"),
        (404, {}, "rejected"),
        (404, ["Not Found"], "rejected"),
        (404, {"statusCode": 404, "message": "Resource not found"}, "rejected"),
        (404, {"status": 404, "error": "Not Found", "path": "/ws/2/isrc"}, "rejected"),
        (200, {"recordings": []}, "empty"),
        (200, {"recordings": [DOCUMENT]}, "ok"),
        (304, None, "ok"),
    ],
)
def test_nothing_is_told_from_something(status: int, body: object, meaning: str) -> None:
    """So that it is asked for again soon."""
    assert verdict(PROVIDER, status, {}, body) == meaning


# --- the choice -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meant", "other"),
    [
        (recording(id="z"), recording(id="a", video=True, releases=releases(9))),
        (recording(id="z", releases=releases(2)), recording(id="a", releases=releases(1))),
        (recording(id="z", first_release_date="1999"), recording(id="a", first_release_date="2001-01-01")),
        (recording(id="z", first_release_date="2001-05"), recording(id="a")),
        (recording(id="z", first_release_date="1999"), recording(id="a", first_release_date="1999-06")),
        (recording(id="a"), recording(id="z")),
    ],
    ids=["music", "releases", "date", "known date", "shorter date", "id"],
)
def test_the_one_that_is_meant_is_the_same_in_any_order(meant: Recording, other: Recording) -> None:
    """By the first rule that tells them apart."""
    assert chosen([meant, other]) is chosen([other, meant]) is meant


def test_the_choice_among_many_does_not_depend_on_their_order() -> None:
    """All orders of four that differ in everything."""
    several = [
        recording(id="a", video=True, releases=releases(9)),
        recording(id="d", releases=releases(2), first_release_date="2001"),
        recording(id="c", releases=releases(2), first_release_date="1999"),
        recording(id="b", releases=releases(1), first_release_date="1990"),
    ]

    assert {found.id for order in itertools.permutations(several) if (found := chosen(order))} == {"c"}
    assert chosen([]) is None
