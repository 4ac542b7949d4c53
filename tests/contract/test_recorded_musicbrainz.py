"""Our reading of MusicBrainz, and the sandbox's playing of it, beside what MusicBrainz itself sent.

It publishes no OpenAPI document. Recorded: one look-up by ISRC, single recordings, a search as XML. Quoted
in public threads: the 503. Never recorded: a search as JSON; its fields are held against the XML's.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from tasks import lookup_isrc, search_recording
from tasks.musicbrainz import PROVIDER, isrc_request, judge, search_request
from tests.conftest import CONTRACTS
from tests.contract.owner import recorded
from tests.contract.tally import Tally
from tests.driver import Driver
from tests.sandbox import Sandbox
from worker.errors import ProviderThrottled, ResponseUnreadable
from worker.http.verdict import failure, verdict
from worker.request import Answer, Request

ISRC = "GBAAA9900303"
XML = "{http://musicbrainz.org/ns/mmd-2.0#}"
PICARD = ["recording.json", "recording_multi_artists_1.json"]


def read(data: Any) -> Any:
    """What a look-up makes of a body."""
    return Driver(answer=lambda _: Answer(status=200, data=data)).run(lookup_isrc.operation.function(ISRC))


def shape(value: Any) -> Any:
    """*value* with its keys and the types of its leaves; of a list its first."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def played(sandbox: Sandbox, request: Request) -> requests.Response:
    """What the sandbox says to a request of ours."""
    address = sandbox.base_url("musicbrainz") + request.path
    agent = {"User-Agent": "Narrows/0.1 (ops@example.org)"}
    return requests.get(address, params=dict(request.params), headers=agent, timeout=5)


def test_our_look_up_is_the_one_that_was_recorded(tally: Tally) -> None:
    """The same address; we ask for artists and releases beside."""
    sources = CONTRACTS / "SOURCES.md"
    if not sources.is_file():
        pytest.skip("the recorded contracts are not beside this checkout")
    request = isrc_request(ISRC)

    assert f"GET {request.path}?fmt={request.params['fmt']}" in sources.read_text(encoding="utf-8")
    assert set(request.params) == {"inc", "fmt"}
    tally.validated("musicbrainz")


def test_the_recorded_look_up_is_read(tally: Tally) -> None:
    """One recording, with its length in milliseconds and its day."""
    found = read(recorded(f"musicbrainz/isrc_{ISRC}.json"))

    (one,) = found.recordings
    assert found.chosen is one
    assert (one.id, one.title) == ("bf7845cc-eac3-48a3-8b06-543b4b7ba117", "Hey Boy Hey Girl")
    assert (one.length_ms, one.first_release_date, one.video) == (289946, "1999-06-21", False)
    tally.parsed("musicbrainz")


@pytest.mark.parametrize("name", PICARD)
def test_a_recorded_recording_is_read_where_it_stands_in_a_list(name: str, tally: Tally) -> None:
    """It is the same document, with more in it than is asked for."""
    document = recorded(f"musicbrainz/picard/{name}")

    (one,) = read({"recordings": [document]}).recordings

    assert (one.id, one.title, one.length_ms) == (document["id"], document["title"], document["length"])
    assert len(one.artists) == len(document["artist-credit"])
    assert one.artist in {"Ed Sheeran", "Ed Sheeran feat. Meek Mill & A Boogie Wit da Hoodie"}
    tally.parsed("musicbrainz")


def test_a_recording_of_nothing_but_nulls_is_unreadable(tally: Tally) -> None:
    """Without an id there is nothing to speak of; no null breaks anything else."""
    document = recorded("musicbrainz/picard/recording_null.json")

    with pytest.raises(ResponseUnreadable):
        read({"recordings": [document]})
    (named,) = read({"recordings": [{**document, "id": "x", "title": "y"}]}).recordings

    assert (named.length_ms, named.artist, named.video, named.isrcs) == (None, None, False, ())
    tally.parsed("musicbrainz")


