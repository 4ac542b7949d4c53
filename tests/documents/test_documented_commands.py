"""Every command that a document tells people to type, typed; on servers with TLS, by who has least rights.

The README's marked blocks are run by ``test_readme.py``. Here every other ``narrows`` command, in a shell
block or in a code span, is run on a real deployment, its open words (PROVIDER, ID, …) filled in. What cannot
be run here is told in :data:`ELSEWHERE` with its reason, and is at least read by its own program. A new line
of a shell block that is neither fails.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import chord
from cryptography.fernet import Fernet
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from config.queues import UPKEEP
from config.settings import Settings
from tasks import fetch_bbl, fetch_permits, search_recording
from tests.command_lines import misused
from tests.documented import DOCUMENTS, ROOT, Told, blocks, spans
from tests.documents.guarded import CONFIG, Authority, Guarded, rules
from tests.documents.typed import Scene, completed, typed
from tests.fleet import until
from tests.integration.deployment import HEARS_CTRL_C
from tests.integration.tls_door import TlsDoor
from tests.sandbox.settings import DOORS
from worker.application import app
from worker.engine import engine
from worker.keys import keys
from worker.stack.embedded import _binary, free_port
from worker.stack.programs import CeleryPrograms
from worker.stack.stack import Stack
from worker.stores import connect

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Call to deprecated setex:DeprecationWarning"
    ),  # how Celery stores results
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # how its clients part from connections
]

ELSEWHERE = {
    # As it begins, and who runs it, or why nobody can.
    "narrows demo": "test_readme.py: make demo",
    "narrows up": "test_readme.py: make up, and tests/integration/test_stack.py",
    "narrows exporter": "this module's stack runs it",
    "narrows city add": "test_cities.py writes a city with it; it wants a checkout's folder",
    "narrows dlq list bos311": "test_cities.py has that city",
    "narrows submission list bos311": "test_cities.py has that city",
    "narrows seal key": "tests/integration/test_sealing.py takes its key",
    "make ": "the targets are CI's own; test_readme.py runs demo, up and test",
    "celery inspect": "a name, not a line",
    "celery ": "read by Celery's own parser; worker and beat run in every fleet, by the same options",
    "docker compose ": "there is no Docker here; read against compose.yml by tests/command_lines.py",
    "kubectl ": "there is no cluster here; tests/unit/test_kubernetes.py builds and checks the manifests",
    "zcat OBJECT": "redis-cli is no part of Narrows; tests/integration/test_exporting.py reads the objects",
    "export ": "a variable of the shell: its setting is checked by tests/unit/test_documents.py",
}

SHELL = ("printf ", "mkdir ", "openssl ", "chmod ")
"""Lines for a shell, which are run in their order in a folder of their own, one for each document."""

MARKED = {"README.md": "test_readme.py", "adding_a_provider.md": "test_adding_a_provider.py"}
"""Whose marked blocks are run, and where."""

EXPECTED: dict[str, int] = {}
"""Commands that end with another code than 0, and rightly."""

QUIET = ("narrows seal status",)
"""Nothing is sealed, and so nothing is counted."""

WATCHED = ("narrows status --watch",)
"""What goes on until Ctrl-C."""

BLOCKS = [told for path in DOCUMENTS for told in blocks(path) if not told.mark]
SPANS = [told for path in DOCUMENTS for told in spans(path)]
LINES = sorted({told.line for told in (*BLOCKS, *SPANS)})


def elsewhere(line: str) -> str:
    """Why *line* is not run here; "" when it is."""
    return next((why for start, why in ELSEWHERE.items() if line.startswith(start)), "")


HERE = [line for line in LINES if line.startswith("narrows ") and not elsewhere(line) and line not in WATCHED]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guarded(authority: Authority) -> Iterator[Guarded]:
    """The servers, closed."""
    with Guarded(authority) as ground:
        yield ground


@pytest.fixture(scope="module")
def stack(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All that a deployment runs."""
    folder = tmp_path_factory.mktemp("imports")
    places = dict.fromkeys(("NARROWS_IMPORT_TO", "NARROWS_EXPORT_TO"), f"file://{folder}")
    env = {**guarded.env, **places, "NARROWS_SEALING_KEYS": Fernet.generate_key().decode()}
    guarded._point(env)
    programs = CeleryPrograms(concurrency=8, flower_port=0, exporter_port=0)
    with Stack(
        workers=1, beat=True, exporter=True, flower=True, env=env, programs=programs, ready_within=120.0
    ) as running:
        yield running


