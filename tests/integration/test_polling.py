"""Open submissions are asked about in turn, once a round, by one run at a time, and nothing is missed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisGone

from tasks.city311.announcer import Announcer
from tasks.city311.poller import Poller
from tests.fleet import until
from tests.sandbox import TOKEN, Sandbox
from worker.errors import (
    BucketEmpty,
    CallError,
    CredentialsAside,
    CredentialsRefused,
    OthersFirst,
    ProviderCooling,
    ProviderThrottled,
    ProviderUnavailable,
    QuotaSpent,
)
from worker.keys import keys
from worker.lease import Lease
from worker.submissions.ledger import Ledger
from worker.submissions.submission import Accepted, Submission

NAME = "nyc311"
CHECKOUT = Path(__file__).resolve().parents[2]


class City:
    """What a city says of each number, and whom it was asked about."""

    def __init__(self) -> None:
        self.statuses: dict[str, str | CallError | None] = {}
        self.asked: list[str] = []
        self.before: Callable[[], None] = lambda: None

    def __call__(self, number: str) -> Mapping[str, Any] | None:
        self.before()
        self.asked.append(number)
        said = self.statuses.get(number, "open")
        if isinstance(said, CallError):
            raise said
        if said is None:
            return None
        return {"external_id": number, "external_status": said, "closed": said == "closed"}


class Ground:
    """A ledger with open submissions, a city, and whoever listens."""

    def __init__(self, state: Redis) -> None:
        self.state, self.ledger, self.city = state, Ledger(state, state, NAME), City()
        self.heard: list[tuple[str, str | None, str]] = []
        self.slept: list[float] = []

    def accept(self, *numbers: str, at: int | None = None) -> None:
        """Let the city have taken requests under these *numbers*; their ids are ``id-<number>``."""
        ledger = self.ledger if at is None else Ledger(self.state, self.state, NAME, now=lambda: at)
        for number in numbers:
            taken = Accepted(external_id=number, external_status="open", settled=False)
            ledger.accepted(f"id-{number}", taken, {"agency": "DOT"})
        self.tick()  # a round does not ask about what is taken as it begins

    def hear(self, submission: Submission, new: str) -> None:
        """Note a change."""
        self.heard.append((submission.id, submission.external_status, new))

    def poller(self, **changed: Any) -> Poller:
        """A run that loses no time between two calls."""
        parts: dict[str, Any] = {
            "state": self.state,
            "ledger": self.ledger,
            "lease": Lease(self.state, keys(NAME).polling),
            "check": self.city,
            "announce": self.hear,
            "sleep": self.slept.append,
        }
        return Poller(**{**parts, **changed})

    def tick(self) -> None:
        """Wait for the next moment of the server's clock, which counts milliseconds here."""
        began = _now(self.state)
        until(lambda: _now(self.state) > began + 1)

    @property
    def round(self) -> bool:
        """Whether a round is unfinished."""
        return bool(self.state.exists(keys(NAME).round))

    @property
    def held(self) -> bool:
        """Whether somebody has the lease."""
        return bool(self.state.exists(keys(NAME).polling))


