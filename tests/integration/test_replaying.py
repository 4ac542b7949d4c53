"""Dead letters replayed as beat has it, on a real server; the tests themselves are the worker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from config.settings import ProviderSettings
from tests.integration.deployment import CHECKOUT, NAME, Deployment, letter
from worker import registry
from worker.claim import Claim
from worker.keys import keys
from worker.lease import Lease
from worker.letters.canary import Canary
from worker.letters.letter import iso
from worker.letters.replaying import Replayed, Replayer
from worker.stack.embedded import EmbeddedValkey

AT = keys(NAME)


@pytest.fixture
def here(redis_url: str) -> Deployment:
    """An empty deployment of a provider that takes ten calls a second."""
    return Deployment(url=redis_url, chosen=ProviderSettings(rate=10.0, burst=20, retry_attempts=1))


def bury(here: Deployment, *ids: str, **changed: Any) -> None:
    """Letters of these ids, at the end of the list."""
    here.bury(*(letter(each, kwargs={}, **changed) for each in ids))


def listed(here: Deployment) -> list[str]:
    """Ids of the letters that are there, in order."""
    found: Any = here.engine.state.lrange(AT.dlq, 0, -1)
    return [json.loads(raw)["id"] for raw in found]


def in_line(here: Deployment) -> list[str]:
    """Ids of the calls that stand in line, in order."""
    found: Any = here.engine.state.zrange(AT.parked, 0, -1)
    return [each.decode() for each in found]


class Worker:
    """Takes the first in line whenever the replayer waits, and says what became of it.

    Attributes:
        seen: Ids of those that it took, and of all that stood in line then.
    """

    def __init__(self, here: Deployment, ends: Callable[[str], str] = lambda _: "end") -> None:
        self._here, self._ends = here, ends
        self.seen: list[tuple[str, list[str]]] = []
        self.now = 0.0

    def clock(self) -> float:
        """Seconds, as many as were slept."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """While the replayer sleeps."""
        self.now += seconds
        standing = in_line(self._here)
        gate = self._here.engine.gateway(NAME).gate
        for call in self._here.engine.records(NAME).release(gate, "w", 8).calls:
            self.seen.append((call.task_id, standing))
            self._run(call.task_id, call.message, self._ends(call.task_id))

    def _run(self, task_id: str, message: bytes, end: str) -> None:
        claim, gate = Claim(home=NAME, task_id=task_id, recorded=True), self._here.engine.gateway(NAME).gate
        decision, report = gate.begin(claim, patience=100.0)
        assert decision.word == "admit"
        report.outcome = "success" if end == "end" else "failure"
        if end == "end":
            gate.finish(report, claim, "end")
            return
        replays = json.loads(message)[0]["narrows"]["replays"]
        seconds, micros = self._here.engine.state.time()
        again = letter(
            task_id,
            kwargs={},
            code=end,
            retryable=end == "upstream_error",
            replays=replays,
            failed_at=iso(seconds + micros / 1e6),
        )
        gate.finish(report, claim, "dead", letter=again.as_json())


class Idle(Worker):
    """Takes nothing."""

    def sleep(self, seconds: float) -> None:
        """The time passes."""
        self.now += seconds


def replay(here: Deployment, worker: Worker | None = None, **how: Any) -> Replayed:
    """One run over the provider."""
    worker = worker or Worker(here)
    run = Replayer(here.engine, clock=worker.clock, sleep=worker.sleep, **how)
    (done,) = run.run([NAME])
    return done


def test_one_letter_goes_first_and_the_others_follow_oldest_first(here: Deployment) -> None:
    """Only those that a replay may help; nothing is published, all stand in the replay lane."""
    bury(here, "first", "second")
    bury(here, "no", code="upstream_rejected", retryable=False)
    bury(here, "spent", code="exhausted")
    bury(here, "doubt", code="in_doubt")
    bury(here, "killer", code="worker_lost")
    bury(here, "third")
    worker = Worker(here)

    done = replay(here, worker)

    assert done.end == "done"
    assert done.outcomes == {"parked": 3, "canary_passed": 1}
    assert worker.seen == [("first", ["first"])]
    assert in_line(here) == ["second", "third"]
    assert listed(here) == ["no", "spent", "doubt", "killer"]
    assert here.records.get("second")["lane"] == "replay"
    assert here.engine.state.llen(NAME) == 0


def test_without_letters_nothing_is_done(here: Deployment) -> None:
    """Nor with none that may be replayed."""
    assert replay(here).end == "done"
    bury(here, "no", retryable=False)
    done = replay(here)
    assert (done.end, done.outcomes) == ("done", {})
    assert listed(here) == ["no"]


def test_a_canary_that_fails_keeps_the_others_back(here: Deployment) -> None:
    """It is a letter again, and the next hour another one goes first."""
    bury(here, "first", "second", "third")
    worker = Worker(here, lambda _: "upstream_error")

    done = replay(here, worker)

    assert (done.end, done.outcomes) == ("canary_failed", {"parked": 1, "canary_failed": 1})
    assert listed(here) == ["second", "third", "first"]
    assert replay(here, Worker(here)).end == "done"
    assert (listed(here), in_line(here)) == ([], ["third", "first"])


def test_a_canary_that_failed_for_the_last_time_failed(here: Deployment) -> None:
    """That its letter is exhausted now does not make its provider well."""
    bury(here, "first", "second", replays=2)

    done = replay(here, Worker(here, lambda _: "exhausted"))

    assert done.end == "canary_failed"
    assert listed(here) == ["second", "first"]


def test_a_call_that_the_provider_does_not_want_says_nothing_of_the_others(here: Deployment) -> None:
    """It answers, so another one goes first in the same run."""
    bury(here, "bad", "good", "third")
    worker = Worker(here, lambda task_id: "upstream_rejected" if task_id == "bad" else "end")

    done = replay(here, worker)

    assert done.end == "done"
    assert [task_id for task_id, _ in worker.seen] == ["bad", "good"]
    assert (listed(here), in_line(here)) == (["bad"], ["third"])


def test_a_canary_that_nobody_takes_is_waited_for_and_then_left(here: Deployment) -> None:
    """The next run goes on with the same one, however long it stood in line."""
    bury(here, "first", "second")

    done = replay(here, Idle(here), patience=5.0)

    assert (done.end, done.outcomes) == ("canary_waits", {"parked": 1})
    assert replay(here, Idle(here)).end == "canary_waits"
    assert in_line(here) == ["first"]
    assert replay(here).outcomes == {"canary_passed": 1, "parked": 1}
    assert in_line(here) == ["second"]


def test_a_run_that_follows_soon_needs_no_canary_of_its_own(here: Deployment) -> None:
    """So one that was killed goes on where it was."""
    bury(here, "first", "second")
    replay(here)
    bury(here, "third", failed_at="2026-11-20T11:00:00.000Z")

    done = replay(here, Idle(here))

    assert (done.end, done.outcomes) == ("done", {"parked": 1})
    assert in_line(here) == ["second", "third"]


def test_what_fails_again_meanwhile_has_its_turn_another_time(here: Deployment) -> None:
    """A run would otherwise use up all generations of a letter within minutes."""
    bury(here, "first", "second")
    replay(here)
    seconds, _ = here.engine.state.time()
    bury(here, "again", failed_at=iso(seconds + 5))

    done = replay(here, Idle(here))

    assert (done.end, done.outcomes) == ("done", {})
    assert listed(here) == ["again"]


def test_nothing_is_replayed_while_the_breaker_is_not_closed(here: Deployment) -> None:
    """Not even the first one."""
    here.call("failure", 5)
    bury(here, "first")

    done = replay(here)

    assert (done.end, done.outcomes) == ("breaker", {})
    assert listed(here) == ["first"]


def test_a_breaker_that_opens_stops_the_run(here: Deployment) -> None:
    """What stands in line is held by it, too; the rest stays where it is."""
    bury(here, *(f"letter-{number}" for number in range(350)))
    letters = here.engine.dead_letters(NAME)
    moved = []

    class Watched:
        """The letters; the breaker opens when the second page has left."""

        def __len__(self) -> int:
            return len(letters)

        def pages(self, size: int = 100) -> Any:
            return letters.pages(size)

        def replay(self, raws: Any, *, by: str) -> list[str]:
            moved.append(len(raws))
            if len(moved) == 3:
                here.engine.gateway(NAME).breaker.open_for()
            return letters.replay(raws, by=by)

    done = replay(here, letters=lambda _: Watched())

    assert done.end == "breaker"
    assert sum(moved) < 250
    assert len(listed(here)) + len(in_line(here)) + 1 == 350


def test_quota_is_left_to_live_calls(redis_url: str) -> None:
    """A tenth of it, and one call for each that stands in line."""
    chosen = ProviderSettings(rate=10.0, burst=20, daily_quota=20)
    here = Deployment(url=redis_url, chosen=chosen)
    here.call("success", 5)
    here.records.park([(f"live-{number}", "[]") for number in range(6)], lane="batch")
    bury(here, *(f"letter-{number}" for number in range(30)))
    worker = Worker(here, lambda _: "end")

    assert replay(here, Idle(here)).end == "canary_waits"
    here.engine.state.delete(AT.parked, AT.lot, AT.call("letter-0"))
    done = replay(here, worker)

    assert done.end == "quota"
    assert len(in_line(here)) == 20 - 5 - 2


def test_as_many_stand_in_line_as_the_provider_takes_in_an_hour(redis_url: str) -> None:
    """The line does not grow without bound; the next hour brings more."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(rate=0.05, burst=5))
    bury(here, *(f"letter-{number:03}" for number in range(300)))

    done = replay(here)

    assert done.end == "line"
    assert len(in_line(here)) == 180
    assert in_line(here) == [f"letter-{number:03}" for number in range(1, 181)]
    assert replay(here, Idle(here)).end == "line"


