"""``narrows dlq`` where it moves letters, against a real server: what is asked, what is done, exit codes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from config.queues import queues
from config.settings import ProviderSettings
from tests.fleet import until
from tests.integration.deployment import CHECKOUT, NAME, Deployment, letter, started
from worker.application import app
from worker.cli.desk import Desk
from worker.cli.root import run
from worker.keys import keys
from worker.letters.deadletter import DeadLetter
from worker.message import request_of

AT = keys(NAME)


@pytest.fixture
def here(redis_url: str) -> Deployment:
    """An empty deployment with a quota."""
    return Deployment(url=redis_url, chosen=ProviderSettings(daily_quota=1000))


def fit(letter_id: str, **changed: Any) -> DeadLetter:
    """A letter whose arguments its task takes."""
    return letter(letter_id, **{"kwargs": {"limit": 5}, **changed})


def narrows(here: Deployment, *args: str) -> int:
    """The exit code of the command, run here with every task."""
    return run(args, desk=Desk(here.engine, app))


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """The JSON document that the command printed, and nothing else."""
    return json.loads(capsys.readouterr().out)


def lying(here: Deployment) -> list[str]:
    """The ids of the letters, in order."""
    return [json.loads(raw)["id"] for raw in here.engine.state.lrange(AT.dlq, 0, -1)]


def line(here: Deployment) -> list[str]:
    """The ids of the calls in line, in order."""
    found: Any = here.engine.state.zrange(AT.parked, 0, -1)
    return [name.decode() for name in found]


# --- replay ---------------------------------------------------------------------------------------


def test_letters_are_replayed_by_id_without_a_question(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """The beginning of an id will do; the audit says who it was."""
    here.bury(fit("aaaa-1"), fit("bbbb-1"), fit("cccc-1"))

    code = narrows(here, "dlq", "replay", NAME, "aaaa", "cccc-1", "--by", "ann", "--json")

    found = document(capsys)
    assert (code, found["words"], found["stayed"]) == (0, {"parked": 2}, [])
    assert (lying(here), line(here)) == (["bbbb-1"], ["aaaa-1", "cccc-1"])
    assert here.engine.dead_letters(NAME).audit()[0].by == "ann"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--code", "upstream_rejected"], ["missing"]),
        (["--status", "500"], ["old"]),
        (["--older", "2026-11-20T12:00"], ["old"]),
        (["--since", "2026-11-20T12:00"], ["missing"]),
        (["--operation", "fetch_permits"], ["old", "missing"]),
        (["--text", "ANSWERED 404"], ["missing"]),
        (["--all"], ["old", "missing"]),
    ],
)
def test_letters_are_replayed_by_filter(here: Deployment, filters: list[str], expected: list[str]) -> None:
    """Those that fit, and no other."""
    late = {"status": 404, "error": "it answered 404", "failed_at": "2026-11-20T13:00:00.000Z"}
    here.bury(fit("old"), fit("missing", code="upstream_rejected", **late))

    code = narrows(here, "dlq", "replay", NAME, *filters, "--yes")

    assert (code, line(here)) == (0, expected)


def test_a_bulk_replay_is_asked_about_first(here: Deployment) -> None:
    """On standard error, with the number; who does not answer has done nothing."""
    here.bury(fit("one"), fit("two"))

    asked = here.spawned("dlq", "replay", NAME, "--all")

    assert asked.returncode == 1
    assert f"Replay 2 dead letters of {NAME}?" in asked.stderr
    assert lying(here) == ["one", "two"]


@pytest.mark.parametrize("command", ["replay", "discard"])
@pytest.mark.parametrize("which", [[], ["one", "--all"], ["one", "--code", "upstream_error"]])
def test_nothing_is_moved_unless_it_is_said_which(
    here: Deployment, capsys: pytest.CaptureFixture[str], command: str, which: list[str]
) -> None:
    """Neither nothing nor two things at once: that is wrong usage."""
    here.bury(fit("one"))

    code = narrows(here, "dlq", command, NAME, *which, "--yes")

    assert code == 2
    assert "Usage" in capsys.readouterr().err
    assert lying(here) == ["one"]


def test_many_at_once_leave_out_what_needs_a_person(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Calls that took workers down, and those in doubt; it says how many and what to do."""
    here.bury(fit("one"), fit("poison", code="worker_lost"), fit("doubt", code="in_doubt"))

    code = narrows(here, "dlq", "replay", NAME, "--all", "--yes")

    shown = capsys.readouterr().out
    assert (code, line(here), lying(here)) == (0, ["one"], ["poison", "doubt"])
    assert "1  left out: worker_lost; they took workers down: replay them one by one, by ID" in shown
    assert "1  left out: in_doubt; they may have arrived: narrows submission resolve" in shown


