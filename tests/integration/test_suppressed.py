"""Who does not want to be written to, against a real server; and ``narrows suppression``."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from redis import Redis

from tests.integration.deployment import Deployment
from worker.cli.notes import notes_on
from worker.errors import StateUnavailable
from worker.keys import keys
from worker.snapshot import look, provider_states, standings
from worker.stores import connect
from worker.submissions.suppressed import Suppressed

TWILIO = keys("twilio")
NUMBER = "+12125550123"
NOW = 1_700_000_000.0


@pytest.fixture
def suppressed(state: Redis) -> Suppressed:
    """One provider's, empty."""
    return Suppressed(state, TWILIO)


@pytest.fixture
def here(redis_url: str, suppressed: Suppressed) -> Deployment:
    """A deployment in which one number wants no messages."""
    suppressed.add(NUMBER, now=NOW)
    return Deployment(url=redis_url)


def test_who_said_so_is_remembered_from_the_first_time_on(suppressed: Suppressed) -> None:
    """Saying it again changes nothing."""
    assert suppressed.since(NUMBER) is None

    for moment in (NOW, NOW + 60):
        suppressed.add(NUMBER, now=moment)

    assert suppressed.since(NUMBER) == NOW
    assert suppressed.count() == 1


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (NUMBER, "+1 (212) 555-0123"),
        (NUMBER, "+1.212.555.0123\n"),
        ("Ada@Example.org", " ada@example.org"),
    ],
)
def test_it_does_not_matter_how_a_recipient_is_written(suppressed: Suppressed, said: str, asked: str) -> None:
    """A person at a terminal writes numbers in another way than a program."""
    suppressed.add(said, now=NOW)
    assert suppressed.since(asked) == NOW
    assert suppressed.lift(asked)


@pytest.mark.parametrize("other", ["+12125550124", "12125550123", "+121255501230", "a+12125550123", "\ud800"])
def test_nobody_else_is_meant(suppressed: Suppressed, other: str) -> None:
    """Another number is another's."""
    suppressed.add(NUMBER, now=NOW)
    assert suppressed.since(other) is None


def test_who_is_lifted_is_written_to_again(suppressed: Suppressed) -> None:
    """Once; a second time there is nothing to lift."""
    suppressed.add(NUMBER, now=NOW)
    assert [suppressed.lift(NUMBER) for _ in range(2)] == [True, False]
    assert (suppressed.since(NUMBER), suppressed.count()) == (None, 0)


def test_providers_do_not_share_it_and_no_number_stands_in_redis(
    suppressed: Suppressed, state: Redis
) -> None:
    """Who wants no messages may want mails; a dump of the server shows digests."""
    suppressed.add(NUMBER, now=NOW)
    assert Suppressed(state, keys("sendgrid")).since(NUMBER) is None
    held: Any = state.zrange(TWILIO.suppressed, 0, -1)
    assert NUMBER.strip("+").encode() not in b"".join(held)


def test_without_redis_nobody_is_written_to() -> None:
    """A message that may be unwanted waits."""
    gone = Suppressed(connect("redis://127.0.0.1:9/0"), TWILIO)
    for ask in (lambda: gone.since(NUMBER), lambda: gone.add(NUMBER, now=NOW), gone.count):
        with pytest.raises(StateUnavailable):
            ask()


# --- narrows suppression ----------------------------------------------------------------------------


def test_one_who_is_suppressed_is_shown_and_not_named(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Since when; nothing else is known of them."""
    assert here.narrows("suppression", "show", "twilio", NUMBER) == 0
    assert capsys.readouterr().out == "not written to by twilio since 2023-11-14T22:13:20.000Z\n"

    assert here.narrows("suppression", "show", "twilio", NUMBER, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"provider": "twilio", "suppressed": True, "since": "2023-11-14T22:13:20.000Z"}


def test_who_is_not_suppressed_is_exit_code_1(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts; and lifting nobody, too."""
    assert here.narrows("suppression", "show", "sendgrid", NUMBER) == 1
    assert capsys.readouterr() == ("", "narrows: not suppressed: calls to sendgrid write to them\n")
    assert here.narrows("suppression", "show", "sendgrid", NUMBER, "--json") == 1
    assert json.loads(capsys.readouterr().out)["suppressed"] is False
    assert here.narrows("suppression", "lift", "sendgrid", NUMBER, "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"provider": "sendgrid", "lifted": False}


def test_a_person_lifts_it(
    here: Deployment, suppressed: Suppressed, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their number does not stand in what is printed."""
    assert here.narrows("suppression", "lift", "twilio", "+1 212 555 0123") == 0
    assert capsys.readouterr().out == "calls to twilio write to them again\n"
    assert suppressed.count() == 0


def test_a_number_is_read_from_standard_input(
    here: Deployment, suppressed: Suppressed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it stands in no shell's history; an empty line is nobody."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NUMBER}\n"))
    assert here.narrows("suppression", "lift", "twilio", "-") == 0
    assert suppressed.count() == 0
    assert here.narrows("suppression", "lift", "twilio", "-") == 2


def test_they_are_counted_by_provider(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """All providers for programs; for people those that have some."""
    assert here.narrows("suppression", "list", "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["twilio"] == 1
    assert counts["sendgrid"] == 0

    assert here.narrows("suppression", "list") == 0
    table = capsys.readouterr().out
    assert "twilio" in table
    assert "sendgrid" not in table


def test_nobody_is_listed_where_nobody_is_suppressed(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words."""
    assert Deployment(url=redis_url).narrows("suppression", "list") == 0
    assert capsys.readouterr().out == "nobody is suppressed\n"


def test_an_unknown_provider_and_a_server_that_is_gone_have_their_exit_codes(here: Deployment) -> None:
    """2 and 3, as everywhere."""
    assert here.narrows("suppression", "show", "twilo", NUMBER) == 2
    assert Deployment(url="redis://127.0.0.1:9/0").narrows("suppression", "list") == 3


def test_status_and_metrics_count_them(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Of providers to which something is submitted."""
    states = {each.provider: each.suppressed for each in provider_states(look(here.engine))}
    assert (states["twilio"], states["sendgrid"], states["nyc_open_data"]) == (1, 0, None)
    (twilio,) = standings(here.engine, ["twilio"])
    assert list(notes_on(twilio)) == ["recipients that are not written to any more: 1"]
    assert twilio.submitted is not None
    assert twilio.submitted.suppressed == 1
    here.narrows("status", "--json")
    told = {each["provider"]: each for each in json.loads(capsys.readouterr().out)["providers"]}
    assert told["twilio"]["submissions"]["suppressed"] == 1