def test_two_runs_are_never_at_one_provider(here: Deployment) -> None:
    """The second leaves at once; a killed one's lease runs out."""
    bury(here, "first", "second")
    other = Lease(here.engine.state, AT.replaying, seconds=60.0)
    assert other.take()

    assert replay(here).end == "busy"
    assert listed(here) == ["first", "second"]
    other.drop()
    assert replay(here).end == "done"


def test_a_run_that_lost_its_lease_stops(here: Deployment) -> None:
    """It was slower than its lease, and another is at it by now."""
    bury(here, "first", "second")
    other = Lease(here.engine.state, AT.replaying, seconds=60.0)

    class Slow(Worker):
        """Sleeps longer than the lease."""

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            here.engine.state.delete(AT.replaying)
            other.take()

    assert replay(here, Slow(here)).end in {"busy", "canary_waits"}
    assert listed(here) == ["second"]
    assert not Lease(here.engine.state, AT.replaying).take()


def test_a_run_ends_in_time_and_says_that_it_goes_on(here: Deployment) -> None:
    """Before the task's time limit, wherever it is."""
    bury(here, "first", "second")

    done = replay(here, Idle(here), lasts=2.0)

    assert (done.end, done.goes_on) == ("time", True)
    assert Lease(here.engine.state, AT.replaying).take()


