"""``python -m tests.chaos``: is anything lost or doubled when everything is killed? Exits with 1 if so.

Two workers of ours and two of Celery alone make the same calls at a steady rate, while a random worker of
each is killed every 3 seconds, all connections are killed, and Valkey is killed and started again. A ledger
outside of Redis tells what became of each call.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.load import Load, calls
from tests.chaos.report import Outcome, table
from tests.chaos.sides import Narrows, PlainCelery
from tests.chaos.storm import Plan, Storm
from tests.fleet import Ground

FULL = Plan()
SHORT = Plan(calls=300, resets=1, crashes=1, lease=8.0, drain=40.0)
EVERY = 10.0
TAKEN_WITHIN = 45.0


def main() -> int:
    """Run it as the command line says; the process's exit code."""
    given = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    given.add_argument("--short", action="store_true", help="a tenth of it, in less than a minute")
    plan = SHORT if given.parse_args().short else FULL
    logging.getLogger("narrows").setLevel(logging.CRITICAL)  # the supervisor's view of what we do here
    folder = Path(tempfile.mkdtemp(prefix="narrows-chaos-"))
    try:
        return run(plan, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(plan: Plan, folder: Path) -> int:
    """Both sides through the storm of *plan*."""
    say(f"{plan.calls:,} calls on each side, {plan.rate:g} in each second")
    with (
        Ground(appendfsync="always") as ground,
        Narrows(folder, ground, latency=plan.latency, lease=plan.lease) as narrows,
        PlainCelery(folder, ground, latency=plan.latency) as celery,
    ):
        sides = (narrows, celery)
        made = [calls(plan.calls) for _ in sides]
        loads = [Load(what, side.enqueue, rate=plan.rate) for what, side in zip(made, sides, strict=True)]
        for load in loads:
            load.start()
        storm = Storm(plan=plan, valkey=ground.valkey, stacks=(narrows.stack, celery.stack))
        storm.rage(told=lambda text: say(f"{text}  ended: {narrows.ended} and {celery.ended}"))
        drain(plan, loads, narrows, celery)
        for load in loads:
            load.stop()
        outcomes = [
            side.outcome(what, load.taken, load.refused)
            for side, what, load in zip(sides, made, loads, strict=True)
        ]
        left = narrows.left
        lost = narrows.lost(loads[0].taken)
    say("", table(*outcomes), f"done on each side: {storm.happened}")
    say(*(f"lost: {each}" for each in lost[:5]))
    return verdict(plan, outcomes[0], left)


def drain(plan: Plan, loads: list[Load], narrows: Narrows, celery: PlainCelery) -> None:
    """Until all calls were taken and have ended, or nothing happens any more, or the time is up."""
    deadline = time.monotonic() + plan.drain
    last, since = (0, 0), time.monotonic()
    while time.monotonic() < deadline:
        now = (narrows.ended, celery.ended)
        if now != last:
            last, since = now, time.monotonic()
        quiet = time.monotonic() - since > EVERY / 2
        if all(load.done for load in loads) and narrows.left == 0 and quiet and celery.queued == 0:
            return
        time.sleep(0.5)


def verdict(plan: Plan, ours: Outcome, left: int) -> int:
    """0 when every call of ours was taken and ended once; what is wrong is said."""
    wrong = {
        "calls were not taken": plan.calls - ours.calls,
        "calls were lost": ours.lost,
        "calls ended twice": ours.ended_twice,
        "records are left": left,
        f"seconds to recover, and {TAKEN_WITHIN:g} promised": round(ours.silence)
        * (ours.silence > TAKEN_WITHIN),
    }
    for what, count in wrong.items():
        if count:
            say(f"broken: {count} {what}")
    return int(any(wrong.values()))


def say(*lines: str) -> None:
    """On standard output, at once."""
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
