"""What the doctor and the readiness probe find of servers that are well, ill and dead."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import trustme
from pydantic import SecretStr
from redbeat.schedulers import RedBeatConfig

from config.settings import ProviderSettings, Settings
from tests.fleet import until
from tests.integration.deployment import CHECKOUT, NAME, Deployment, letter
from tests.integration.raw_peer import Peer, http, says
from tests.sandbox import Sandbox
from worker.doctor.checks import Ailment, Finding, ask_all
from worker.doctor.examination import examine
from worker.doctor.readiness import ready
from worker.doctor.servers import disk
from worker.exporter import exposition
from worker.keys import keys
from worker.metrics.exposition import Check
from worker.stack.embedded import EmbeddedValkey, free_port
from worker.stack.redis_server import RedisServer
from worker.stack.stack import Stack


@pytest.fixture
def server() -> Iterator[EmbeddedValkey]:
    """A server that a test may make ill."""
    with EmbeddedValkey() as running:
        yield running


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def probe(here: Deployment) -> dict[str, Check]:
    """The readiness checks by name."""
    return {check.name: check for check in ready(here.engine, here.app)}


def examined(here: Deployment, *, live: bool = False) -> dict[str, Finding]:
    """The doctor's findings by name."""
    return {finding.name: finding for finding in examine(here.engine, here.app, live=live)}


# --- readiness ------------------------------------------------------------------------------------


def test_a_worker_on_a_server_that_is_well_is_ready(server: EmbeddedValkey) -> None:
    """State, broker and settings."""
    found = probe(Deployment(url=server.url))

    assert [check.name for check in found.values() if check.ok] == ["state", "broker", "settings"]


def test_a_full_server_is_not_ready(server: EmbeddedValkey) -> None:
    """It answers every ping, and would refuse the first record."""
    with server.client() as client:
        client.config_set("maxmemory", "1mb")

    found = probe(Deployment(url=server.url))

    assert not found["state"].ok
    assert "OutOfMemoryError" in found["state"].detail


def test_a_replica_is_not_ready(server: EmbeddedValkey) -> None:
    """A failover that left us with the wrong one must be seen."""
    with EmbeddedValkey() as other, server.client() as client:
        client.replicaof("127.0.0.1", other.port)

        found = probe(Deployment(url=server.url))

    assert not found["state"].ok
    assert "ReadOnlyError" in found["state"].detail


def test_a_server_that_is_gone_is_not_ready_and_is_no_exception() -> None:
    """Both roles say so, at once."""
    found = probe(Deployment(url="redis://:canary-password@127.0.0.1:1/0"))

    assert (found["state"].ok, found["broker"].ok, found["settings"].ok) == (False, False, True)
    assert "canary-password" not in str(found)


def test_a_server_that_hangs_is_given_up_within_three_seconds(silent: str) -> None:
    """An orchestrator's probe has its own deadline, and a late answer is none."""
    started = time.monotonic()

    found = probe(Deployment(url=silent))

    assert time.monotonic() - started < 3.0
    assert not found["state"].ok
    assert not found["broker"].ok


def test_settings_for_a_provider_that_is_none_are_not_ready(server: EmbeddedValkey) -> None:
    """They would be ignored in silence."""
    misspelt = {"providers": {"nyc_open_dat": ProviderSettings()}}

    found = probe(Deployment(url=server.url, changed=misspelt))

    assert not found["settings"].ok
    assert "did you mean nyc_open_data" in found["settings"].detail


# --- doctor ---------------------------------------------------------------------------------------


def test_a_good_server_passes_every_check(server: EmbeddedValkey) -> None:
    """Only the workers are missing, and beat."""
    found = examined(Deployment(url=server.url))

    assert [finding.name for finding in found.values() if not finding.ok] == ["workers"]
    assert found["state redis"].detail.startswith("Valkey ")
    assert found["state redis: eviction"].detail == "noeviction"
    assert found["state redis: disk"].detail == "append-only file on"
    assert found["broker redis: server"].detail == "the same as for state"
    assert found["beat"].advice