def test_many_letters_that_stay_in_front_are_read_once(here: Deployment) -> None:
    """However many lie before the first that may be replayed, a page is not read again for the next."""
    bury(here, *(f"no-{number}" for number in range(2_000)), retryable=False)
    bury(here, *(f"yes-{number}" for number in range(500)))
    before = ranges(here.engine.state)

    done = replay(here)

    assert done.outcomes["parked"] == 500
    assert ranges(here.engine.state) - before < 60


def ranges(redis: Redis) -> int:
    """How often a client has read a piece of a list."""
    stats: Any = redis.info("commandstats")
    return int(stats.get("cmdstat_lrange", {"calls": 0})["calls"])


def test_letters_that_cannot_be_replayed_are_passed_over(here: Deployment) -> None:
    """An unknown task, a call that lives, arguments that no longer fit; the next one goes first."""
    bury(here, "strange", task=f"{NAME}.unheard_of")
    bury(here, "alive")
    bury(here, "unfit", args=["no lot"])
    bury(here, "good", "better")
    here.records.park([("alive", "[]")], lane="batch")

    done = replay(here)

    assert done.outcomes == {"unknown_task": 1, "known": 1, "invalid": 1, "parked": 2, "canary_passed": 1}
    assert listed(here) == ["strange", "alive", "unfit"]


