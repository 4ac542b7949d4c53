"""Last.fm: what it is asked, how its tags read, what its codes mean."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import get_track_tags
from tasks.lastfm import CODES, PROVIDER, judge, tags_request
from tasks.lastfm_tags import Tag, tags
from tests.driver import Driver
from worker.errors import (
    ArgumentsInvalid,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    RequestInvalid,
    ResponseUnreadable,
)
from worker.http.auth import wire_auth
from worker.http.verdict import failure, verdict
from worker.http.wire import Wire
from worker.provider import Verdict
from worker.request import Answer, Request
from worker.steps import plain

MBID = "c0000000-0000-4000-8000-000000000002"
ROCK = {"count": 100, "name": "hard rock", "url": "https://www.last.fm/tag/hard+rock"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TAG = st.fixed_dictionaries({"name": st.just("x") | JSON}, optional={"count": JSON, "url": JSON}) | JSON
TOP = st.fixed_dictionaries(
    {}, optional={"tag": st.lists(TAG, max_size=3) | TAG, "#text": JSON, "@attr": JSON}
)
BODIES = JSON | st.fixed_dictionaries({"toptags": TOP | JSON}, optional={"error": JSON})


def top(tag: Any) -> dict[str, Any]:
    """A body as Last.fm sends it."""
    return {"toptags": {"tag": tag, "@attr": {"artist": "AC/DC", "track": "Hells Bells"}}}


def lastfm(*bodies: Any) -> Driver:
    """A provider that answers so, one after another; what the engine would keep out is no answer here."""
    rest = list(bodies)

    def answer(_: Request) -> Answer:
        body = rest.pop(0)
        return Answer(status=200, data=body, empty=judge(200, {}, body) == "empty")

    return Driver(answer=answer)


def asked(driver: Driver, *args: Any, **kwargs: Any) -> list[Tag]:
    """What the operation makes of it."""
    found: list[Tag] = driver.run(get_track_tags.operation.function(*args, **kwargs))
    return found


# --- asking ---------------------------------------------------------------------------------------


def test_a_track_is_asked_for_by_its_names_in_json() -> None:
    """And corrected unless that is not wanted."""
    driver = lastfm(top([]), top([]))

    asked(driver, "Hells Bells", "AC/DC")
    asked(driver, "Hells Bells", "AC/DC", autocorrect=False)

    usual = {"method": "track.getTopTags", "track": "Hells Bells", "artist": "AC/DC", "format": "json"}
    assert [request.params for request in driver.requests] == [
        {**usual, "autocorrect": "1"},
        {**usual, "autocorrect": "0"},
    ]


@pytest.mark.parametrize("name", ["AC/DC", "Simon & Garfunkel", "+44", "100%", "Sigur Rós", "?", "#1 = a"])
def test_a_name_arrives_as_it_is(name: str) -> None:
    """An ampersand or a plus sign in it parts nothing."""
    wire = Wire(PROVIDER, wire_auth(PROVIDER, "k"), user_agent="x", prefix="")

    target = wire.ready(tags_request(track=name, artist=name)).target

    assert target.startswith("/2.0/?")
    parsed = parse_qs(target.partition("?")[2], strict_parsing=True)
    assert (parsed["track"], parsed["artist"], parsed["api_key"]) == ([name], [name], ["k"])


def test_the_key_stands_in_no_request_of_ours() -> None:
    """It is added on the wire alone, so it is in no log, no record and no name of a cached answer."""
    request = tags_request(track="a", artist="b")

    assert "api_key" not in request.params
    assert "key" not in repr(request)


def test_a_track_with_an_id_is_asked_for_by_that() -> None:
    """It is more exact than names, which need not be asked for then."""
    driver = lastfm(top([ROCK]))

    found = asked(driver, "Hells Bells", "AC/DC", mbid=MBID)

    assert [tag.name for tag in found] == ["hard rock"]
    assert [request.params.get("mbid") for request in driver.requests] == [MBID]
    assert "track" not in driver.requests[0].params


@pytest.mark.parametrize("unknown", [top([]), {"error": 6, "message": "Track not found", "links": []}])
def test_an_id_that_last_fm_does_not_know_is_followed_by_the_names(unknown: object) -> None:
    """It knows many tracks by their names alone."""
    driver = lastfm(unknown, top([ROCK]))

    found = asked(driver, "Hells Bells", "AC/DC", mbid=MBID)

    assert [tag.name for tag in found] == ["hard rock"]
    assert [("mbid" in request.params, "track" in request.params) for request in driver.requests] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("", "b"), "get_track_tags: track: takes a text of 1 to 200 characters"),
        (("a", None), "get_track_tags: artist: takes a text"),
        (("a", "b\x07canary"), "artist: takes a text"),
        (("a", "b", "canary"), "mbid: takes a MusicBrainz recording id, for example"),
        (("a", "b", None, "canary"), "autocorrect: "),
        (("a",), "missing a required argument: 'artist'"),
    ],
)
def test_what_the_task_does_not_take_is_refused_where_it_is_called(args: Any, said: str) -> None:
    """In words that help, and without the value."""
    with pytest.raises(ArgumentsInvalid) as refused:
        get_track_tags.operation.checked(args, {})

    assert said in str(refused.value)
    assert "canary" not in str(refused.value)


def test_an_id_is_the_same_in_capitals() -> None:
    """One spelling on the wire, so one cached answer."""
    assert get_track_tags.operation.checked(("a", "b", MBID.upper()), {}) == (["a", "b", MBID], {})


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (top([ROCK]), [ROCK]),
        (top(ROCK), [ROCK]),
        (top([{**ROCK, "count": "100"}]), [ROCK]),
        (top([{"name": "hard rock"}]), [{"name": "hard rock", "count": None, "url": None}]),
        (top([{**ROCK, "count": "many", "url": 7}]), [{"name": "hard rock", "count": None, "url": None}]),
        (top([]), []),
        (top(None), []),
        ({"toptags": {"#text": "\n", "artist": "a", "track": "b"}}, []),
        ({"toptags": {"@attr": {"artist": "a", "track": "b"}}}, []),
        ({"error": 6, "message": "Track not found", "links": []}, []),
        ({"error": 7, "message": "Invalid resource specified"}, []),
    ],
    ids=["list", "one", "text", "name only", "nonsense", "none", "null", "blank", "bare", "track", "other"],
)  # fmt: skip
def test_tags_are_a_list_however_they_come(body: object, expected: list[dict[str, Any]]) -> None:
    """One of them is an object, none may be a line break, a count may be a text."""
    assert plain(asked(lastfm(body), "a", "b")) == expected


@pytest.mark.parametrize(
    "body",
    [
        None, [], "x", {}, {"toptags": None}, {"toptags": []}, {"toptags": {}}, {"toptags": "\n"},
        {"tags": {"tag": []}}, top([None]), top([{"count": 1}]), top([ROCK, {"name": ""}]), top("rock"),
    ],
)  # fmt: skip
def test_a_body_that_does_not_speak_of_tags_is_unreadable_and_not_kept(body: object) -> None:
    """An answer of nothing would be taken for a track without tags, for a week."""
    with pytest.raises(ResponseUnreadable):
        asked(lastfm(body), "a", "b")

    assert judge(200, {}, body) == "unreadable"


@given(BODIES, st.integers(200, 599))
def test_whatever_json_comes_is_a_result_or_an_error_of_ours(body: Any, status: int) -> None:
    """No KeyError, no TypeError: those would be a bug's. What is refused is not kept."""
    meaning = judge(status, {}, body)
    assert meaning is None or meaning in get_args(Verdict)

    try:
        asked(Driver(answer=lambda _: Answer(status=200, data=body)), "a", "b")
    except ResponseUnreadable:
        assert judge(200, {}, body) not in {"ok", None}