def test_a_server_that_evicts_must_not_hold_records(server: EmbeddedValkey) -> None:
    """A failure with its cure."""
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")

    found = examined(Deployment(url=server.url))

    assert not found["state redis: eviction"].ok
    assert "noeviction" in found["state redis: eviction"].advice


def test_a_server_without_a_log_on_disk_is_a_warning_in_development(redis_url: str) -> None:
    """And a failure in production."""
    careless = Deployment(url=redis_url)
    strict = Deployment(url=redis_url, changed={"environment": "production"})

    warned, failed = examined(careless)["state redis: disk"], examined(strict)["state redis: disk"]

    assert (warned.ok, bool(warned.advice)) == (True, True)
    assert not failed.ok


def test_a_server_that_could_not_write_its_log_has_failed() -> None:
    """It refuses writes from then on, until its disk has room."""
    server = RedisServer(
        product="Valkey", version="9.0.0", skew=0.0, policy="noeviction", writable=True,
        appends=True, appended=False, used=1, limit=0,
    )  # fmt: skip

    found = disk("state redis", server, Settings())

    assert not found.ok
    assert "disk" in found.advice


def test_a_primary_that_waits_for_no_replica_is_a_warning(server: EmbeddedValkey) -> None:
    """Alone there is nobody to wait for; with a follower there is."""
    alone = examined(Deployment(url=server.url))["state redis: replicas"]
    with EmbeddedValkey() as other, other.client() as follower, server.client() as client:
        follower.config_set("primaryauth", str(urlsplit(server.url).password))
        follower.replicaof("127.0.0.1", server.port)
        until(lambda: int(client.info("replication")["connected_slaves"]) == 1, 20)
        careless = examined(Deployment(url=server.url))["state redis: replicas"]
        client.config_set("min-replicas-to-write", 1)
        careful = examined(Deployment(url=server.url))["state redis: replicas"]
        client.config_set("min-replicas-to-write", 0)

    assert (alone.detail, alone.advice) == ("none", "")
    assert careless.detail == "1, writes need none"
    assert "min-replicas-to-write" in careless.advice
    assert (careful.detail, careful.advice) == ("1, writes need one", "")


def test_how_we_are_let_in_is_told_without_the_password(server: EmbeddedValkey) -> None:
    """An account of our own is told by its name; none at all is a warning."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "narrows", "on", ">canary", "~*", "&*", "+@all")
        ours = examined(Deployment(url=f"redis://narrows:canary@127.0.0.1:{server.port}/0"))
        client.config_set("requirepass", "")
        client.execute_command("ACL", "SETUSER", "default", "nopass")
        open_to_all = examined(Deployment(url=f"redis://127.0.0.1:{server.port}/0"))

    assert ours["state redis: access"].detail == "no TLS, user narrows"
    assert ours["state redis: access"].advice == ""
    assert open_to_all["state redis: access"].detail == "no TLS, the default user without a password"
    assert open_to_all["state redis: access"].advice
    assert "canary" not in str(ours)


def test_production_wants_a_limit_of_memory(server: EmbeddedValkey) -> None:
    """Without one the kernel ends the server when its machine is full."""
    here, there = (
        examined(Deployment(url=server.url, changed={"environment": name}))["state redis: memory"]
        for name in ("development", "production")
    )

    assert here.detail.endswith(" MB, no limit")
    assert (here.advice, there.ok, bool(there.advice)) == ("", True, True)


def test_beat_is_seen_by_the_lock_that_it_really_holds(server: EmbeddedValkey) -> None:
    """Its name is redbeat's affair, so redbeat says it."""
    here = Deployment(url=server.url)
    with server.client() as client:
        client.set(RedBeatConfig(here.app).lock_key, "held")

        found = examined(here)["beat"]

    assert (found.detail, found.advice) == ("runs", "")