def _now(state: Redis) -> int:
    moment: Any = state.time()
    return int(moment[0] * 1000 + moment[1] // 1000)


@pytest.fixture
def ground(state: Redis) -> Ground:
    """Nothing submitted yet."""
    return Ground(state)


def test_every_open_submission_is_asked_about_once_a_round(ground: Ground) -> None:
    """300 ms apart, and nothing is left behind: no lease, no round."""
    ground.accept("a", "b", "c")

    run = ground.poller().run()

    assert sorted(ground.city.asked) == ["a", "b", "c"]
    assert (run.asked, run.changed, run.failed, run.ended) == (3, 0, 0, "done")
    assert ground.slept == [0.3, 0.3, 0.3]
    assert not ground.round
    assert not ground.held


def test_nothing_open_is_nothing_to_do(ground: Ground) -> None:
    """A round of none is done."""
    assert ground.poller().run().ended == "done"
    assert ground.city.asked == []


def test_the_one_asked_about_longest_ago_comes_first(ground: Ground) -> None:
    """Those that were never asked about before all others."""
    ground.accept("a", "b", "c")
    for number in ("c", "a"):
        ground.ledger.observed(f"id-{number}", None)
        ground.tick()

    ground.poller().run()

    assert ground.city.asked == ["b", "c", "a"]


def test_a_change_is_announced_and_remembered(ground: Ground) -> None:
    """With what it was before; the next round says nothing of it."""
    ground.accept("a", "b")
    ground.city.statuses["a"] = "in_progress"

    first = ground.poller().run()
    ground.tick()
    second = ground.poller().run()

    assert ground.heard == [("id-a", "open", "in_progress")]
    assert (first.changed, second.changed) == (1, 0)
    known = ground.ledger.get("id-a")
    assert known is not None
    assert known.external_status == "in_progress"


def test_what_is_closed_is_not_asked_about_any_more(ground: Ground) -> None:
    """Its last change was announced."""
    ground.accept("a", "b")
    ground.city.statuses["a"] = "closed"

    ground.poller().run()
    ground.city.asked.clear()
    ground.tick()
    ground.poller().run()

    assert ground.heard == [("id-a", "open", "closed")]
    assert ground.city.asked == ["b"]
    assert ground.ledger.counts()["open"] == 1


def test_a_change_that_could_not_be_announced_is_announced_by_the_next_run(ground: Ground) -> None:
    """It is remembered only after it was said, so a worker that is killed in between loses nothing."""
    ground.accept("a")
    ground.city.statuses["a"] = "closed"

    def gone(*_: Any) -> None:
        raise RedisGone

    with pytest.raises(RedisGone):
        ground.poller(announce=gone).run()
    left = ground.round
    ground.poller().run(resume=True)

    assert left
    assert ground.heard == [("id-a", "open", "closed")]


@pytest.mark.parametrize("why", [None, ProviderUnavailable()])
def test_one_that_cannot_be_asked_about_does_not_stop_the_others(
    ground: Ground, why: CallError | None
) -> None:
    """It had its turn, and comes again in the next round; a new number may not be found yet."""
    ground.accept("a", "b", "c")
    ground.city.statuses["a"] = why

    run = ground.poller().run()

    assert sorted(ground.city.asked) == ["a", "b", "c"]
    assert run.ended == "done"
    assert run.failed == (0 if why is None else 1)
    assert ground.heard == []
    assert ground.ledger.counts()["open"] == 3


def _breaker_open() -> CallError:
    from worker.breaker import BreakerOpen

    return BreakerOpen(wait=30.0)


@pytest.mark.parametrize(
    ("why", "ended", "goes_on"),
    [
        (_breaker_open, "waiting", True),
        (lambda: ProviderCooling(wait=30.0), "waiting", True),
        (ProviderThrottled, "waiting", True),
        (lambda: OthersFirst(wait=1.0), "waiting", True),
        (lambda: QuotaSpent(wait=1.0), "stopped", False),
        (lambda: CredentialsAside(wait=1.0), "stopped", False),
        (CredentialsRefused, "stopped", False),
    ],
)
def test_a_provider_that_is_not_to_be_asked_ends_the_run(
    ground: Ground,
    why: Callable[[], CallError],
    ended: str,
    goes_on: bool,  # noqa: FBT001
) -> None:
    """After one question; whoever was not asked about keeps its turn. Some of it passes within a minute."""
    ground.accept("a", "b")
    ground.city.statuses = {"a": why(), "b": why()}

    run = ground.poller().run()

    assert (len(ground.city.asked), run.ended, run.asked) == (1, ended, 0)
    assert ground.round is goes_on
    assert not ground.held
    assert [each.polled_at for each in ground.ledger.open()] == [0.0, 0.0]


def test_a_call_waits_for_its_turn(ground: Ground) -> None:
    """A bucket that is empty fills in a moment."""
    ground.accept("a")
    empty = [BucketEmpty(wait=0.2), BucketEmpty(wait=5.0)]

    def fill() -> None:
        if empty:
            raise empty.pop(0)

    ground.city.before = fill

    run = ground.poller().run()

    assert (run.ended, run.asked) == ("done", 1)
    assert ground.slept == [0.2, 1.0, 0.3]


def test_a_run_ends_itself_in_time_and_another_goes_on_where_it_was(ground: Ground) -> None:
    """Nobody is asked about twice in a round."""
    ground.accept("a", "b", "c", "d")
    seconds = iter(range(100))

    first = ground.poller(longest=3.0, clock=lambda: float(next(seconds))).run()
    asked = len(ground.city.asked)
    second = ground.poller().run(resume=True)

    assert (first.ended, second.ended) == ("later", "done")
    assert 0 < asked < 4
    assert sorted(ground.city.asked) == ["a", "b", "c", "d"]
    assert not ground.round


def test_a_run_that_is_to_go_on_begins_no_round(ground: Ground) -> None:
    """A message that comes late finds nothing to do."""
    ground.accept("a")

    assert ground.poller().run(resume=True).ended == "done"
    assert ground.city.asked == []


def test_two_runs_never_work_at_once(ground: Ground) -> None:
    """The second leaves at once, and the first one's round as it is."""
    ground.accept("a", "b")
    seconds: list[Poller] = []
    ground.city.before = lambda: seconds.append(ground.poller(check=City()).run())

    first = ground.poller().run()

    assert [each.ended for each in seconds] == ["held", "held"]
    assert (first.ended, first.asked) == ("done", 2)


def test_a_run_that_lost_its_lease_stops(ground: Ground) -> None:
    """It stood still for so long that another has taken over: one call at most is made beside that."""
    ground.accept("a", "b", "c")

    def taken_over() -> None:
        ground.state.set(keys(NAME).polling, "another's")

    ground.city.before = taken_over

    run = ground.poller().run()

    assert (run.ended, run.asked) == ("held", 1)
    assert ground.state.get(keys(NAME).polling) == b"another's"
    assert ground.round


def test_what_is_accepted_during_a_round_is_asked_about_too(ground: Ground) -> None:
    """In this one or in the next, and not twice in one."""
    ground.accept("a")
    ground.city.before = lambda: ground.accept("b")

    ground.poller().run()

    assert ground.city.asked.count("a") == 1
    assert ground.city.asked.count("b") <= 1


def test_the_channel_hears_of_a_change(ground: Ground) -> None:
    """As JSON, with the submission's own id."""
    ground.accept("a")
    with ground.state.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(keys(NAME).status)
        until(lambda: ground.state.pubsub_numsub(keys(NAME).status)[0][1])
        ground.city.statuses["a"] = "closed"

        ground.poller(announce=Announcer(state=ground.state, provider=NAME, send=_never)).run()
        heard = until(listener.get_message)

    assert json.loads(heard["data"]) == {
        "submission_id": "id-a",
        "external_id": "a",
        "old": "open",
        "new": "closed",
    }


def test_a_task_hears_of_a_change_by_name(ground: Ground) -> None:
    """Before the channel does: it must not miss one."""
    ground.accept("a")
    sent: list[tuple[str, Any]] = []
    ground.city.statuses["a"] = "closed"
    announcer = Announcer(
        state=ground.state,
        provider=NAME,
        send=lambda name, **options: sent.append((name, options["kwargs"])),
        task="billing.status_changed",
    )

    ground.poller(announce=announcer).run()

    said = {"submission_id": "id-a", "external_id": "a", "old": "open", "new": "closed"}
    assert sent == [("billing.status_changed", said)]


def _never(*_: Any, **__: Any) -> None:
    raise AssertionError("no task was named")


KILLED = """
import sys
from redis import Redis
from tasks.city311.poller import Poller
from worker.keys import keys
from worker.lease import Lease
from worker.submissions.ledger import Ledger
state = Redis.from_url(sys.argv[1])
def check(number):
    print(number, flush=True)
    return {"external_status": "in_progress", "closed": False}
Poller(
    state=state, ledger=Ledger(state, state, "nyc311"),
    lease=Lease(state, keys("nyc311").polling, seconds=1.5),
    check=check, announce=lambda *_: None, between=0.05,
).run()
"""


def test_a_run_that_is_killed_is_taken_up_again(ground: Ground, redis_url: str) -> None:
    """Its lease runs out; who was asked about is not asked again in the round, all others are."""
    numbers = [f"n{each:02d}" for each in range(40)]
    ground.accept(*numbers)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, redis_url], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        asked = [child.stdout.readline().strip() for _ in range(5)]
        child.send_signal(signal.SIGKILL)
        asked += child.stdout.read().split()

    blocked = ground.poller().run(resume=True).ended
    until(lambda: not ground.held)
    run = ground.poller().run(resume=True)

    assert (blocked, run.ended) == ("held", "done")
    assert sorted({*asked, *ground.city.asked}) == numbers
    assert len(set(asked) & set(ground.city.asked)) <= 1  # the one whose answer was on its way