@given(st.integers())
def test_a_count_is_a_number_or_not_told(number: int) -> None:
    """As a number or as text."""
    for count in (number, str(number)):
        (tag,) = tags(top({**ROCK, "count": count}))

        assert tag.count == (number if 0 <= number < 10**9 else None)


# --- verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 403, 404, 500])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (29, ProviderThrottled),
        (8, ProviderUnavailable),
        (11, ProviderUnavailable),
        (16, ProviderUnavailable),
        (4, CredentialsRefused),
        (10, CredentialsRefused),
        (26, CredentialsRefused),
    ],
)
def test_a_code_means_the_same_with_every_status(status: int, code: int, kind: type) -> None:
    """The same code came with 200, 400, 403 and 404."""
    for body in ({"error": code, "message": "canary"}, {"error": str(code)}):
        meaning = verdict(PROVIDER, status, {}, body)

        error = failure(PROVIDER, meaning, status, {}, body)
        assert type(error) is kind
        assert f"({code})" in str(error)
        assert "canary" not in str(error)


@pytest.mark.parametrize("code", [2, 3, 5, 12, 27, 99, "canary words", None, {}])
@pytest.mark.parametrize("status", [200, 400])
def test_every_other_code_says_that_we_asked_wrongly(status: int, code: object) -> None:
    """Asking again cannot help."""
    meaning = verdict(PROVIDER, status, {}, {"error": code})

    assert type(failure(PROVIDER, meaning, status, {}, {"error": code})) is RequestInvalid


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize("code", [6, 7])
def test_what_is_not_there_is_no_failure(status: int, code: int) -> None:
    """A result, kept shortly."""
    assert verdict(PROVIDER, status, {}, {"error": code}) == "empty"


@pytest.mark.parametrize(
    ("status", "meaning"), [(403, "credentials"), (404, "missing"), (429, "throttled"), (502, "unavailable")]
)
def test_an_answer_without_a_code_means_what_its_status_says(status: int, meaning: str) -> None:
    """A proxy's, in all likelihood."""
    assert verdict(PROVIDER, status, {}, None) == meaning


def test_every_code_is_a_number_and_every_meaning_a_verdict() -> None:
    """A misspelt one would never be seen again."""
    assert all(code.isdecimal() for code in CODES)
    assert set(CODES.values()) <= set(get_args(Verdict))