@pytest.mark.parametrize("part", ["beat", "exporter"])
def test_a_part_that_may_be_elsewhere_is_missed_only_by_who_asks_for_it(
    server: EmbeddedValkey, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A probe asks for what its own container should have; the exit code is its answer."""
    here = Deployment(url=server.url, changed={"exporter_port": free_port()})

    assert examined(here)[part].ok
    assert here.narrows("doctor", "--only", part, "--json") == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [(each["name"], each["level"]) for each in found] == [("settings", "ok"), (part, "failed")]


def test_an_exporter_is_found_where_the_settings_have_it(server: EmbeddedValkey) -> None:
    """Another's page on its port is none."""
    here = Deployment(url=server.url)
    page = exposition(here.engine, here.app, port=0)
    page.start()
    try:
        port = urlsplit(page.url).port
        ours = Deployment(url=server.url, changed={"exporter_host": "0.0.0.0", "exporter_port": port})  # noqa: S104
        assert ours.narrows("doctor", "--only", "exporter") == 0
    finally:
        page.stop()
    with Peer(says(http({"status": "ok"}))) as peer:
        other = Deployment(url=server.url, changed={"exporter_port": peer.port})
        assert other.narrows("doctor", "--only", "exporter") == 1


def test_only_what_is_named_is_looked_at(server: EmbeddedValkey, capsys: pytest.CaptureFixture[str]) -> None:
    """Servers by their role, providers by their name; what there is not is a wrong option."""
    here = Deployment(url=server.url)

    code = here.narrows("doctor", "--only", "state", "--only", NAME, "--json")

    found = json.loads(capsys.readouterr().out)["findings"]
    assert code == 0
    assert {each["name"].split(":")[0] for each in found} == {"settings", "state redis", f"provider {NAME}"}
    assert here.narrows("doctor", "--only", "stat") == 2
    assert "did you mean state" in capsys.readouterr().err


def test_a_probe_that_asks_for_beat_ends_in_time_whatever_redis_does(silent: str) -> None:
    """A container's probe has a deadline of its own."""
    started = time.monotonic()

    assert Deployment(url=silent).narrows("doctor", "--only", "beat") == 1

    assert time.monotonic() - started < 8.5


def test_a_cache_of_its_own_should_evict(server: EmbeddedValkey, redis_url: str) -> None:
    """A full cache that refuses writes caches nothing."""
    here = Deployment(url=redis_url, changed={"cache_url": SecretStr(server.url)})

    before = examined(here)["cache redis: eviction"]
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    after = examined(here)["cache redis: eviction"]

    assert (before.ok, bool(before.advice)) == (True, True)
    assert (after.ok, after.advice) == (True, "")


def test_a_nearly_full_server_is_a_warning(server: EmbeddedValkey) -> None:
    """Before it refuses writes."""
    with server.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 200_000)

    found = examined(Deployment(url=server.url))["state redis: memory"]

    assert found.detail.endswith("% used")
    assert found.advice


def test_one_dead_server_does_not_hide_the_others(server: EmbeddedValkey) -> None:
    """Each role is a finding of its own."""
    found = examined(Deployment(url=server.url, changed={"cache_url": SecretStr("redis://127.0.0.1:1/0")}))

    assert found["state redis"].ok
    assert not found["cache redis"].ok
    assert found["cache redis"].detail.startswith("ConnectionError")


def test_a_provider_is_shown_with_its_address_and_without_its_key(redis_url: str) -> None:
    """Whether there is a key is all that is said of it."""
    without = examined(Deployment(url=redis_url))[f"provider {NAME}"]
    chosen = ProviderSettings(api_key=SecretStr("canary-key"), base_url="https://elsewhere.test")

    having = examined(Deployment(url=redis_url, chosen=chosen))[f"provider {NAME}"]

    assert without.detail == "https://data.cityofnewyork.us, no key, which is optional"
    assert having.detail == "https://elsewhere.test, key set"


def test_the_keys_of_a_pool_are_counted_and_not_shown(redis_url: str) -> None:
    """However they are given; one that is given twice is one."""
    pool = (SecretStr("canary-one"), SecretStr("canary-two"))
    both = ProviderSettings(api_key=SecretStr("canary-one"), api_keys=pool)
    found = examined(Deployment(url=redis_url, chosen=both))

    assert found[f"provider {NAME}"].detail == "https://data.cityofnewyork.us, 2 keys set"
    assert "canary" not in str(found)