def test_redis_gone_half_way_ends_the_run_and_loses_nothing() -> None:
    """The next one goes on."""
    with EmbeddedValkey(appendfsync="always") as valkey:
        chosen = ProviderSettings(rate=10.0, burst=20)
        here = Deployment(url=valkey.url, chosen=chosen, changed={"redis_timeout": 0.5})
        bury(here, *(f"letter-{number}" for number in range(300)))
        letters = here.engine.dead_letters(NAME)
        moved: list[int] = []

        class Fatal:
            """The letters; Redis dies when the second page has left."""

            def __len__(self) -> int:
                return len(letters)

            def pages(self, size: int = 100) -> Any:
                return letters.pages(size)

            def replay(self, raws: Any, *, by: str) -> list[str]:
                words = letters.replay(raws, by=by)
                moved.append(len(raws))
                if len(moved) == 2:
                    valkey.kill()
                return words

        done = replay(here, letters=lambda _: Fatal())

        assert done.end == "redis"
        valkey.start()
        here.engine.state.delete(AT.replaying)
        assert {*listed(here)}.isdisjoint(in_line(here))
        assert len(listed(here)) + len(in_line(here)) + 1 == 300
        assert replay(here, Idle(here)).end == "done"
        assert len(in_line(here)) == 299


def test_every_provider_is_served_though_one_waits(here: Deployment) -> None:
    """A canary that nobody takes costs the others no time; those without letters are left alone."""
    bury(here, "first", "second")
    worker = Worker(here)
    names = [*registry.names()]

    done = {
        each.provider: each.end
        for each in Replayer(here.engine, clock=worker.clock, sleep=worker.sleep).run(names)
    }

    assert done == {**dict.fromkeys(names, "done")}
    assert in_line(here) == ["second"]


def upkeep(here: Deployment, task: str, **env: str) -> Any:
    """What a task of beat's returns in a process of its own."""
    code = f"import json; from tasks.letters import {task}; print(json.dumps({task}()))"
    roles = {f"NARROWS_{role}_URL": here.url for role in ("STATE", "BROKER", "RESULT", "CACHE")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**roles, **env}, cwd=CHECKOUT, capture_output=True, check=True
    )
    return json.loads(done.stdout)


def test_what_beat_starts_replays_and_ends_before_its_time_limit(here: Deployment) -> None:
    """Nobody takes the canary: that is left to the next hour, and no other message follows."""
    bury(here, "first", "second")
    short = {"NARROWS_TASK_TIME_LIMIT": "6", f"NARROWS_PROVIDERS__{NAME.upper()}__TOTAL_TIMEOUT": "5"}

    assert upkeep(here, "replay_dead_letters", **short) == {
        NAME: {"end": "canary_waits", "outcomes": {"parked": 1}}
    }
    assert in_line(here) == ["first"]
    assert here.engine.state.llen("upkeep") == 0


def test_what_beat_starts_exports_old_letters_and_exhausted_ones(here: Deployment, tmp_path: Path) -> None:
    """Those of a day ago and more; without a place for them nothing is done."""
    bury(here, "old", failed_at="2026-01-01T00:00:00.000Z")
    bury(here, "exhausted", code="exhausted", failed_at=iso(time.time() - 90_000))
    bury(here, "fresh", failed_at=iso(time.time() - 90_000))
    here.engine.state.rpush(
        keys("unroutable").dlq, letter("strange", failed_at="2026-01-01T00:00:00.000Z").as_json()
    )

    assert upkeep(here, "export_dead_letters") == {}
    exported = upkeep(here, "export_dead_letters", NARROWS_EXPORT_TO=f"file://{tmp_path}")

    assert exported == {NAME: 2, "unroutable": 1}
    assert listed(here) == ["fresh"]
    assert len([*tmp_path.rglob("*.jsonl.gz")]) == 2


