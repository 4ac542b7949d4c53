"""Round trips to Redis for each call.

What is counted: every turn of every connection of the worker, from the first call of a slice to its end, so
what a worker asks beside its calls (sweeps, looks at the lines, heartbeats) is in it. Each role has a port
of its own.

The figure is state + cache + result, less those of the same call without a guard. That is net of what our
result store saves: it writes a success without a look before it, one trip less than Celery's own. So what
our own scripts cost stands first beside it, net of nothing: begin and finish are the only trips that a
guarded call makes to the state, and a finish rides on another call's begin where there is one. The broker's
are left out of the figure and shown beside it, with the sum: no guard asks it, and how often Celery's own
loop polls it and flushes its events depends on how long a call takes.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

from bench.contender import CONTENDERS
from bench.ground import ROLES, Ground
from bench.report import Figure, median
from bench.turns import Turns
from bench.worker import Worker

__all__ = ["NAME", "measure"]

NAME = "redis_round_trips_per_guarded_call"
MEASURED = {"bare": 800, "guarded": 800, "guarded_cached": 300, "guarded_hit": 300, "handrolled": 300}
"""Calls of a slice. A worker sweeps as soon as it goes on, so a short slice would hold too many sweeps."""

QUICK = 100
ROUNDS = 2


def measure(ground: Ground) -> Figure:
    """The figure."""
    trips: dict[str, list[Counter[str]]] = {name: [] for name in MEASURED}
    with Turns(ground.valkey.port, ROLES) as turns, ExitStack() as stack:
        env = ground.env(turns.ports)
        workers = {
            name: stack.enter_context(
                Worker(CONTENDERS[name], ground, env, calls=QUICK if ground.quick else calls)
            )
            for name, calls in MEASURED.items()
        }
        for worker in workers.values():
            worker.wait()  # and its first slice opens each thread's connections
        for _ in range(1 if ground.quick else ROUNDS):
            for name, worker in workers.items():
                before = turns.counts()
                calls = worker.slice().calls
                made = turns.counts() - before
                trips[name].append(Counter({role: made[role] / calls for role in ROLES}))
    return _figure(trips)


def _figure(trips: dict[str, list[Counter[str]]]) -> Figure:
    """The guarded call's trips less the bare one's, and beside it everybody's, by role."""
    over = {
        name: [_asked(mine) - _asked(bare) for mine, bare in zip(rounds, trips["bare"], strict=True)]
        for name, rounds in trips.items()
    }
    own = [each["state"] for each in trips["guarded"]]
    beside = {"guarded, begin and finish alone, net of nothing": median(own)}
    beside |= {f"{name}, over bare": median(rounds) for name, rounds in over.items() if name != "bare"}
    everything = [
        mine.total() - bare.total() for mine, bare in zip(trips["guarded"], trips["bare"], strict=True)
    ]
    beside["guarded, over bare, with the broker's"] = median(everything)
    for name, rounds in trips.items():
        beside |= {f"{name}, {role}": median(each[role] for each in rounds) for role in ROLES}
    return Figure(name=NAME, rounds=over["guarded"], beside=beside)


def _asked(trips: Counter[str]) -> float:
    return float(trips["state"] + trips["cache"] + trips["result"])