@pytest.mark.parametrize(
    ("name", "chosen", "told"),
    [
        (
            "twilio",
            {"api_key": SecretStr("canary:canary"), "options": {"from_number": "+canary"}},
            "NARROWS_PROVIDERS__TWILIO__OPTIONS__FROM_NUMBER: ",
        ),
        ("spotify", {"api_key": SecretStr("canary-alone")}, "spotify: a credential of two parts is written"),
        (NAME, {"ca_file": __file__}, f"NARROWS_PROVIDERS__{NAME.upper()}__CA_FILE: holds no certificate"),
    ],
)
def test_what_no_call_could_be_made_with_is_a_failure_that_names_what_to_mend(
    server: EmbeddedValkey, name: str, chosen: dict[str, Any], told: str
) -> None:
    """Before the first call finds it, and without what was set; all else is looked at as ever."""
    settings = ProviderSettings.model_validate(chosen)

    found = examined(Deployment(url=server.url, changed={"providers": {name: settings}}))

    assert not found[f"provider {name}"].ok
    assert found[f"provider {name}"].detail.startswith(told)
    assert found["state redis: disk"].ok
    assert "canary" not in str(found)


def test_a_provider_that_wants_to_know_who_asks_is_a_warning_until_it_does(redis_url: str) -> None:
    """MusicBrainz and Last.fm slow down callers whom they cannot write to; the others do not care."""
    nameless = examined(Deployment(url=redis_url))
    named = examined(Deployment(url=redis_url, changed={"contact": "ops@example.org"}))

    warned = {name for name, each in nameless.items() if "NARROWS_CONTACT" in each.advice}
    assert warned == {"provider lastfm", "provider musicbrainz"}
    assert all(nameless[name].ok for name in warned)
    assert not any("NARROWS_CONTACT" in each.advice for each in named.values())


def test_live_asks_the_providers_address_and_nothing_else_does(redis_url: str, sandbox: Sandbox) -> None:
    """Once, and only when it is told to."""
    chosen = ProviderSettings(base_url=sandbox.base_url(NAME))
    here = Deployment(url=redis_url, chosen=chosen)

    examined(here)
    before = requests.get(f"{sandbox.url}/_journal/{NAME}", timeout=5).json()
    found = examined(here, live=True)[f"{NAME} live"]
    after = requests.get(f"{sandbox.url}/_journal/{NAME}", timeout=5).json()

    assert (before, [entry["method"] for entry in after]) == ([], ["HEAD"])
    assert found.ok
    assert found.detail.startswith("answered ")


def test_live_trusts_whom_calls_trust(redis_url: str, tmp_path: Path) -> None:
    """A company's own authorities, where a provider has some."""
    authority, file = trustme.CA(), tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    with Peer(says(http([]), http([])), tls=context) as peer:
        known = Deployment(url=redis_url, chosen=ProviderSettings(base_url=peer.url, ca_file=file))
        strange = Deployment(url=redis_url, chosen=ProviderSettings(base_url=peer.url))
        trusting, wary = (examined(each, live=True)[f"{NAME} live"] for each in (known, strange))

    assert trusting.detail.startswith("answered 200")
    assert "SSLError" in wary.detail


@pytest.mark.parametrize(
    ("date", "told"),
    [("Sat, 21 Nov 2020 10:00:00 GMT", True), ("yesterday", False), ("", False), (None, False)],
)
def test_live_tells_a_clock_that_differs(redis_url: str, date: str | None, told: bool) -> None:  # noqa: FBT001
    """A Retry-After that is a date is read by it; a header that is none is nothing to go by."""
    header = formatdate(usegmt=True) if date is None else date
    with Peer(says(http([], headers={"Date": header}))) as peer:
        found = examined(Deployment(url=redis_url, chosen=ProviderSettings(base_url=peer.url)), live=True)

    live = found[f"{NAME} live"]
    assert live.ok
    assert ("its clock -" in live.detail, "NTP" in live.advice) == (told, told)


