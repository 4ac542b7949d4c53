"""The ``narrows`` command against a real server: what people read, what programs read, and exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import ProviderSettings
from tests.integration.deployment import NAME, Deployment, letter, started
from worker.claim import Claim
from worker.http.retry_after import Headroom
from worker.keys import keys
from worker.snapshot import standings
from worker.stack.embedded import EmbeddedValkey

NOBODY = "redis://:canary-password@127.0.0.1:1/0"


@pytest.fixture
def here(redis_url: str) -> Deployment:
    """An empty deployment."""
    return Deployment(url=redis_url, chosen=ProviderSettings(daily_quota=100))


@pytest.fixture
def guarded() -> Iterator[Deployment]:
    """A deployment whose server wants a password."""
    with EmbeddedValkey() as valkey:
        yield Deployment(url=valkey.url)


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """The JSON document that the command printed, and nothing else."""
    return json.loads(capsys.readouterr().out)


def document_of(running: subprocess.Popen[str]) -> Any:
    """The first JSON document that a running command prints; it is killed when it prints none in a minute."""
    assert running.stdout is not None
    too_late = threading.Timer(60.0, running.kill)
    too_late.start()
    lines: list[str] = []
    for line in running.stdout:
        lines.append(line)
        if line.rstrip() == "}":
            break
    too_late.cancel()
    return json.loads("".join(lines))


# --- status ---------------------------------------------------------------------------------------


def test_status_tells_programs_what_waits_and_until_when(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Moments in ISO 8601, numbers as numbers, and what a person should look at."""
    here.call("failure", times=5)
    here.records.write("t1", "[]")
    here.bury(letter("dead"))

    code = here.narrows("status", "--json")

    found = document(capsys)
    (provider,) = (each for each in found["providers"] if each["provider"] == NAME)
    assert code == 0
    assert provider["breaker"] == "open"
    assert provider["open_until"].endswith("Z")
    assert (provider["queued"], provider["dead_letters"], provider["quota_left"]) == (1, 1, 95)
    assert found["workers"] == []
    assert [concern["kind"] for concern in found["concerns"]] == ["dead_letters"]


