"""Our reading of Last.fm, and the sandbox's playing of it, beside what Last.fm itself sent.

It publishes no OpenAPI document. Recorded: tags of a track and of an album, none in two ways, errors with
200, 400, 403 and 404. Never recorded: a throttled answer, and one tag alone in this method (other methods
were recorded to send a single thing as an object).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tasks.lastfm import PROVIDER, found, judge, tags_request
from tests.conftest import CONTRACTS
from tests.contract.owner import recorded
from tests.contract.tally import Tally
from tests.sandbox import TOKEN, Sandbox
from worker.errors import ResponseUnreadable
from worker.http.auth import wire_auth
from worker.http.body import parsed
from worker.http.verdict import verdict
from worker.http.wire import Wire
from worker.request import Answer

TRACK = "lastfm/api-docs/track_getTopTags.json"
INFLATABLE = "lastfm/inflatable"


def bodies(path: str) -> list[tuple[int, dict[str, Any]]]:
    """The recorded answers of a page, each with the status that its heading tells."""
    exchanges = [each for each in recorded(path) if "body_json" in each]
    return [
        (int(each["section"].partition("HTTP status: `")[2][:3]), each["body_json"]) for each in exchanges
    ]


def raw(path: str) -> Any:
    """A recorded body as the engine parses it: four of them start with a mark."""
    file = CONTRACTS / "recorded" / path
    if not file.is_file():
        pytest.skip("the recorded contracts are not beside this checkout")
    return parsed(file.read_bytes(), "application/json; charset=utf-8")


def read(data: Any) -> list[Any]:
    """What the operation makes of a body that came with 200."""
    return found(Answer(status=200, data=data, empty=judge(200, {}, data) == "empty"))


def kinds(value: Any) -> Any:
    """*value* with its keys and the types of its leaves; of a list its first."""
    if isinstance(value, dict):
        return {key: kinds(each) for key, each in value.items()}
    return [kinds(value[0])] if isinstance(value, list) and value else type(value).__name__


def played(sandbox: Sandbox, **asked: str) -> requests.Response:
    """What the sandbox says to a request of ours."""
    request = tags_request(autocorrect=True, **asked)
    params = {**request.params, "api_key": TOKEN}
    return requests.get(sandbox.base_url("lastfm") + request.path, params=params, timeout=5)


def test_our_request_is_the_recorded_one(tally: Tally) -> None:
    """The same host, path and parameters, once decoded; we add that names may be put right."""
    (theirs, *_) = [each["body_text"].strip() for each in recorded(TRACK) if "body_text" in each]
    request = tags_request(track="Hells Bells", artist="AC/DC")
    wire = Wire(PROVIDER, wire_auth(PROVIDER, "REDACTED"), user_agent="x", prefix="").ready(request)

    ours = urlsplit(PROVIDER.base_url + wire.target)

    assert (ours.scheme, ours.netloc, ours.path) == urlsplit(theirs)[:3]
    assert dict(parse_qsl(ours.query)) == {**dict(parse_qsl(urlsplit(theirs).query)), "autocorrect": "1"}
    tally.validated("lastfm")


def test_every_recorded_answer_about_a_tracks_tags_is_read(tally: Tally) -> None:
    """Tags with their counts; none for a track that is unknown, whichever way it is said."""
    known, *rest = bodies(TRACK)

    tags = read(known[1])
    assert (tags[0].name, tags[0].count, len(tags)) == ("hard rock", 100, len(known[1]["toptags"]["tag"]))
    assert [tag.count for tag in tags] == sorted((tag.count for tag in tags), reverse=True)
    for status, body in rest:
        assert verdict(PROVIDER, status, {}, body) == "empty"
        assert read(body) == []
    tally.parsed("lastfm", 1 + len(rest))


def test_counts_that_are_texts_are_read_as_numbers(tally: Tally) -> None:
    """As the albums' tags were sent."""
    tags = read(raw(f"{INFLATABLE}/AlbumGetTopTags.json"))

    assert (tags[0].name, tags[0].count) == ("sourabh", 100)
    assert all(isinstance(tag.count, int) for tag in tags)
    tally.parsed("lastfm")


def test_a_line_break_in_place_of_tags_is_none(tally: Tally) -> None:
    """As an album without tags was sent."""
    assert read(raw(f"{INFLATABLE}/AlbumGetTopTagsEmpty.json")) == []
    tally.parsed("lastfm")


def test_one_thing_alone_is_an_object_as_recorded(tally: Tally) -> None:
    """Of another method; the same envelope with tags in it is read."""
    shouts = raw(f"{INFLATABLE}/TrackGetShoutsSingle.json")["shouts"]
    assert isinstance(shouts["shout"], dict)

    (tag,) = read({"toptags": {"tag": {"name": "x", "count": 1}, "@attr": shouts["@attr"]}})

    assert tag.name == "x"
    tally.parsed("lastfm")


@pytest.mark.parametrize(
    "path",
    [
        f"{INFLATABLE}/AlbumGetTopTagsError.json",
        "lastfm/api-docs/codes.json",
        "lastfm/api-docs/album_getTopTags.json",
    ],
)
def test_every_recorded_error_is_the_right_one(path: str, tally: Tally) -> None:
    """The recorded code 6 is "not there", with 200 and with 404; no error is taken for tags."""
    pages = [(200, raw(path))] if path.startswith(INFLATABLE) else bodies(path)
    errors = [(status, body) for status, body in pages if "error" in body]

    assert errors
    for status, body in errors:
        assert (body["error"], verdict(PROVIDER, status, {}, body)) == (6, "empty")
    tally.parsed("lastfm", len(errors))


def test_another_methods_answer_is_unreadable(tally: Tally) -> None:
    """What is asked and what is answered must be the same thing."""
    others = [body for _, body in bodies("lastfm/api-docs/track_getInfo.json") if "error" not in body]

    assert others
    for body in others:
        assert judge(200, {}, body) == "unreadable"
        with pytest.raises(ResponseUnreadable):
            read(body)
    tally.parsed("lastfm", len(others))


def test_the_sandbox_answers_tags_as_recorded(sandbox: Sandbox, tally: Tally) -> None:
    """The same keys and types, and the first tags of the very track."""
    _, theirs = bodies(TRACK)[0]

    ours = played(sandbox, artist="AC/DC", track="Hells Bells").json()

    assert kinds(ours) == kinds(theirs)
    assert ours["toptags"]["tag"] == theirs["toptags"]["tag"][: len(ours["toptags"]["tag"])]
    tally.played("lastfm")


def test_the_sandbox_answers_none_as_recorded(sandbox: Sandbox, tally: Tally) -> None:
    """An empty list, and a text in place of one."""
    blank = raw(f"{INFLATABLE}/AlbumGetTopTagsEmpty.json")["toptags"]

    ours = played(sandbox, artist="The Ferry Slips", track="Unsaid").json()["toptags"]
    listed = played(sandbox, artist="The Ferry Slips", track="Unheard").json()["toptags"]

    assert (ours["#text"], len(ours)) == (blank["#text"], len(blank))
    assert listed["tag"] == []
    tally.played("lastfm", 2)


def test_the_sandbox_refuses_in_the_recorded_envelope(sandbox: Sandbox, tally: Tally) -> None:
    """A code, a message and links, in a 200."""
    theirs = raw(f"{INFLATABLE}/AlbumGetTopTagsError.json")

    answer = played(sandbox, artist="Nobody", track="Nothing")

    assert (answer.status_code, kinds(answer.json())) == (200, kinds(theirs))
    assert json.loads(answer.text)["error"] == theirs["error"]
    tally.played("lastfm")
