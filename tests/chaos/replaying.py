"""The storm over dead letters that are replayed, while the process that does it is killed five times.

The letters lie in the list as finished calls left them; one worker runs calls meanwhile. Afterwards every
letter must be in exactly one place: in the list, in line, or answered. The replaying process's memory is
looked at from outside, and the provider says whether more calls came than it takes.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from tests.chaos import revenant
from tests.chaos.load import calls
from tests.chaos.replay_findings import Replays
from tests.chaos.talk import broken, say
from tests.chaos.tally import Tally
from tests.chaos.witness import Witness
from tests.fleet import Fleet, Ground, until
from worker.keys import keys
from worker.letters.letter import DeadLetter, iso, letter_of

__all__ = ["REPLAYING", "Replaying", "run"]

NAME = revenant.REVENANT.name
AT = keys(NAME)
REPLAYS = f"from {revenant.__name__} import replay; replay()"
PAGE = 1000
REFUSED_OF = 100
"""Of so many letters, one is of a call that was refused: it must stay where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """How many letters, and after how many of them the process is killed.

    Attributes:
        kills: All within the first *early* share, so that one run has most of them and its memory is seen.
    """

    letters: int = 100_000
    kills: int = 5
    early: float = 0.4
    lasts: float = 240.0

    def moments(self, chance: random.Random) -> list[int]:
        """How many letters each run moves before it is killed; the first one none but the canary."""
        each = round(self.letters * self.early / self.kills)
        return [1, *(chance.randrange(1, each) for _ in range(self.kills - 1))]


REPLAYING = {"full": Replaying(), "short": Replaying(letters=5_000, lasts=60.0)}


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was seen from outside while letters were replayed.

    Attributes:
        grown: Bytes that a process grew by, at most, after its first letters.
        queued: Messages in the broker at most.
        kills: Processes that were killed, the last one on the monotonic clock at *killed*.
        recovery: Seconds at most from a kill until the next process had moved a letter.
    """

    grown: int = 0
    queued: int = 0
    kills: int = 0
    killed: float | None = None
    recovery: float = 0.0
    ends: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run(plan: Replaying, folder: Path) -> bool:  # noqa: ARG001 - as the other storms
    """Whether everything held."""
    say(
        "",
        f"{plan.letters:,} dead letters are replayed; who does it is killed {plan.kills} times",
    )
    witness = Witness(NAME, latency=0.0)
    with Ground(players=[witness]) as ground, ground.client() as redis:
        ids = bury(redis, plan.letters)
        with Fleet(ground, workers=1, concurrency=16, include=revenant.__name__):
            seen = replay(plan, redis)
        found = Replays.of(
            ids,
            listed=_listed(redis),
            standing=_standing(redis),
            answered=Counter(visit.call for visit in witness.visits),
            arrivals=[visit.at for visit in witness.visits],
            rate=revenant.RATE,
        )
    say("", found.table(grown=seen.grown, queued=seen.queued, seconds=seen.seconds))
    held = not broken(
        found.wrong(kept=plan.letters // REFUSED_OF, grown=seen.grown, queued=seen.queued, ends=seen.ends)
    )
    tally(len(ids), found, seen, held=held).keep()
    return held


def tally(letters: int, found: Replays, seen: Seen, *, held: bool) -> Tally:
    """What the summary tells."""
    return Tally(
        storm="replaying",
        faults={"replays killed": seen.kills},
        calls=letters,
        once=letters - found.lost - found.doubled,
        lost=found.lost,
        doubled=found.doubled,
        recovery=seen.recovery,
        since="from the end of a replay until the next one has moved a letter",
        held=held,
    )


def bury(redis: Redis, count: int) -> list[str]:
    """Ids of so many letters, oldest first, in the list as finished calls leave them."""
    now, ids = time.time(), [call.task_id for call in calls(count)]
    for start in range(0, count, PAGE):
        page = ids[start : start + PAGE]
        redis.rpush(
            AT.dlq, *(_letter(each, start + n, now - count + start + n) for n, each in enumerate(page))
        )
    return ids


def _letter(letter_id: str, number: int, failed: float) -> str:
    refused = number % REFUSED_OF == 0
    return DeadLetter(
        id=letter_id,
        task=revenant.visit.name,
        args=[letter_id],
        kwargs={},
        provider=NAME,
        operation="visit",
        code="upstream_rejected" if refused else "upstream_error",
        status=422 if refused else 503,
        error="revenant answered",
        trace_id=letter_id,
        payload_excerpt=f"call='{letter_id}'",
        attempts=5,
        replays=0,
        first_failed_at=iso(failed - 300),
        failed_at=iso(failed - 200),
        retryable=not refused,
    ).as_json()


def replay(plan: Replaying, redis: Redis) -> Seen:
    """Run after run, each but the last killed, until all that may be replayed have left."""
    seen, started = Seen(), time.monotonic()
    for moment in [*plan.moments(random.Random(1)), plan.letters]:
        until(lambda: not redis.exists(AT.replaying))  # the lease of the one that was killed
        with _process() as process:
            _watch(plan, redis, process, moment, seen)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.0 if moment < plan.letters else 5.0)
            if process.poll() is None:
                process.kill()
                seen.kills, seen.killed = seen.kills + 1, time.monotonic()
                say(f"{time.monotonic() - started:5.1f} s  killed; letters left: {redis.llen(AT.dlq):,}")
            out = process.communicate()[0]
            say(*([f"{time.monotonic() - started:5.1f} s  ended: {out.strip()}"] if out else []))
        if out:
            seen.ends.append(out.strip())
    seen.seconds = time.monotonic() - started
    return seen


def _watch(plan: Replaying, redis: Redis, process: subprocess.Popen[str], moment: int, seen: Seen) -> None:
    """Look until *moment* letters more have left, or the process has ended."""
    deadline, first, before = time.monotonic() + plan.lasts, int(redis.llen(AT.dlq)), 0
    while process.poll() is None and time.monotonic() < deadline:
        left = int(redis.llen(AT.dlq))
        if seen.killed and left < first:
            seen.recovery, seen.killed = max(seen.recovery, time.monotonic() - seen.killed), None
        if first - left >= moment:
            return
        seen.queued = max(seen.queued, int(redis.llen(NAME)))
        if first - left >= PAGE // 2:
            before = before or _resident(process.pid)
            seen.grown = max(seen.grown, _resident(process.pid) - before)
        time.sleep(0.005)


@contextmanager
def _process() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", REPLAYS], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _listed(redis: Redis) -> list[str]:
    found: Any = redis.lrange(AT.dlq, 0, -1)
    return [str(letter_of(raw).get("id")) for raw in found]


def _standing(redis: Redis) -> list[str]:
    """Ids of the calls that have not ended, once for each index that has them."""
    indexes = (AT.queued, AT.running, AT.waiting, AT.parked, AT.slow)
    found: list[Any] = [each for index in indexes for each in redis.zrange(index, 0, -1)]
    return [each.decode() for each in found]