def test_status_shows_people_the_same(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each provider, the workers and the concerns below."""
    here.call("failure", times=5)
    here.call("throttled", pause=30.0)
    here.bury(letter("dead"))

    code = here.narrows("status")

    shown = capsys.readouterr().out
    (line,) = (line for line in shown.splitlines() if line.startswith(f"{NAME} "))
    assert code == 0
    assert "open, probes in" in line
    assert "95/100" in line
    assert "Workers: none answers" in shown
    assert f"! {NAME}: dead letters: 1" in shown


def test_status_shows_messages_that_no_worker_could_take(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """To people and to programs; none is shown as long as there is none."""
    here.narrows("status")
    before = capsys.readouterr().out
    here.engine.state.rpush("dlq:unroutable", "{}")

    here.narrows("status")
    shown = capsys.readouterr().out
    here.narrows("status", "--json")

    assert "unroutable" not in before
    assert "! unroutable: dead letters: 1; see narrows dlq list unroutable" in shown
    assert document(capsys)["unroutable"] == 1


def test_status_shows_messages_that_have_no_record_yet(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that enqueues by bare name writes none; its calls are not invisible."""
    here.app.send_task(f"{NAME}.fetch_permits", ["1012650001"], queue=NAME)

    here.narrows("status")
    shown = capsys.readouterr().out
    here.narrows("status", "--json")

    assert "0 + 1 new" in shown
    messages = {each["provider"]: each["messages"] for each in document(capsys)["providers"]}
    assert messages == dict.fromkeys(messages, 0) | {NAME: 1}


def test_status_without_a_broker_still_shows_the_providers(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who looks after an outage needs the half that is there."""
    half = Deployment(url=redis_url)
    half.app.conf.broker_url = NOBODY

    code = half.narrows("status", "--json")

    found = document(capsys)
    assert code == 0
    assert found["workers"] is None
    assert found["providers"][0]["messages"] is None


def test_status_foresees_the_quotas_end_and_who_slips(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty calls are left, fifty wait; people read it in a line, programs in fields."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(rate=1.0, burst=10, daily_quota=30))
    here.call("success", times=10)
    here.records.park([(f"c{number}", "[]") for number in range(40)], lane="batch")
    here.records.park([(f"i{number}", "[]") for number in range(10)], lane="interactive")

    here.narrows("status")
    shown = capsys.readouterr().out
    here.narrows("status", "--json")

    (found,) = (each for each in document(capsys)["providers"] if each["provider"] == NAME)
    assert f"{NAME}: quota 20 of 30 left, spent about " in shown
    assert "; 30 parked calls slip to tomorrow" in shown
    assert f"{NAME}: 50 in line (bucket), of them 10 interactive and 40 batch, the oldest for " in shown
    assert (found["parked"], found["slipping"], found["lanes"]["batch"]) == (50, 30, 40)
    assert found["quota_spent_at"].endswith("Z")
    assert found["drained_at"] > found["quota_spent_at"]


def test_status_says_what_was_learnt(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that was refused, one that was throttled, and how the pause came."""
    keys = (SecretStr("canary-key-a"), SecretStr("canary-key-b"))
    here = Deployment(url=redis_url, chosen=ProviderSettings(api_keys=keys))
    here.call("refused", pause=900.0)
    here.call("throttled", pause=30.0)

    here.narrows("status")
    shown = capsys.readouterr().out
    here.narrows("status", "--json")

    document_ = capsys.readouterr().out
    assert f"! {NAME}: credentials refused: 1; see narrows limits show {NAME}" in shown
    assert "1 of 2 credentials set aside" in shown
    assert "canary" not in shown + document_


def test_a_cooldown_says_how_it_came(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """The provider said so in an answer, or in a header."""
    here.call("throttled", pause=30.0)
    here.narrows("status")
    answered = capsys.readouterr().out
    here.engine.state.flushall()
    gate = here.gate()
    _, report = gate.begin(Claim())
    report.outcome, report.headroom = "success", Headroom(left=0, seconds=30.0)
    gate.finish(report, Claim())

    here.narrows("status")

    assert f"{NAME}: cooling down until " in answered
    assert "throttled once," in answered
    assert "for its headers said that no calls are left" in capsys.readouterr().out


# --- limits ---------------------------------------------------------------------------------------


@pytest.fixture
def pooled(redis_url: str) -> Deployment:
    """A deployment with two keys: one was refused, the other throttled."""
    keys = (SecretStr("canary-key-a"), SecretStr("canary-key-b"))
    made = Deployment(url=redis_url, chosen=ProviderSettings(rate=10.0, daily_quota=50, api_keys=keys))
    made.call("refused", pause=900.0)
    made.call("throttled", pause=30.0)
    return made


def test_limits_shows_each_credential_by_its_digest(
    pooled: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not one by itself, and never the secret."""
    code = pooled.narrows("limits", "show", NAME)
    shown = capsys.readouterr().out
    pooled.narrows("limits", "show", NAME, "--json")

    (found,) = document(capsys)
    first, second = found["credentials"]
    assert code == 0
    assert first["digest"] in shown
    assert second["digest"] in shown
    assert (first["refused_until"] is None, second["refused_until"] is None) == (False, True)
    assert (first["throttles"], second["throttles"]) == (0, 1)
    assert second["cooldown_until"].endswith("Z")
    assert "canary" not in shown + json.dumps(found)


def test_limits_shows_all_providers_without_a_name(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of which nothing was learnt, too."""
    code = here.narrows("limits", "show", "--json")

    assert code == 0
    assert NAME in [each["provider"] for each in document(capsys)]


def test_limits_reset_forgets_what_was_learnt_at_once(
    pooled: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next call leaves; the calls of today are still counted."""
    code = pooled.narrows("limits", "reset", NAME)

    said = capsys.readouterr().out
    decision, _ = pooled.gate().begin(Claim(), patience=1000.0)
    assert code == 0
    assert f"{NAME}: was at 100% of its rate, 1 cooling down, 1 set aside, 98/100 left today, is" in said
    assert said.rstrip().endswith("is at 100% of its rate, 98/100 left today")
    assert decision.word == "admit"


def test_limits_reset_forgets_the_quota_when_it_is_told_to(
    pooled: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """The provider was asked to count anew."""
    pooled.narrows("limits", "reset", NAME, "--quota", "--json")

    found = document(capsys)
    assert [each["quota_left"] for each in found["credentials"]] == [50, 50]
    assert [each["quota_left"] for each in found["before"]["credentials"]] == [49, 49]


def test_limits_of_a_misspelt_provider_are_not_reset(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with the nearest name."""
    code = here.narrows("limits", "reset", "nyc_open_dat")

    assert code == 2
    assert "nyc_open_data" in capsys.readouterr().err


# --- breaker --------------------------------------------------------------------------------------


def test_a_breaker_is_opened_for_a_time_and_for_the_whole_fleet(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gate of any worker holds calls back, for as long as was said."""
    code = here.narrows("breaker", "open", NAME, "--for", "10m", "--json")

    decision, _ = here.gate().begin(Claim())
    found = document(capsys)
    assert code == 0
    assert (found["before"], found["state"], found["by_hand"]) == ("closed", "open", False)
    assert decision.word == "breaker"
    assert 590 < decision.wait <= 600


def test_a_breaker_opened_without_a_time_waits_for_a_person(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """No date in the next century is shown."""
    here.narrows("breaker", "open", NAME)
    shown = capsys.readouterr().out

    here.narrows("breaker", "show", NAME, "--json")

    (found,) = document(capsys)
    assert "open until closed by hand" in shown
    assert (found["state"], found["by_hand"], found["open_until"]) == ("open", True, None)


@pytest.mark.parametrize("verb", ["close", "reset"])
def test_a_breaker_is_closed_by_hand(here: Deployment, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """And calls leave again."""
    here.call("failure", times=5)

    code = here.narrows("breaker", verb, NAME)

    assert code == 0
    assert "is closed" in capsys.readouterr().out
    assert here.gate().begin(Claim())[0].word == "admit"


def test_only_reset_forgets_what_a_closed_breaker_has_counted(here: Deployment) -> None:
    """Closing what is closed is nothing."""
    here.call("failure", times=3)

    here.narrows("breaker", "close", NAME)
    kept = here.engine.state.hget(keys(NAME).breaker, "failures")
    here.narrows("breaker", "reset", NAME)

    assert kept == b"3"
    assert here.engine.state.hget(keys(NAME).breaker, "failures") is None


def test_show_names_the_rule_as_the_deployment_has_it(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is overridden is what holds."""
    strict = Deployment(url=redis_url, chosen=ProviderSettings(breaker_failures=2))

    strict.narrows("breaker", "show")

    assert "opens: 2 in a row; probes after 1 m; closes: 2 successes" in capsys.readouterr().out


def test_a_misspelt_provider_is_answered_with_the_nearest(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and nothing is moved."""
    code = here.narrows("breaker", "open", "nyc_open_dat")

    assert code == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "no provider 'nyc_open_dat'; did you mean nyc_open_data?" in said


def test_a_duration_without_a_unit_is_refused(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten what?"""
    code = here.narrows("breaker", "open", NAME, "--for", "10")

    assert code == 2
    assert "90s, 10m, 1h" in capsys.readouterr().err
    assert here.engine.state.exists(keys(NAME).breaker) == 0


# --- cache ----------------------------------------------------------------------------------------


def kept(here: Deployment, *prints: str) -> None:
    """Keep an answer under each fingerprint."""
    for fingerprint in prints:
        here.engine.cache.put(keys(NAME).cached(fingerprint), {"rows": []}, fresh=60.0)


def test_stats_count_what_the_cache_keeps_for_each_provider(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not what lies beside it on the same server."""
    kept(here, "aa", "ab", "b0")
    here.records.write("t1", "[]")

    code = here.narrows("cache", "stats", "--json")

    found = document(capsys)
    (mine,) = (each for each in found["providers"] if each["provider"] == NAME)
    assert code == 0
    assert mine["entries"] == 3
    assert mine["bytes"] > 0
    assert found["server"]["policy"] == "noeviction"


def test_clear_forgets_what_the_pattern_names(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Two of three; a fresh process then finds one."""
    kept(here, "aa", "ab", "b0")

    code = here.narrows("cache", "clear", "--provider", NAME, "--pattern", "a*", "--yes", "--json")

    assert code == 0
    assert document(capsys) == {"forgotten": {NAME: 2}}
    assert here.engine.state.exists(keys(NAME).cached("b0")) == 1


def test_clear_touches_nothing_but_answers(here: Deployment) -> None:
    """State and cache may share a server, and a pattern may be anything."""
    here.records.write("t1", "[]")
    here.bury(letter("dead"))
    here.call("failure")
    before = sorted(here.engine.state.keys("*"))

    for pattern in ("*", "../*", "*}*"):
        here.narrows("cache", "clear", "--pattern", pattern, "--yes")

    assert sorted(here.engine.state.keys("*")) == before


def test_clear_asks_first_and_does_nothing_without_an_answer(here: Deployment) -> None:
    """A script that forgot --yes has no one to answer."""
    kept(here, "aa")

    asked = here.spawned("cache", "clear")

    assert asked.returncode == 1
    assert "[y/N]" in asked.stderr
    assert here.engine.state.exists(keys(NAME).cached("aa")) == 1


# --- dead letters ---------------------------------------------------------------------------------


def test_the_list_shows_each_letter_and_counts_by_reason(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Oldest first, and no arguments."""
    here.bury(letter("one"), letter("two"), letter("three", code="upstream_rejected", status=404, attempts=1))

    code = here.narrows("dlq", "list", NAME)

    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[2:5]] == ["one", "two", "three"]
    assert "upstream_rejected" in lines[4]
    assert "404" in lines[4]
    assert f"{NAME}: 3 dead letters" in shown
    assert [line.split() for line in lines[-2:]] == [["2", "upstream_error"], ["1", "upstream_rejected"]]
    assert "canary-argument" not in shown


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--code", "upstream_rejected"], ["missing"]),
        (["--status", "404"], ["missing"]),
        (["--operation", "fetch_bbl"], ["lot"]),
        (["--text", "ANSWERED 404"], ["missing"]),
        (["--since", "2026-11-20T12:00"], ["missing", "lot"]),
        (["--older", "2026-11-20T12:00"], ["old"]),
        (["--since", "2026-11-20T12:00", "--older", "2026-11-20T14:00"], ["missing"]),
        (["--limit", "2"], ["missing", "lot"]),
        (["--text", "canary-argument"], []),
    ],
)
def test_the_list_is_filtered(
    here: Deployment, capsys: pytest.CaptureFixture[str], filters: list[str], expected: list[str]
) -> None:
    """Each filter alone and together; the arguments are not searched, for who may search may guess."""
    here.bury(
        letter("old"),
        letter(
            "missing",
            code="upstream_rejected",
            status=404,
            error=f"{NAME} answered 404",
            failed_at="2026-11-20T13:00:00.000Z",
        ),
        letter("lot", operation="fetch_bbl", failed_at="2026-11-20T15:00:00.000Z"),
    )

    code = here.narrows("dlq", "list", NAME, *filters, "--json")

    found = document(capsys)
    assert code == 0
    assert [each["id"] for each in found["letters"]] == expected
    assert found["total"] == 3


def test_a_limit_hides_letters_but_counts_them(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest are shown."""
    here.bury(*(letter(f"letter-{number}") for number in range(1200)))

    here.narrows("dlq", "list", NAME, "--limit", "3", "--json")

    found = document(capsys)
    assert [each["id"] for each in found["letters"]] == ["letter-1197", "letter-1198", "letter-1199"]
    assert (found["matched"], found["by_code"]) == (1200, {"upstream_error": 1200})


def test_what_is_no_letter_is_shown_as_unreadable(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """And does not hide the others."""
    here.engine.state.rpush(keys(NAME).dlq, b"\xff not JSON")
    here.bury(letter("one"))

    code = here.narrows("dlq", "list", NAME, "--json")

    assert code == 0
    assert document(capsys)["by_code"] == {"unreadable": 1, "upstream_error": 1}


def test_a_letter_is_shown_with_its_arguments_masked(here: Deployment) -> None:
    """The lot may be shown, the task says so; what it does not know is hidden."""
    here.bury(letter("0af76519-one"))

    shown = here.spawned("dlq", "show", NAME, "0af76519-one", "--json")

    found = json.loads(shown.stdout)
    assert shown.returncode == 0
    assert "1012650001" in found["args"]
    assert "canary-argument" not in shown.stdout
    assert (found["code"], found["attempts"], found["retryable"]) == ("upstream_error", 3, True)


def test_a_letter_of_a_task_that_is_no_more_hides_all_arguments(here: Deployment) -> None:
    """Nobody is left to say what may be seen."""
    here.bury(letter("one", task=f"{NAME}.gone"))

    shown = here.spawned("dlq", "show", NAME, "one")

    assert shown.returncode == 0
    assert "***" in shown.stdout
    assert "1012650001" not in "".join(line for line in shown.stdout.splitlines() if line.startswith("args"))


def test_a_letter_is_revealed_to_who_asks_for_it(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it lies in Redis."""
    here.bury(letter("one"))

    here.narrows("dlq", "show", NAME, "one", "--reveal", "--json")

    found = document(capsys)
    assert (found["args"], found["kwargs"]) == (["1012650001"], {"note": "canary-argument"})


def test_the_beginning_of_an_id_is_enough_when_it_is_one(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two letters that begin alike are not guessed between."""
    here.bury(letter("aaaa-1"), letter("bbbb-1"), letter("bbbb-2"))

    one = here.narrows("dlq", "show", NAME, "aaaa", "--reveal", "--json")
    found = document(capsys)
    several = here.narrows("dlq", "show", NAME, "bbbb")
    said = capsys.readouterr().err
    none = here.narrows("dlq", "show", NAME, "cccc")

    assert (one, several, none) == (0, 1, 1)
    assert found["id"] == "aaaa-1"
    assert "2 dead letters begin with 'bbbb'" in said


def test_a_letter_cannot_write_to_the_terminal(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and markup in what a provider said are text."""
    here.bury(letter("one", error="\x1b[2J[bold red]gone[/]"))

    here.narrows("dlq", "list", NAME)

    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "[bold red]gone[/]" in shown


# --- the command as a whole -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("why", "some-task"),
        ("breaker", "show"),
        ("breaker", "open", NAME),
        ("limits", "show"),
        ("limits", "reset", NAME),
        ("dlq", "list", NAME),
        ("cache", "stats"),
        ("cache", "clear", "--yes"),
    ],
    ids=" ".join,
)
def test_a_redis_that_is_gone_is_one_line_and_code_3(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Which one, where and why; no traceback, no password."""
    code = Deployment(url=NOBODY).narrows(*command)

    said = capsys.readouterr().err
    role = "cache" if command[0] == "cache" else "state"
    assert code == 3
    assert said.startswith(f"narrows: the {role} Redis at redis://***@127.0.0.1:1/0 does not serve us:")
    assert len(said.splitlines()) == 1
    assert "canary-password" not in said


def test_a_refused_password_is_not_shown(guarded: Deployment) -> None:
    """Neither the right one nor the wrong one, as a process of its own."""
    right = guarded.url.split(":")[2].split("@")[0]
    wrong = Deployment(url=guarded.url.replace(right, "canary-password"))

    refused = wrong.spawned("status")

    assert refused.returncode == 3
    assert "AuthenticationError" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "canary-password" not in refused.stdout + refused.stderr


def test_no_command_shows_the_password(guarded: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Doctor prints addresses; they are masked."""
    password = guarded.url.split(":")[2].split("@")[0]

    for command in (["status"], ["doctor"], ["doctor", "--json"], ["cache", "stats"], ["breaker", "show"]):
        guarded.narrows(*command)

    captured = capsys.readouterr()
    assert "***@127.0.0.1" in captured.out
    assert password not in captured.out + captured.err


def test_wrong_settings_are_named_one_by_one_with_code_2(here: Deployment) -> None:
    """A misspelt variable stops the command as it stops a worker."""
    refused = here.spawned("status", NARROWS_STAET_URL="x", NARROWS_REDIS_TIMEOUT="soon")

    assert refused.returncode == 2
    assert "did you mean NARROWS_STATE_URL?" in refused.stderr
    assert "NARROWS_REDIS_TIMEOUT" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_help_shows_every_command_and_examples(here: Deployment) -> None:
    """And asks no server."""
    shown = here.spawned("--help", NARROWS_STAET_URL="not read for this")

    assert shown.returncode == 0
    for command in ("status", "why", "doctor", "up", "demo", "breaker", "cache", "dlq", "limits"):
        assert f" {command} " in shown.stdout
    assert f"narrows breaker open {NAME} --for 10m" in shown.stdout


def test_a_watch_ends_well_with_ctrl_c(redis_url: str) -> None:
    """One document for each look; a program reads them as they come."""
    watching = started("status", "--watch", "--json", "--every", "1s", NARROWS_STATE_URL=redis_url)
    first = document_of(watching)

    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=20)

    assert NAME in [each["provider"] for each in first["providers"]]
    assert (watching.returncode, err) == (0, "")


def test_up_says_where_everything_is_and_leaves_nothing_behind() -> None:
    """Its file lets the next terminal in; TERM ends it and all that it started."""
    running = started("up", "--workers", "1", "--no-flower", "--json")
    where = document_of(running)
    secrets = Path(where["environment"])
    settings = dict(line.strip().split("=", 1) for line in secrets.read_text(encoding="utf-8").splitlines())
    mode = secrets.stat().st_mode & 0o777
    there = Deployment(url=settings["NARROWS_STATE_URL"].strip("'"))
    seen = standings(there.engine, [NAME])

    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=90)

    assert set(where["addresses"]) == {"worker-1", "exporter", "valkey"}
    assert (seen[0].breaker, mode) == ("closed", 0o600)
    assert (running.returncode, out, err) == (0, "", "")
    assert not secrets.exists()
    assert not Path(where["logs"]).exists()


@pytest.mark.parametrize("command", [(), ("nonsense",), ("dlq", "list"), ("status", "--nonsense")])
def test_wrong_usage_is_code_2(
    here: Deployment, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """With the usage, or all of the help when nothing was asked."""
    code = here.narrows(*command)

    captured = capsys.readouterr()
    assert code == 2
    assert "Usage" in captured.out + captured.err