@pytest.fixture
def city_and_env(redis_url: str) -> Iterator[tuple[Sandbox, dict[str, str]]]:
    """A city on loopback, and the settings of a worker that asks it."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    roles = ("BROKER", "STATE", "CACHE", "RESULT")
    with Sandbox() as sandbox:
        yield (
            sandbox,
            {
                **bare,
                **{f"NARROWS_{role}_URL": redis_url for role in roles},
                "NARROWS_PROVIDERS__NYC311__BASE_URL": sandbox.base_url(NAME),
                "NARROWS_PROVIDERS__NYC311__API_KEY": TOKEN,
                "NARROWS_PROVIDERS__NYC311__TOTAL_TIMEOUT": "1.5",
                "NARROWS_TASK_TIME_LIMIT": "5",
            },
        )


def ran(env: dict[str, str], call: str) -> Any:
    """What *call* returns in a process with these settings."""
    imported = "from tasks.polling import *; from tasks.upkeep import check_health; import json"
    code = f"{imported}; print(json.dumps({call}))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def filed(sandbox: Sandbox, ground: Ground, count: int) -> list[str]:
    """So many requests that the city has, open in the ledger."""
    numbers = [sandbox.nyc311.files.file(str(each), "DOT").number for each in range(count)]
    ground.accept(*numbers)
    return numbers


@pytest.mark.parametrize("contract", ["handbook", "apim"])
def test_the_task_asks_the_city_through_the_gate(
    ground: Ground, city_and_env: tuple[Sandbox, dict[str, str]], contract: str
) -> None:
    """In whichever interface the deployment has chosen."""
    sandbox, env = city_and_env
    first, second = filed(sandbox, ground, 2)
    sandbox.nyc311.move(second, "closed")

    found = ran({**env, "NARROWS_PROVIDERS__NYC311__CONTRACT": contract}, 'poll_service_requests("nyc311")')

    assert found == {"asked": 2, "changed": 1, "failed": 0, "ended": "done"}
    assert ground.ledger.counts()["open"] == 1
    known = ground.ledger.get(f"id-{first}")
    assert known is not None
    assert known.external_status == "open"
    assert known.polled_at > 0


def test_what_is_left_goes_on_in_a_new_message(
    ground: Ground, city_and_env: tuple[Sandbox, dict[str, str]]
) -> None:
    """A run is well below the task's time limit; the message stands in upkeep's queue."""
    sandbox, env = city_and_env
    filed(sandbox, ground, 12)

    found = ran(env, 'poll_service_requests("nyc311")')

    assert found["ended"] == "later"
    assert 0 < found["asked"] < 12
    (message,) = ground.state.lrange("upkeep", 0, -1)
    assert json.loads(message)["headers"]["task"] == "nyc311.poll_service_requests"
    assert ground.round
    assert not ground.held


def test_beats_message_starts_a_run_for_each_city(
    ground: Ground, city_and_env: tuple[Sandbox, dict[str, str]]
) -> None:
    """So that a slow one holds up no other."""
    _, env = city_and_env

    found = ran(env, "poll_service_requests()")

    assert found == {"started": ["nyc311"]}
    assert ground.state.llen("upkeep") == 1


def test_the_look_at_the_fleet_takes_up_what_nobody_works_on(
    ground: Ground, city_and_env: tuple[Sandbox, dict[str, str]]
) -> None:
    """Not when a run is at it, nor when there is no round."""
    _, env = city_and_env
    ran(env, "check_health()")
    none = ground.state.llen("upkeep")
    ground.state.set(keys(NAME).round, 1)
    ground.state.set(keys(NAME).polling, "somebody", px=60_000)
    ran(env, "check_health()")
    busy = ground.state.llen("upkeep")
    ground.state.delete(keys(NAME).polling)

    ran(env, "check_health()")

    assert (none, busy, ground.state.llen("upkeep")) == (0, 0, 1)