def test_a_poison_letter_is_replayed_by_its_id(here: Deployment) -> None:
    """A person chose it; one in doubt is not even then."""
    here.bury(fit("poison", code="worker_lost"), fit("doubt", code="in_doubt"))

    poison = narrows(here, "dlq", "replay", NAME, "poison")
    doubt = narrows(here, "dlq", "replay", NAME, "doubt")

    assert (poison, doubt, line(here), lying(here)) == (0, 1, ["poison"], ["doubt"])


def test_who_stays_is_named_with_the_reason(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Code 1; the others are in line, and no argument is quoted."""
    here.bury(fit("good"), letter("bad"), fit("strange", task=f"{NAME}.gone"), fit("alive"))
    here.records.park([("alive", "[]", "")], lane="batch")

    code = narrows(here, "dlq", "replay", NAME, "--all", "--yes")

    shown = capsys.readouterr().out
    assert (code, lying(here)) == (1, ["bad", "strange", "alive"])
    assert "bad: fetch_permits: " in shown
    assert f"strange: {NAME} has no task '{NAME}.gone' here" in shown
    assert "alive: its call lives again" in shown
    assert "canary-argument" not in shown


def test_an_id_that_is_not_there_moves_nothing(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor do the others that were named."""
    here.bury(fit("one"), fit("two-a"), fit("two-b"))

    missing = narrows(here, "dlq", "replay", NAME, "one", "none")
    several = narrows(here, "dlq", "discard", NAME, "one", "two-", "--yes")

    said = capsys.readouterr().err
    assert (missing, several, line(here), len(lying(here))) == (1, 1, [], 3)
    assert f"{NAME} has no dead letter 'none'" in said
    assert "2 dead letters begin with 'two-'" in said


def test_a_dry_run_says_what_it_would_cost_and_does_nothing(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Calls, their share of the quota, and the time behind those in line at 1000 a minute."""
    here.bury(
        *(fit(f"letter-{number}") for number in range(250)), letter("bad"), fit("p", code="worker_lost")
    )
    here.records.park([(f"live-{number}", "[]", "") for number in range(300)], lane="batch")

    code = narrows(here, "dlq", "replay", NAME, "--all", "--dry-run", "--json")
    found = document(capsys)
    narrows(here, "dlq", "replay", NAME, "--all", "--dry-run")
    shown = capsys.readouterr().out

    assert (code, found["calls"], found["in_line"], found["refused"]) == (0, 250, 300, 1)
    assert found["skipped"] == {"worker_lost": 1}
    assert found["quota"] == {"left": 1000, "limit": 1000, "share": 0.25}
    assert found["seconds"] == pytest.approx((550 - 50) * 60 / 1000, abs=1.0)
    assert "quota: 25.0% of 1,000; 1,000 are left today" in shown
    assert "time: about 30 s, behind 300 in line now; live calls go first" in shown
    assert (len(lying(here)), len(line(here))) == (252, 300)


def test_a_dry_run_says_that_the_breaker_is_open(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """By hand nobody can say for how long."""
    here.bury(fit("one"))
    narrows(here, "breaker", "open", NAME)
    capsys.readouterr()

    narrows(here, "dlq", "replay", NAME, "one", "--dry-run", "--json")

    found = document(capsys)
    assert (found["breaker"], found["seconds"], found["at"]) == ("open", None, None)


def test_a_bulk_replay_that_is_interrupted_goes_on_where_it_was(redis_url: str, here: Deployment) -> None:
    """Killed half-way; the same command again does the rest."""
    everyone = [f"letter-{number:04}" for number in range(3000)]
    here.bury(*(fit(each) for each in everyone))
    env = {f"NARROWS_{role}_URL": redis_url for role in ("BROKER", "STATE", "CACHE", "RESULT")}
    running = started("dlq", "replay", NAME, "--all", "--yes", **env)
    until(lambda: here.engine.state.zcard(AT.parked), within=60.0)
    running.send_signal(signal.SIGKILL)
    running.communicate()

    code = narrows(here, "dlq", "replay", NAME, "--all", "--yes")

    assert (code, lying(here)) == (0, [])
    assert sorted(line(here)) == everyone


def test_who_means_only_letters_that_go_singly_is_told_so(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked, for nothing would be done."""
    here.bury(fit("poison", code="worker_lost"))

    code = narrows(here, "dlq", "replay", NAME, "--code", "worker_lost")

    assert (code, lying(here)) == (0, ["poison"])
    assert "1  left out: worker_lost" in capsys.readouterr().out


# --- discard --------------------------------------------------------------------------------------


def test_letters_are_thrown_away_after_a_question(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that fit, what is no letter too; one in doubt only by its id."""
    here.bury(fit("one"), fit("doubt", code="in_doubt"))
    here.engine.state.rpush(AT.dlq, b"\xff no JSON")

    asked = here.spawned("dlq", "discard", NAME, "--all")
    code = narrows(here, "dlq", "discard", NAME, "--all", "--yes", "--json")
    found = document(capsys)
    one = narrows(here, "dlq", "discard", NAME, "doubt", "--yes")

    assert (asked.returncode, code, one) == (1, 0, 0)
    assert f"Throw 2 dead letters of {NAME} away?" in asked.stderr
    assert (found["discarded"], found["skipped"]) == (2, {"in_doubt": 1})
    assert here.engine.state.llen(AT.dlq) == 0


# --- edit -----------------------------------------------------------------------------------------


def arguments(here: Deployment, letter_id: str) -> tuple[Any, Any]:
    """Those that lie in Redis."""
    found = here.engine.dead_letters(NAME).find(letter_id) or {}
    return found.get("args"), found.get("kwargs")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--set", "bbl=1012650002"], (["1012650002", 5], {})),
        (["--set", "bbl=1012650002", "--set", "limit=7"], (["1012650002", 7], {})),
        (["--args", '["1012650003"]', "--kwargs", '{"limit": 9}'], (["1012650003", 9], {})),
        (["--args", '["1012650003"]'], (["1012650003"], {})),
    ],
)
def test_arguments_are_changed_by_name_or_whole(
    here: Deployment, capsys: pytest.CaptureFixture[str], options: list[str], expected: Any
) -> None:
    """Checked by the task, in the letter's own place; values are not printed."""
    here.bury(fit("zero"), fit("one"), fit("two"))

    code = narrows(here, "dlq", "edit", NAME, "one", *options, "--by", "ann")

    shown = capsys.readouterr().out
    args, kwargs = arguments(here, "one")
    assert code == 0
    assert lying(here) == ["zero", "one", "two"]
    assert (args, kwargs) == expected
    assert "one: changed " in shown
    assert "101265000" not in shown


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--set", "bbl=canary"], 1, "fetch_permits: bbl: "),
        (["--set", "lot=1"], 2, "where NAME begins with one of: bbl, limit"),
        (["--set", "bbl.borough=1"], 2, "there is no 'borough' in it"),
        (["--set", "limit:=canary"], 2, "takes JSON after :="),
        (["--set", "limit"], 2, "write NAME=VALUE"),
        (["--args", "canary"], 2, "takes JSON"),
        (["--args", '{"canary": 1}'], 2, "takes a list"),
        (["--set", "limit=1", "--args", "[]"], 2, "goes without"),
        ([], 2, "an editor needs a terminal"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    here: Deployment, capsys: pytest.CaptureFixture[str], options: list[str], code: int, said: str
) -> None:
    """It is said why, without the value."""
    here.bury(fit("one"))

    refused = narrows(here, "dlq", "edit", NAME, "one", *options)

    err = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert (refused, arguments(here, "one")) == (code, (["1012650001"], {"limit": 5}))
    assert said in err
    assert not here.engine.dead_letters(NAME).audit()


def typed(here: Deployment, edited: str, answer: bytes = b"") -> tuple[int, str]:
    """Exit code and output of an edit on a terminal whose editor is the shell command *edited*."""
    ours, theirs = pty.openpty()
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    roles = ("BROKER", "STATE", "CACHE", "RESULT")
    env = {**bare, **{f"NARROWS_{role}_URL": here.url for role in roles}, "EDITOR": edited, "VISUAL": edited}
    program = [sys.executable, "-c", "from worker.cli import main; main()", "dlq", "edit", NAME, "one"]
    process = subprocess.Popen(program, cwd=CHECKOUT, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, answer)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    return process.wait(timeout=60), shown.decode()


def test_a_letter_is_edited_in_the_editor(here: Deployment, tmp_path: Path) -> None:
    """As git does it; the file is nobody else's and gone afterwards."""
    here.bury(fit("one"))
    script = tmp_path / "editor.py"
    script.write_text(
        "import os, sys, pathlib\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "mode = file.stat().st_mode & 0o777\n"
        f"pathlib.Path({str(tmp_path / 'seen')!r}).write_text(f'{{file}} {{mode:o}}')\n"
        "file.write_text(file.read_text().replace('1012650001', '1012650002'))\n"
        "os.utime(file, (9, 9))\n"
    )

    code, shown = typed(here, f"{sys.executable} {script}")

    path, mode = (tmp_path / "seen").read_text().split()
    assert (code, mode) == (0, "600"), shown
    assert arguments(here, "one")[0][0] == "1012650002"
    assert not Path(path).exists()


@pytest.mark.parametrize("edited", ["true", "false", "/nowhere/editor"])
def test_an_editor_that_saves_nothing_changes_nothing(here: Deployment, edited: str) -> None:
    """Left without saving, failed, or not there."""
    here.bury(fit("one"))

    code, shown = typed(here, edited)

    assert code == 1
    assert "Traceback" not in shown
    assert arguments(here, "one") == (["1012650001"], {"limit": 5})


def test_a_slip_of_the_pen_may_be_mended_in_the_editor(here: Deployment, tmp_path: Path) -> None:
    """What the task does not take is said, and asked about."""
    here.bury(fit("one"))
    script = tmp_path / "editor.sh"
    script.write_text('sed -i "s/1012650001/no lot/" "$1"; touch -d 2001-01-01 "$1"')

    code, shown = typed(here, f"sh {script}", b"n\n")

    assert code == 1
    assert "fetch_permits: bbl" in shown
    assert "Edit again?" in shown
    assert arguments(here, "one") == (["1012650001"], {"limit": 5})


def test_an_exhausted_letter_is_edited_and_replayed(here: Deployment) -> None:
    """Its generations begin anew."""
    here.bury(fit("one", code="exhausted", replays=3, retryable=False))

    narrows(here, "dlq", "edit", NAME, "one", "--set", "bbl=1012650002")
    code = narrows(here, "dlq", "replay", NAME, "one")

    request = request_of(here.records.get("one")["message"])
    assert (code, request.get("narrows")["replays"]) == (0, 1)
    assert request.args[0] == "1012650002"


# --- audit ----------------------------------------------------------------------------------------


def test_the_audit_shows_who_did_what(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments only to who asks for them."""
    here.bury(fit("one"), fit("two"), fit("three"))
    narrows(here, "dlq", "edit", NAME, "one", "--set", "bbl=1012650002", "--by", "ann")
    narrows(here, "dlq", "replay", NAME, "--all", "--yes", "--by", "bob")
    capsys.readouterr()

    narrows(here, "dlq", "audit", NAME)
    shown = capsys.readouterr().out
    narrows(here, "dlq", "audit", NAME, "--json", "--reveal")
    found = document(capsys)

    assert "one and 2 more" in shown
    assert "101265000" not in shown
    assert [(each["by"], each["action"]) for each in found] == [("ann", "edit"), ("bob", "replay")]
    assert found[0]["before"] == {"args": ["1012650001"], "kwargs": {"limit": 5}}
    assert found[0]["after"]["args"][0] == "1012650002"
    assert found[1]["ids"] == ["one", "two", "three"]


@pytest.mark.parametrize(
    "command",
    [("replay", "--all", "--yes"), ("replay", "one", "--dry-run"), ("discard", "one"), ("audit",)],
    ids=" ".join,
)
def test_a_redis_that_is_gone_is_one_line_and_code_3(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """Which one, where and why; no password."""
    first, *rest = command
    code = narrows(Deployment(url="redis://:canary-password@127.0.0.1:1/0"), "dlq", first, NAME, *rest)

    said = capsys.readouterr().err
    assert code == 3
    assert said.startswith("narrows: the state Redis at redis://***@127.0.0.1:1/0 does not serve us:")
    assert len(said.splitlines()) == 1


# --- sealed, unroutable ---------------------------------------------------------------------------


def test_a_sealed_letter_is_revealed_and_edited_by_who_has_the_key(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it the command says so; with it, what lies in Redis stays sealed."""
    key = SecretStr(Fernet.generate_key().decode())
    changed = {"sealing_keys": [key], "sealed_tasks": [f"{NAME}.*"]}
    holder = Deployment(url=here.url, changed=changed)
    args, kwargs = holder.engine.sealer.seal(f"{NAME}.fetch_permits", ["1012650001"], {"limit": 5})
    here.bury(fit("one", args=list(args), kwargs=dict(kwargs)))

    without = narrows(here, "dlq", "show", NAME, "one", "--reveal")
    said = capsys.readouterr().err
    masked = narrows(here, "dlq", "show", NAME, "one")
    shown = capsys.readouterr().out
    edited = narrows(holder, "dlq", "edit", NAME, "one", "--set", "bbl=1012650002")
    capsys.readouterr()
    narrows(holder, "dlq", "show", NAME, "one", "--reveal", "--json")
    revealed = document(capsys)
    narrows(holder, "dlq", "audit", NAME, "--json", "--reveal")
    audited = document(capsys)

    (raw,) = here.engine.state.lrange(AT.dlq, 0, -1)
    assert (without, masked, edited) == (1, 0, 0)
    assert "is not here" in said
    assert "<sealed>" in shown
    assert revealed["args"][0] == "1012650002"
    assert audited[0]["before"]["args"] == ["1012650001"]
    assert "narrows_sealed" in str(raw)
    assert "1012650002" not in str(json.loads(raw)["args"])


def test_unroutable_messages_are_listed_shown_and_thrown_away(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their bodies and headers only to who asks: nobody knows what may be seen of them."""
    one = json.loads(fit("one", code="unroutable", args=[], kwargs={}).as_json())
    one |= {"message": "Y2FuYXJ5", "headers": {"x": "canary-header"}, "queue": NAME, "whole": True}
    here.engine.state.rpush("dlq:unroutable", json.dumps(one))

    narrows(here, "dlq", "list", "unroutable", "--json")
    listed = capsys.readouterr().out
    narrows(here, "dlq", "show", "unroutable", "one", "--json")
    shown = capsys.readouterr().out
    narrows(here, "dlq", "show", "unroutable", "one", "--reveal", "--json")
    revealed = document(capsys)
    edited = narrows(here, "dlq", "edit", "unroutable", "one", "--set", "a=1")
    code = narrows(here, "dlq", "discard", "unroutable", "--all", "--yes")

    assert json.loads(listed)["by_code"] == {"unroutable": 1}
    assert "Y2FuYXJ5" not in listed + shown
    assert "canary-header" not in listed + shown
    assert (revealed["message"], revealed["headers"]) == ("Y2FuYXJ5", {"x": "canary-header"})
    assert (edited, code, here.engine.state.llen("dlq:unroutable")) == (1, 0, 0)


def test_an_unroutable_message_is_sent_to_its_queue_again(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was not kept whole stays."""
    parts = {"message": "e30=", "headers": {}, "properties": {}, "content_type": "application/x", "size": 2}
    more = {"content_encoding": "utf-8", "queue": NAME}
    one, two = (json.loads(fit(name, code="unroutable").as_json()) | parts | more for name in ("one", "two"))
    for each in (one | {"whole": True}, two | {"whole": False}):
        here.engine.state.rpush("dlq:unroutable", json.dumps(each))

    code = at_broker(here, "dlq", "replay", "unroutable", "--all", "--yes", "--json")

    found = document(capsys)
    assert (code, found["words"]) == (1, {"sent": 1, "invalid": 1})
    assert (here.engine.state.llen(NAME), here.engine.state.llen("dlq:unroutable")) == (1, 1)


def unroutable(letter_id: str, **changed: Any) -> str:
    """A letter of a message that no worker could take."""
    parts = {"message": "e30=", "headers": {}, "properties": {}, "content_type": "application/x", "size": 2}
    more = {"content_encoding": "utf-8", "queue": NAME, "whole": True}
    return json.dumps(json.loads(fit(letter_id, code="unroutable").as_json()) | parts | more | changed)


def at_broker(here: Deployment, *args: str) -> int:
    """The exit code of the command, run here with the deployment's own broker."""
    known = here.app
    known.conf.task_queues = queues([NAME])
    return run(args, desk=Desk(here.engine, known))


@pytest.mark.parametrize(
    "changed",
    [
        {"message": "%%%not base64"},
        {"message": 7},
        {"headers": 5},
        {"properties": [1]},
        {"queue": [NAME]},
        {"queue": AT.audit},
        {"whole": False},
    ],
    ids=repr,
)
def test_an_unroutable_letter_that_makes_no_message_stays_and_stops_no_other(
    here: Deployment, capsys: pytest.CaptureFixture[str], changed: dict[str, Any]
) -> None:
    """Whatever stands in it, nothing is written but into a queue that workers take from."""
    here.engine.state.rpush(
        "dlq:unroutable", unroutable("bad", **changed), '{"id": "worse"}', unroutable("good")
    )

    code = at_broker(here, "dlq", "replay", "unroutable", "--all", "--yes", "--json")

    found = document(capsys)
    assert (code, found["words"]) == (1, {"invalid": 2, "sent": 1})
    assert [each["id"] for each in found["stayed"]] == ["bad", "worse"]
    assert (here.engine.state.llen(NAME), here.engine.state.llen("dlq:unroutable")) == (1, 2)
    assert not here.engine.state.exists(AT.audit)


def test_two_messages_of_one_id_are_both_sent_again_and_it_is_noted_by_whom(here: Deployment) -> None:
    """A stranger's ids need not be his own."""
    here.engine.state.rpush("dlq:unroutable", unroutable("one"), unroutable("one", message="e30K"))

    code = at_broker(here, "dlq", "replay", "unroutable", "--all", "--yes", "--by", "ann")

    assert (code, here.engine.state.llen(NAME), here.engine.state.llen("dlq:unroutable")) == (0, 2, 0)
    audited = here.engine.dead_letters("unroutable").audit()
    assert [(each.by, each.action, each.ids) for each in audited] == [("ann", "replay", ("one",))] * 2


def test_few_unroutable_letters_are_read_at_a_time(here: Deployment) -> None:
    """Each may hold a megabyte, and who looks through them should not need a gigabyte."""
    here.engine.state.rpush("dlq:unroutable", *(unroutable(str(number)) for number in range(45)))
    letters = here.engine.dead_letters("unroutable")

    assert [len(page) for page in letters.pages()] == [20, 20, 5]
    assert [letter["id"] for letter in letters] == [*map(str, range(45))]


# --- what nobody meant, and what nobody can read ----------------------------------------------------


@pytest.mark.parametrize("said", [["--text", ""], ["--text", " "], ["--code", ""], ["--operation", ""], [""]])
@pytest.mark.parametrize("command", [["discard", "--yes"], ["replay", "--yes"], ["export"]])
def test_an_empty_text_names_no_letters(
    here: Deployment, capsys: pytest.CaptureFixture[str], said: list[str], command: list[str]
) -> None:
    """A script whose variable is unset throws nothing away."""
    here.bury(fit("one"))
    here.engine.state.rpush(AT.dlq, b"no letter")
    name, *more = command

    code = narrows(here, "dlq", name, NAME, *said, *more)

    assert code == 2
    assert "an empty text" in capsys.readouterr().err
    assert here.engine.state.llen(AT.dlq) == 2


def test_what_cannot_be_read_is_named_shown_and_thrown_away(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has an id like any letter, and its bytes are shown to who asks for them."""
    here.bury(fit("good"))
    here.engine.state.rpush(AT.dlq, b"\xffcanary", b"other")

    narrows(here, "dlq", "list", NAME, "--code", "unreadable", "--json")
    first, second = [each["id"] for each in document(capsys)["letters"]]
    narrows(here, "dlq", "show", NAME, first, "--json")
    hidden = document(capsys)
    narrows(here, "dlq", "show", NAME, first, "--reveal", "--json")
    shown = document(capsys)
    narrows(here, "dlq", "discard", NAME, first, "--yes")
    narrows(here, "dlq", "discard", NAME, "--code", "unreadable", "--yes")

    assert "canary" not in json.dumps(hidden)
    assert shown["bytes"] == "\\xffcanary"
    assert lying(here) == ["good"]
    assert [entry.ids for entry in here.engine.dead_letters(NAME).audit()] == [(first,), (second,)]


@pytest.mark.parametrize("args", [None, {"a": 1}, 7], ids=repr)
def test_a_letter_whose_arguments_are_none_is_shown_and_mended(
    here: Deployment, capsys: pytest.CaptureFixture[str], args: Any
) -> None:
    """All anew, for nobody can say what to change in them."""
    here.bury(fit("one", args=args))

    shown = [narrows(here, "dlq", "show", NAME, "one", *more) for more in ([], ["--reveal"])]
    capsys.readouterr()
    refused = narrows(here, "dlq", "edit", NAME, "one", "--set", "limit=7")
    said = capsys.readouterr().err
    anew = ["--args", '["1012650001"]', "--kwargs", '{"limit": 7}', "--json"]
    mended = narrows(here, "dlq", "edit", NAME, "one", *anew)
    names = document(capsys)["changed"]
    audited = narrows(here, "dlq", "audit", NAME, "--reveal", "--json")

    assert (shown, refused, mended, audited) == ([0, 0], 2, 0, 0)
    assert "cannot be read: give all anew" in said
    assert names == ["args", "kwargs"]
    assert document(capsys)[0]["before"] == {"args": args, "kwargs": {"limit": 5}}
    assert arguments(here, "one") == (["1012650001", 7], {})


def test_a_letter_whose_task_is_no_text_is_a_line_and_no_traceback(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown, and nobody can check what it should take."""
    here.bury(fit("one", task=["a"]))

    codes = [
        narrows(here, "dlq", "show", NAME, "one"),
        narrows(here, "dlq", "edit", NAME, "one", "--args", "[]"),
    ]

    assert codes == [0, 1]
    assert "has no task ['a'] here" in capsys.readouterr().err


def test_no_editing_makes_a_letter_that_is_no_json(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python reads NaN, and hardly anybody else does."""
    here.bury(fit("one"))

    code = narrows(here, "dlq", "edit", NAME, "one", "--kwargs", '{"limit": NaN}')

    assert code == 2
    assert "takes JSON" in capsys.readouterr().err


def test_an_id_cut_too_short_and_a_name_nearly_right_are_told(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has typed three letters learns that four are asked for."""
    here.bury(fit("abcdef"))

    codes = [narrows(here, "dlq", "show", NAME, "abc"), narrows(here, "dlq", "list", "unroutabl")]

    said = capsys.readouterr().err
    assert codes == [1, 2]
    assert "the beginning of an id takes 4 characters" in said
    assert "did you mean unroutable?" in " ".join(said.replace("│", "").split())
