"""``python -m tests.soak``: twenty minutes at 80 % of the measured capacity, with mishaps; 1 if not flat.

The first worker is never killed; its memory is what is watched. Samples go to ``build/soak.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from redis import RedisError

from tests.chaos.talk import broken, say
from tests.fleet import Fleet, Ground, until
from tests.soak.mishaps import Mishaps
from tests.soak.plan import SOAKS, Soak
from tests.soak.samples import Sample, drift, least, sample

ROOT = Path(__file__).resolve().parents[2]
RESULTS_LIVE = 120
MOST_RSS, MOST_STATE, MOST_FILES, MOST_THREADS = 5.0, 3.0, 8, 2
"""MB, MB, and how many: more is a leak. Connections and their threads come and go with the mishaps."""

SETTINGS = {
    "NARROWS_PROVIDERS__MAPBOX__RATE": "5000",
    "NARROWS_PROVIDERS__MAPBOX__BURST": "5000",
    "NARROWS_PROVIDERS__NYC_OPEN_DATA__RATE": "5000",
    "NARROWS_PROVIDERS__NYC_OPEN_DATA__BURST": "5000",
    "NARROWS_PROVIDERS__OPENWEATHER__DAILY_QUOTA": "100000",
    "NARROWS_RESULT_EXPIRES": str(RESULTS_LIVE),
    "NARROWS_LOG_LEVEL": "ERROR",
}


def main() -> int:
    """Soak as the command line says; the process's exit code."""
    given = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    given.add_argument("--short", action="store_true", help="three minutes, to see that it works")
    plan = SOAKS["short" if given.parse_args().short else "full"]
    with Ground() as ground:
        os.environ |= SETTINGS
        with Fleet(ground, workers=plan.workers, concurrency=16, env=SETTINGS) as fleet:
            return 1 if soak(plan, ground, fleet) else 0


def soak(plan: Soak, ground: Ground, fleet: Fleet) -> bool:
    """Whether anything grew, or stayed behind."""
    capacity = measured(plan, ground)
    rate = plan.share * capacity
    say(f"capacity {capacity:.0f} calls a second; {rate:.0f} a second for {plan.lasts / 60:.0f} minutes")
    watched = fleet.pids[0]
    load = traffic(rate, plan.lasts)
    try:
        with Mishaps(ground, fleet, every=plan.mishap) as mishaps:
            samples = watch(plan, ground, watched, load)
        said = json.loads(load.communicate(timeout=60)[0])
    finally:
        load.kill()
    began = time.monotonic()
    until(lambda: not _left(ground, watched), within=plan.drain, told=lambda: str(sample(0, ground, watched)))
    say(f"drained in {time.monotonic() - began:.0f} s; mishaps: {dict(mishaps.seen)}")
    say(f"calls: {said['taken']:,} taken, {said['refused']:,} refused, letters {samples[-1].letters:,}")
    span: dict[str, float] = {"begins": plan.warm_up, "ends": plan.lasts, "window": plan.window}
    grown = {
        "MB that the worker grew": drift(samples, "rss", **span),
        "MB that the state Redis grew": least(samples, "state", **span),
        "files that the worker holds more": drift(samples, "files", **span),
        "threads that it has more": drift(samples, "threads", **span),
    }
    say(*(f"{value:8.2f} {what}" for what, value in grown.items()))
    most = (MOST_RSS, MOST_STATE, MOST_FILES, MOST_THREADS)
    wrong = {
        what: value if value > top else 0 for (what, value), top in zip(grown.items(), most, strict=True)
    }
    wrong["times that the watched worker was started again"] = fleet.pids[0] != watched
    wrong["of the last calls have no end"] = len(endless(ground, said["last"]))
    left = left_behind(ground)
    say(*(f"left behind: {each}" for each in left[:5]))
    wrong["records left behind"] = len(left)
    return broken(wrong)


def measured(plan: Soak, ground: Ground) -> float:
    """Calls a second that come through when as many are enqueued as can be."""
    load, began = traffic(0, plan.flood), time.monotonic()
    taken = json.loads(load.communicate(timeout=plan.flood + 60)[0])["taken"]
    until(lambda: not _left(ground, os.getpid()), within=plan.drain + taken)
    return float(taken / (time.monotonic() - began))


def traffic(rate: float, seconds: float) -> subprocess.Popen[bytes]:
    """The process that enqueues."""
    command = [sys.executable, "-m", "tests.soak.traffic", str(rate), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def watch(plan: Soak, ground: Ground, pid: int, load: subprocess.Popen[bytes]) -> Sequence[Sample]:
    """Samples for as long as the load lasts."""
    began, samples, told = time.monotonic(), list[Sample](), 0.0
    path = ROOT / "build" / "soak.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lines:
        while (at := time.monotonic() - began) < plan.lasts and load.poll() is None:
            with suppress(RedisError):  # its connection was among those that were reset
                samples.append(now := sample(at, ground, pid))
                lines.write(json.dumps(now.as_json()) + "\n")
                if at >= told:
                    say(told_of(now))
                    told += 60.0
            time.sleep(plan.every)
    return samples


def told_of(now: Sample) -> str:
    """One look in one line."""
    worker = f"{now.rss:.1f} MB, {now.files} files, {now.threads} threads"
    servers = f"state {now.state:.1f} MB, cache {now.cache:.1f} MB"
    return f"{now.at:6.0f} s  {worker}; {servers}; {now.held} held, {now.waits} wait, {now.letters} letters"


def _left(ground: Ground, pid: int) -> int:
    try:
        now = sample(0, ground, pid)
    except RedisError:
        return 1
    return now.held + now.waits


def endless(ground: Ground, ids: Sequence[str]) -> list[str]:
    """Those of *ids* whose result says that they still run or wait; an expired one has ended."""
    with ground.client() as redis:
        found: Any = redis.mget([f"celery-task-meta-{each}" for each in ids])
    return [
        each
        for each, raw in zip(ids, found, strict=True)
        if raw and json.loads(raw)["status"] not in {"SUCCESS", "FAILURE", "REVOKED"}
    ]


def left_behind(ground: Ground) -> list[str]:
    """Records that nothing takes away; one of which copies may lie about stays for a while, and expires."""
    with ground.client() as redis:
        found: list[Any] = list(redis.scan_iter("narrows:*:call:*", count=1000))
        return [f"{key.decode()}: {redis.hgetall(key)}" for key in found if redis.pttl(key) == -1]


if __name__ == "__main__":
    sys.exit(main())