@pytest.fixture(scope="module")
def scene(guarded: Guarded, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Scene:  # noqa: ARG001 - it runs
    """Where commands are typed."""
    call = fetch_bbl.delay("1012650001")
    call.get(timeout=30)
    return Scene(ground=guarded, call=call.id, folder=tmp_path_factory.mktemp("exports"))


def test_every_command_is_known_to_somebody() -> None:
    """A new line in a document is run here, or says why not; and no reason stands for nothing."""
    runs = {*HERE, *WATCHED}
    unknown = [
        f"{told.document}: {told.line}"
        for told in BLOCKS
        if told.line not in runs and not elsewhere(told.line) and not told.line.startswith(SHELL)
    ]

    assert unknown == []
    assert {told.document for path in DOCUMENTS for told in blocks(path) if told.mark} == set(MARKED)
    assert [start for start in ELSEWHERE if not any(line.startswith(start) for line in LINES)] == []
    assert len(HERE) > 50


@pytest.mark.parametrize("told", [*BLOCKS, *SPANS], ids=lambda told: f"{told.document}: {told.line}")
def test_every_command_is_one_that_its_program_takes(told: Told) -> None:
    """By the program's own parser, where it is one of those that we know."""
    assert misused(told.line.removeprefix("exec ")) == ""


@pytest.mark.parametrize("line", HERE)
def test_every_narrows_command_does_what_it_says(
    scene: Scene, guarded: Guarded, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends well, and the user has every right that it wants."""
    given = completed(line, scene.words(line))

    code = typed(given)

    said = capfd.readouterr()
    assert (code, guarded.refused()) == (EXPECTED.get(line, 0), []), said.out + said.err
    assert said.out or line in QUIET


@pytest.mark.parametrize("line", WATCHED)
def test_what_is_watched_shows_something_until_ctrl_c(scene: Scene, line: str) -> None:  # noqa: ARG001 - there is something
    """And ends at once then."""
    program = [
        sys.executable,
        "-c",
        f"{HEARS_CTRL_C}; from worker.cli import main; main()",
        *line.split()[1:],
    ]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        first = one.stdout.readline()
        one.send_signal(signal.SIGINT)
        one.communicate(timeout=20)

    assert first


@pytest.mark.parametrize(
    "document", sorted({told.document for told in BLOCKS if told.line.startswith(SHELL)})
)
def test_lines_for_the_shell_do_what_they_promise(document: str, tmp_path: Path) -> None:
    """Run by a shell, one after the other, in a folder of their own; files that they write are not empty."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not on this machine")
    lines = [told.line for told in BLOCKS if told.document == document and told.line.startswith(SHELL)]
    given = {"PATH": os.environ["PATH"], "PASSWORD": "hunter2", "PAGERDUTY_ROUTING_KEY": "key"}

    subprocess.run(
        ["/bin/sh", "-euc", "\n".join(lines)],
        cwd=tmp_path,
        env=given,
        check=True,
        capture_output=True,
        timeout=60,
    )

    assert [path for path in tmp_path.rglob("*") if path.is_file() and not path.stat().st_size] == []


@pytest.mark.usefixtures("scene")
def test_calls_park_come_back_and_are_asked_about_with_least_rights(guarded: Guarded) -> None:
    """Held back, let out, in a chord, revoked; beat, exporter and Flower beside it."""
    typed(["breaker", "open", "musicbrainz"])
    parked = search_recording.delay(artist="Can", title="Vitamin C")
    doomed = search_recording.delay(artist="Can", title="Halleluhwah")
    until(lambda: engine().state.zcard(keys("musicbrainz").parked) == 2)
    doomed.revoke()
    both = chord(
        map(fetch_permits.s, ("1012650001", "1012650002")), app.tasks["celery.accumulate"].s()
    ).delay()
    typed(["breaker", "close", "musicbrainz"])

    assert parked.get(timeout=30) == []
    assert len(both.get(timeout=30)[0]) == 2
    assert app.control.inspect(timeout=5).active()
    assert guarded.refused() == []


def test_beat_ticks_with_least_rights(stack: Stack, guarded: Guarded) -> None:
    """It holds the lock, and has written when what is due."""
    state = guarded.client()
    until(lambda: state.exists(f"narrows:{{{UPKEEP}}}:beat:lock"), 30.0)

    assert "NOPERM" not in "".join(path.read_text() for path in stack.directory.glob("*.log"))
    assert guarded.refused() == []
    state.close()


FORBIDDEN = (
    ("FLUSHALL",), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "save", ""), ("SHUTDOWN",),
    ("KEYS", "*"), ("GET", "another:key"), ("SET", "session:1", "x"), ("ACL", "LIST"), ("MONITOR",),
    ("REPLICAOF", "NO", "ONE"), ("MODULE", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"), ("SUBSCRIBE", "others"),
    ("EVAL", "return redis.call('GET', 'another:key')", "0"), ("FUNCTION", "FLUSH"), ("SAVE",),
)  # fmt: skip


@pytest.mark.parametrize("command", FORBIDDEN, ids=" ".join)
def test_the_user_may_not_do_more(guarded: Guarded, command: tuple[str, ...]) -> None:
    """Nothing that empties, reconfigures or ends the server, or reads what is not ours."""
    settings = Settings.load(guarded.env)

    with (
        connect(guarded.env["NARROWS_STATE_URL"], settings) as client,
        pytest.raises(RedisError, match="permissions"),
    ):
        client.execute_command(*command)

    guarded.refused()  # forgotten: these were asked for


def test_scripts_use_nothing_that_the_user_may_not() -> None:
    """Every command in every script, also in those that no test here comes by."""
    asked = {
        word.upper()
        for path in (ROOT / "worker" / "lua").glob("*.lua")
        for word in re.findall(r"redis\.p?call\(\s*['\"](\w+)", path.read_text(encoding="utf-8"))
    }
    granted = {rule[1:].upper() for rule in rules("state.acl") if rule.startswith("+")}

    assert len(asked) > 30
    assert asked <= granted


def test_every_queue_is_the_users() -> None:
    """A provider whose queue is not named here would take no calls."""
    granted = {rule[1:] for rule in rules("state.acl") if rule.startswith("~")}

    assert {UPKEEP, *DOORS} <= granted


@pytest.mark.parametrize("name", ["state.acl", "cache.acl"])
def test_a_real_server_starts_from_the_file(name: str, tmp_path: Path) -> None:
    """With a password's digest put behind it, as the page says; nobody else comes in."""
    text = (CONFIG / name).read_text(encoding="utf-8").rstrip()
    (tmp_path / "users.acl").write_text(
        f"{text} #{hashlib.sha256(b'hunter2').hexdigest()}\n", encoding="utf-8"
    )
    port, conf = free_port(), tmp_path / "server.conf"
    conf.write_text(f"bind 127.0.0.1\nport {port}\ndir {tmp_path}\naclfile {tmp_path}/users.acl\n")

    with subprocess.Popen([_binary(), conf], stdout=subprocess.DEVNULL) as server:
        try:
            address = f"127.0.0.1:{port}/0"
            with Redis.from_url(f"redis://narrows:hunter2@{address}") as client:
                until(lambda: _answers(client))
                assert client.acl_whoami() == "narrows"
            with Redis.from_url(f"redis://{address}") as stranger, pytest.raises(RedisError):
                stranger.ping()
        finally:
            server.terminate()


@pytest.mark.parametrize("kind", ["wrong authority", "no certificate", "plain"])
def test_who_does_not_shake_hands_as_agreed_is_refused_at_once(
    guarded: Guarded, authority: Authority, kind: str, tmp_path: Path
) -> None:
    """Both ways: we do not speak to a server that we cannot verify, nor it to us."""
    env = dict(guarded.env)
    if kind == "wrong authority":
        env["NARROWS_TLS__CA_FILE"] = str(Authority(tmp_path / "other").ca_file)
    elif kind == "no certificate":
        env["NARROWS_TLS__CERT_FILE"] = env["NARROWS_TLS__KEY_FILE"] = ""
    else:
        env |= {
            name: url.replace("rediss://", "redis://") for name, url in env.items() if name.endswith("_URL")
        }
    settings = Settings.load(env)
    started = time.monotonic()

    with connect(env["NARROWS_STATE_URL"], settings) as client, pytest.raises((RedisError, OSError)):
        client.ping()

    assert time.monotonic() - started < 8.0
    assert authority.ca_file.exists()


def test_a_server_that_asks_for_no_certificate_is_spoken_to_without(
    guarded: Guarded, authority: Authority
) -> None:
    """Client certificates are optional; the server's is not."""
    with TlsDoor(guarded.valkey.port, authority.context(wants_certificate=False)) as door:
        env = {**guarded.env, "NARROWS_TLS__CERT_FILE": "", "NARROWS_TLS__KEY_FILE": ""}
        url = env["NARROWS_STATE_URL"].rpartition(":")[0] + f":{door.port}/0"
        with connect(url, Settings.load(env)) as client:
            assert client.ping()


def _answers(client: Redis) -> bool:
    """Whether it has started."""
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False
