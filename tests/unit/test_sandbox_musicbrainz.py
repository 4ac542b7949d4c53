"""The MusicBrainz that the sandbox plays: its limit over all callers, its codes, its queries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tests.clock import Clock
from tests.sandbox import Reply, Sandbox
from tests.sandbox.message import Request
from tests.sandbox.musicbrainz import ISRCS, UNKNOWN_ISRC, Clause, MusicBrainzPlayer, QueryInvalid, parsed

OURS = {"User-Agent": "Narrows/0.1 (ops@example.org)"}
RECORDED = "GBAAA9900303"


def asked(player: MusicBrainzPlayer, target: str = f"/ws/2/isrc/{RECORDED}?fmt=json") -> Reply:
    """What the player says."""
    head = b"User-Agent: Narrows/0.1\r\n"
    return asyncio.run(player.answer(Request(method="GET", target=target, head=head)))


def get(sandbox: Sandbox, path: str, headers: dict[str, str | None] | None = None, **params: str) -> Any:
    """An answer over a real socket."""
    address = f"{sandbox.base_url('musicbrainz')}/ws/2/{path}"
    given = {"fmt": "json", **params}
    return requests.get(address, params=given, headers={**OURS, **(headers or {})}, timeout=5)


# --- the limit ------------------------------------------------------------------------------------


def test_one_call_a_second_is_borne_for_ever() -> None:
    """Also when they are not a second apart to the millisecond."""
    clock = Clock()
    player = MusicBrainzPlayer(clock=clock)
    statuses = set()
    for number in range(60):
        clock.now += 1.05 if number % 2 else 0.95
        statuses.add(asked(player).status)

    assert statuses == {200}


def test_above_the_rate_every_call_is_refused_and_not_only_what_is_too_much() -> None:
    """Two a second: from some point on none gets through, though one a second is allowed."""
    clock = Clock()
    player = MusicBrainzPlayer(clock=clock)
    statuses = []
    for _ in range(40):
        clock.now += 0.5
        statuses.append(asked(player).status)

    assert set(statuses[:5]) == {200}
    assert set(statuses[10:]) == {503}


def test_who_waits_as_long_as_the_503_says_is_answered_again() -> None:
    """The moment is in its headers, in whole seconds since the epoch."""
    clock = Clock()
    player = MusicBrainzPlayer(clock=clock)
    while (refused := asked(player)).status == 200:
        clock.now += 0.01

    clock.now = float(refused.headers["X-RateLimit-Reset"]) - 1.1
    early = asked(player)
    clock.now = float(early.headers["X-RateLimit-Reset"])

    assert (early.status, asked(player).status) == (503, 200)
    assert refused.headers["X-RateLimit-Zone"] == "per-ip"


def test_who_does_not_wait_makes_it_longer() -> None:
    """Retrying inside the penalty keeps the rate high."""
    clock = Clock()
    player = MusicBrainzPlayer(clock=clock)
    for _ in range(200):
        clock.now += 0.1
        last = asked(player).status

    assert last == 503


def test_a_test_may_lift_the_limit() -> None:
    """Where it is not what is tested."""
    player = MusicBrainzPlayer(rate=None)

    assert {asked(player).status for _ in range(20)} == {200}


@pytest.mark.parametrize("status", [429, 503])
def test_too_often_is_a_503_whatever_others_call_it(status: int) -> None:
    """With the moment at which to come back."""
    reply = MusicBrainzPlayer().failure(status)

    assert reply.status == 503
    assert reply.headers["X-RateLimit-Remaining"] == "0"
    assert b"exceeding the allowable rate limit" in reply.body


# --- who asks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", ["", "python-requests/2.32", "Java/17", "curl/8.5.0"])
def test_who_does_not_say_who_they_are_is_refused(sandbox: Sandbox, agent: str) -> None:
    """A blank name, or a library's own."""
    assert get(sandbox, f"isrc/{RECORDED}", {"User-Agent": agent}).status_code == 403


def test_who_says_who_they_are_is_answered(sandbox: Sandbox) -> None:
    """Whatever the name."""
    assert get(sandbox, f"isrc/{RECORDED}").status_code == 200


# --- codes ----------------------------------------------------------------------------------------


def test_one_code_may_stand_for_several_recordings(sandbox: Sandbox) -> None:
    """With what was asked for of each, and nothing else."""
    plain = get(sandbox, "isrc/QZNRW2600001").json()
    full = get(sandbox, "isrc/QZNRW2600001", inc="artist-credits releases").json()

    assert len(plain["recordings"]) == len(ISRCS["QZNRW2600001"]) == 3
    assert all("releases" not in each and "artist-credit" not in each for each in plain["recordings"])
    assert all("releases" in each and "artist-credit" in each for each in full["recordings"])


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        (UNKNOWN_ISRC, 404, "Not Found"),
        ("QZNRW26", 400, "Invalid isrc."),
        ("gbaaa9900303", 400, "Invalid isrc."),
    ],
)
def test_a_code_that_is_unknown_is_told_from_one_that_is_none(
    sandbox: Sandbox, code: str, status: int, said: str
) -> None:
    """As the service's own source has it."""
    answer = get(sandbox, f"isrc/{code}")

    assert (answer.status_code, answer.json()["error"]) == (status, said)


def test_what_is_not_asked_for_as_json_is_not_played(sandbox: Sandbox) -> None:
    """The service itself would answer in XML, which nobody here reads."""
    assert get(sandbox, f"isrc/{RECORDED}", fmt="xml").status_code == 404
    assert get(sandbox, "artist/1").status_code == 404


# --- searches -------------------------------------------------------------------------------------


def test_a_search_finds_the_exact_title_first(sandbox: Sandbox) -> None:
    """With scores, a count, and as many as were asked for."""
    found = get(
        sandbox, "recording", query='recording:"slack water" AND artist:"ferry slips"', limit="2"
    ).json()

    assert (found["count"], found["offset"], len(found["recordings"])) == (3, 0, 2)
    assert [each["score"] for each in found["recordings"]] == [80, 80]
    assert get(sandbox, "recording", query='recording:"unheard"').json()["recordings"] == []


@pytest.mark.parametrize(
    ("query", "clauses"),
    [
        ('recording:"a b" AND artist:c', [Clause("recording", "a b"), Clause("artist", "c")]),
        (r'recording:"a\" AND artist\:\"b"', [Clause("recording", 'a" AND artist:"b')]),
        (r'recording:"\\\\"', [Clause("recording", "\\\\")]),
        ("word", [Clause("", "word")]),
    ],
)
def test_a_query_is_read_by_its_fields(query: str, clauses: list[Clause]) -> None:
    """A backslash takes a character's meaning."""
    assert parsed(query) == clauses


@pytest.mark.parametrize(
    "query",
    [
        "", '""', 'recording:"a', 'recording:"a"b"', "a OR b", "a AND", 'recording:"what?"', "AC/DC", "a*",
        'recording:"a\\', "-a", 'recording:"a" artist:"b"', 'recording:"a(b"', "recording:",
    ],
)  # fmt: skip
def test_a_character_that_still_means_something_is_refused(sandbox: Sandbox, query: str) -> None:
    """Also where Lucene itself would let it pass, inside of a phrase."""
    with pytest.raises(QueryInvalid):
        parsed(query)

    assert get(sandbox, "recording", query=query).status_code == 400


@given(st.text())
def test_whatever_is_no_query_is_refused(query: str) -> None:
    """And breaks nothing."""
    try:
        assert all(clause.text for clause in parsed(query))
    except QueryInvalid:
        return