def test_a_run_that_ran_out_of_time_goes_on_in_another_message(here: Deployment) -> None:
    """So an hour's letters need not fit into one task's time limit."""
    bury(here, "first", "second")
    short = {"NARROWS_TASK_TIME_LIMIT": "0.3", f"NARROWS_PROVIDERS__{NAME.upper()}__TOTAL_TIMEOUT": "0.2"}

    assert upkeep(here, "replay_dead_letters", **short)[NAME]["end"] == "time"
    assert here.engine.state.llen("upkeep") == 1


def test_one_providers_broken_key_keeps_no_other_back(here: Deployment) -> None:
    """Something else lies where its lease should; the others are served."""
    bury(here, "first", "second")
    broken = next(name for name in registry.names() if name != NAME)
    here.engine.state.rpush(keys(broken).dlq, letter("x", provider=broken).as_json())
    here.engine.state.rpush(keys(broken).replaying, "no lease")
    worker = Worker(here)

    done = Replayer(here.engine, clock=worker.clock, sleep=worker.sleep).run([broken, NAME])

    assert [each.end for each in done] == ["redis", "done"]


HOSTILE = {"code": ["x"]}, {"id": "\ud800x"}, {"failed_at": "9999-12-31T23:59:59-23:59"}, {"replays": "x"}


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("changed", HOSTILE, ids=repr)
def test_a_letter_that_anybody_may_have_written_keeps_no_other_back(
    here: Deployment, tmp_path: Path, changed: dict[str, Any]
) -> None:
    """Neither from its replay nor from its export."""
    bad = json.loads(letter("evil", kwargs={}).as_json()) | changed
    here.engine.state.rpush(AT.dlq, json.dumps(bad), "[" * 100_000)
    bury(here, "good")

    replayed = replay(here, Worker(here))
    here.engine.state.rpush(AT.dlq, json.dumps(bad))
    bury(here, "late")
    exported = upkeep(
        here, "export_dead_letters", NARROWS_EXPORT_TO=f"file://{tmp_path}", NARROWS_EXPORT_AFTER="60"
    )

    assert replayed.end == "done"
    assert replayed.outcomes["parked"] >= 1
    assert exported[NAME] >= 1
    found: Any = here.engine.state.lrange(AT.dlq, 0, -1)
    assert b'"id":"late"' not in b"".join(found)


class Broken:
    """Letters that nobody can read, whatever we think we can."""

    def __len__(self) -> int:
        """One is there."""
        return 1

    def pages(self, size: int = 100) -> Any:
        """None can be had."""
        yield from ([] for _ in range(size // 0))

    def replay(self, raws: Any, *, by: str) -> list[str]:
        """Never asked for."""
        raise AssertionError(raws, by)


def test_one_providers_letters_that_break_us_keep_no_others_back(here: Deployment) -> None:
    """It is told of that provider alone."""
    bury(here, "one")
    worker = Worker(here)
    replayer = Replayer(
        here.engine,
        letters=lambda name: here.engine.dead_letters(name) if name == NAME else Broken(),
        clock=worker.clock,
        sleep=worker.sleep,
    )

    done = {each.provider: each.end for each in replayer.run(["atlantis", NAME])}

    assert done == {"atlantis": "error", NAME: "done"}


@pytest.mark.parametrize("deed", ["discard", "edit"])
def test_a_canary_whose_new_letter_a_person_handled_did_not_come_through(here: Deployment, deed: str) -> None:
    """That the letter is not to be found is no sign that the call went well."""
    bury(here, "one", "two")
    assert replay(here, Worker(here, lambda _: "dead"), patience=0.0).end == "canary_waits"
    Worker(here, lambda _: "dead").sleep(0.0)
    letters = here.engine.dead_letters(NAME)
    raw = next(raw for page in letters.pages() for raw in page if b'"one"' in raw)
    if deed == "discard":
        letters.remove([raw], by="ann", action="discard")
    else:
        assert letters.edit(raw, ["1012650001"], {"limit": 7}, by="ann")

    sight = Canary(here.engine.state, NAME).look()

    assert sight.word == "failed"
    assert Canary(here.engine.state, NAME).look().word == "none"