def test_the_recorded_search_is_read_as_its_json_would_be(tally: Tally) -> None:
    """Every recording of the XML, turned into the documented JSON fields."""
    path = CONTRACTS / "recorded" / "musicbrainz" / "search-recording.xml"
    if not path.is_file():
        pytest.skip("the recorded contracts are not beside this checkout")
    listed = ET.fromstring(path.read_text()).findall(f".//{XML}recording")  # noqa: S314 - a file of ours
    data = {"count": len(listed), "offset": 0, "recordings": [_as_json(each) for each in listed]}
    steps = search_recording.operation.function("Thief of Hearts")

    found = Driver(answer=lambda _: Answer(status=200, data=data)).run(steps)

    assert len(found) == len(listed) > 1
    assert (found[0].title, found[0].score, found[0].artist) == ("Thief of Hearts", 100, "Dynamo Go")
    assert (found[0].length_ms, found[0].releases[0].date) == (198586, "2006-11-03")
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    tally.parsed("musicbrainz")


def test_the_quoted_503_is_throttling(tally: Tally) -> None:
    """Until the moment in its headers."""
    (quoted,) = (
        each for each in recorded("error_envelopes_documented.json") if each["provider"] == "musicbrainz"
    )
    headers = {"x-ratelimit-reset": "1700000004", "date": "Tue, 14 Nov 2023 22:13:20 GMT"}

    meaning = verdict(PROVIDER, quoted["status"], headers, quoted["body_json"])
    error = failure(PROVIDER, meaning, quoted["status"], headers, quoted["body_json"])

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after == 4.0
    tally.parsed("musicbrainz")


def test_the_sandbox_answers_a_look_up_as_recorded(sandbox: Sandbox, tally: Tally) -> None:
    """The same recording, field by field; what was asked for beside it has the documents' shape."""
    document = recorded(f"musicbrainz/isrc_{ISRC}.json")
    full = recorded("musicbrainz/picard/recording.json")

    answer = played(sandbox, isrc_request(ISRC)).json()

    (theirs,), (ours,) = document["recordings"], answer["recordings"]
    assert answer["isrc"] == document["isrc"]
    assert {key: ours[key] for key in theirs} == theirs
    credit = shape(full["artist-credit"])[0]
    assert shape(ours["artist-credit"])[0].keys() == credit.keys()
    assert shape(ours["artist-credit"])[0]["artist"].keys() <= {*credit["artist"], "disambiguation"}
    assert judge(200, {}, answer) == "ok"
    tally.played("musicbrainz")


def test_the_sandbox_throttles_in_the_quoted_words(sandbox: Sandbox, tally: Tally) -> None:
    """And with the quoted headers."""
    (quoted,) = (
        each for each in recorded("error_envelopes_documented.json") if each["provider"] == "musicbrainz"
    )
    sandbox.control.fault("musicbrainz", mode="throttle")

    answer = played(sandbox, isrc_request(ISRC))

    assert (answer.status_code, answer.json()) == (quoted["status"], quoted["body_json"])
    assert quoted["headers"].keys() <= answer.headers.keys() | {"Retry-After"}
    tally.played("musicbrainz")


def test_the_sandbox_lists_a_search_in_the_fields_of_the_xml(sandbox: Sandbox, tally: Tally) -> None:
    """Under the JSON's names, best first."""
    answer = played(sandbox, search_request("Slack Water", "The Ferry Slips")).json()

    assert answer.keys() == {"created", "count", "offset", "recordings"}
    scores = [each["score"] for each in answer["recordings"]]
    assert scores == sorted(scores, reverse=True)
    assert {"id", "title", "length", "artist-credit", "releases", "score"} <= answer["recordings"][0].keys()
    assert judge(200, {}, answer) == "ok"
    tally.played("musicbrainz")


def _as_json(element: ET.Element) -> dict[str, Any]:
    """A recording of the XML in the JSON's fields."""
    length = element.findtext(f"{XML}length")
    return {
        "id": element.get("id"),
        "title": element.findtext(f"{XML}title"),
        "score": int(element.get("{http://musicbrainz.org/ns/ext#-2.0}score", "0")),
        "length": None if length is None else int(length),
        "artist-credit": [
            {"name": name.text, "artist": {"name": name.text}}
            for name in element.iterfind(f"{XML}artist-credit/{XML}name-credit/{XML}artist/{XML}name")
        ],
        "releases": [
            {"id": each.get("id"), "title": each.findtext(f"{XML}title"), "date": each.findtext(f"{XML}date")}
            for each in element.iterfind(f"{XML}release-list/{XML}release")
        ],
    }