def test_live_says_that_a_provider_cannot_be_reached(redis_url: str) -> None:
    """A failure, and the address in question."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(base_url="http://127.0.0.1:1"))

    found = examined(here, live=True)[f"{NAME} live"]

    assert not found.ok
    assert "ConnectionError" in found.detail
    assert "http://127.0.0.1:1" in found.advice


def test_a_question_that_raises_or_hangs_is_a_failed_finding() -> None:
    """The others are answered, in the order in which they were asked."""
    hold = threading.Event()

    def hangs() -> list[Finding]:
        hold.wait(10)
        return []

    def ails() -> list[Finding]:
        raise Ailment("it limps", "rest it")

    def breaks() -> list[Finding]:
        raise ValueError("canary: foreign words")

    def answers() -> list[Finding]:
        return [Finding(name="good", ok=True, detail="well")]

    questions = {"hangs": hangs, "ails": ails, "breaks": breaks, "answers": answers}
    found = ask_all(questions, within=0.3)
    hold.set()

    assert [(each.name, each.ok, each.detail) for each in found] == [
        ("hangs", False, "no answer within 0.3 s"),
        ("ails", False, "it limps"),
        ("breaks", False, "ValueError"),
        ("good", True, "well"),
    ]


# --- a stack that runs ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One worker and beat on a server of their own."""
    with Stack(workers=1, env={"NARROWS_ENVIRONMENT": "development"}) as running:
        yield running


@pytest.fixture
def running(stack: Stack) -> Deployment:
    """The stack's deployment."""
    return Deployment(url=stack.environment["NARROWS_STATE_URL"])


def test_a_stack_that_runs_passes(
    running: Deployment, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0: nothing failed; the worker is named."""
    deadline = time.monotonic() + 20
    while running.narrows("doctor", "--json") and time.monotonic() < deadline:
        capsys.readouterr()

    found = json.loads(capsys.readouterr().out)
    said = {each["name"]: each["detail"] for each in found["findings"]}
    assert found["ok"] is True
    assert said["workers"].startswith("1: worker-1@")
    assert said["queues"] == "each is served"
    assert stack.workers[0].is_ready


def test_a_queue_that_nobody_serves_is_a_warning(running: Deployment) -> None:
    """Its calls would wait without a word."""
    control = running.app.control
    control.cancel_consumer(NAME, reply=True, limit=1, timeout=5.0)
    try:
        found = examined(running)["queues"]
    finally:
        control.add_consumer(NAME, reply=True, limit=1, timeout=5.0)

    assert (found.ok, found.detail, bool(found.advice)) == (True, f"nobody serves {NAME}", True)


def test_status_names_the_workers_that_answer(
    running: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that answer within a second."""
    running.narrows("status", "--json")

    (name,) = json.loads(capsys.readouterr().out)["workers"]
    assert name.startswith("worker-1@")


def test_upkeep_reports_and_logs_what_a_person_should_see(running: Deployment, stack: Stack) -> None:
    """Beat has it done each minute; here it is asked for by name, as beat does."""
    running.bury(letter("dead"))
    running.engine.state.rpush("dlq:unroutable", "{}")

    result = running.app.send_task("upkeep.check_health", queue="upkeep").get(timeout=20)

    running.engine.state.delete(keys(NAME).dlq, "dlq:unroutable")
    concerns = {NAME: {"dead_letters": 1}, "unroutable": {"dead_letters": 1}}
    assert result == {"ready": True, "failed": [], "concerns": concerns}
    log = (stack.directory / "worker-1.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    warned = [line for line in lines if line["message"] == "dead letters waiting"]
    assert {(line["level"], line["integration.provider"], line["amount"]) for line in warned} == {
        ("WARNING", NAME, 1),
        ("WARNING", "unroutable", 1),
    }


def test_upkeep_without_redis_says_what_failed() -> None:
    """It still returns, for whoever runs it by hand."""
    gone = "redis://:canary-password@127.0.0.1:1/0"
    code = "import json; from tasks.upkeep import check_health; print(json.dumps(check_health()))"
    env = {f"NARROWS_{role}_URL": gone for role in ("STATE", "BROKER", "RESULT", "CACHE")}

    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=CHECKOUT, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == {"ready": False, "failed": ["state", "broker"], "concerns": {}}
    assert "canary-password" not in done.stderr
