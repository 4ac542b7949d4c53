"""``python -m bench.capacity``: what one Redis carries, as JSON; the numbers of docs/scaling.md.

Counted is the server's own CPU time (``INFO cpu``), not the clock on the wall: Redis serves on one core, so
one second of it is what it has in a second, whatever else the machine does. Memory is ``used_memory``.
"""

from __future__ import annotations

import json
import platform
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redis import Redis

from tests.fleet import Fleet, Ground, until
from tests.integration.deployment import NAME, letter

if TYPE_CHECKING:
    from worker.claim import Claim

__all__ = ["main", "measured", "memory"]

CALLS = 2_000
WAITING = 5_000
PAIRS = 20_000
THREADS, WORKERS = 8, 2
IDLE = 5.0


def main() -> None:
    """Print what was measured."""
    with Ground() as ground:
        found = {"machine": platform.machine(), **measured(ground), **memory(ground)}
    print(json.dumps(found, indent=2))


def measured(ground: Ground) -> dict[str, float]:
    """Microseconds of the server's CPU: of a bare SET and GET, of begin and finish, of a whole call."""
    with ground.client() as state, ground.cache.client() as cache:
        bare = _spent(state, lambda: _threads(lambda: _pairs(state, PAIRS // THREADS))) / PAIRS
        gate = _gate()
        for _ in range(100):
            gate()
        guard = _spent(state, lambda: [gate() for _ in range(CALLS)]) / CALLS
        whole, answers, idle = _calls(ground, state, cache)
    return {
        "bare_pair_us": round(bare, 1),
        "begin_and_finish_us": round(guard, 1),
        "whole_call_us": round(whole, 1),
        "whole_call_cache_us": round(answers, 1),
        "idle_worker_us_per_second": round(idle, 1),
        "calls_per_second": round(1e6 / whole),
        "begins_and_finishes_per_second": round(1e6 / guard),
        "bare_pairs_per_second": round(1e6 / bare),
    }


def memory(ground: Ground, *, waiting: int = WAITING) -> dict[str, float]:
    """Bytes of the server for each call in line, each result, each dead letter; nothing runs meanwhile."""
    from tasks import fetch_permits
    from worker import enqueue_many
    from worker.engine import engine
    from worker.keys import keys
    from worker.letters.deadletter import DeadLetter

    lots = [(_lot(1, number),) for number in range(waiting)]
    with ground.client() as state:
        line = _grown(state, lambda: enqueue_many(fetch_permits, lots)) / waiting
        dead: list[DeadLetter] = [letter(f"letter-{number:030d}") for number in range(waiting)]
        letters = _grown(
            state, lambda: [engine().state.rpush(keys(NAME).dlq, each.as_json()) for each in dead]
        )
    return {"waiting_call_bytes": round(line), "dead_letter_bytes": round(letters / waiting)}


def _calls(ground: Ground, state: Redis, cache: Redis) -> tuple[float, float, float]:
    """The same of a call through Celery, a worker and the sandbox, and what an idle worker asks in a second.

    The last is taken off the first: a busy machine takes longer, and what is asked meanwhile is no call's.
    """
    from tasks import fetch_permits

    prefix = f"NARROWS_PROVIDERS__{NAME.upper()}__"
    env = {f"{prefix}RATE": "1000000", f"{prefix}BURST": "1000000"}
    with Fleet(ground, workers=WORKERS, env={**ground.env, **env}) as fleet:
        until(lambda: fleet.ready, 30.0)
        fetch_permits.delay("1012650001").get(timeout=30)
        time.sleep(1.0)
        rest, started = _spent(state, lambda: time.sleep(IDLE)) / IDLE, time.monotonic()
        before = _cpu(state), _cpu(cache)
        made = [fetch_permits.delay(_lot(2, number)) for number in range(CALLS)]
        until(lambda: all(state.exists(f"celery-task-meta-{one.id}") for one in made[::-50]), 300.0)
        spent, took = _cpu(state) - before[0], time.monotonic() - started
        answers = _cpu(cache) - before[1]
    return (spent - rest * took) / CALLS, answers / CALLS, rest / WORKERS


def _lot(borough: int, number: int) -> str:
    return f"{borough}{number // 9000 + 1:05d}{number % 9000 + 1:04d}"


def _gate() -> Callable[[], Any]:
    """One begin and one finish of a call that is on record."""
    from bench.guard import claims, gate_and_line

    gate, _ = gate_and_line()
    ready: list[Claim] = []

    def once() -> None:
        if not ready:
            ready.extend(claims())
        claim = ready.pop()
        _, report = gate.begin(claim)
        report.outcome = "success"
        gate.finish(report, claim, "end")

    return once


def _pairs(state: Redis, many: int) -> None:
    for number in range(many):
        state.set(f"bare:{number % 100}", "x" * 100)
        state.get(f"bare:{number % 100}")


def _threads(work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _spent(redis: Redis, work: Callable[[], object]) -> float:
    before = _cpu(redis)
    work()
    return _cpu(redis) - before


def _cpu(redis: Redis) -> float:
    """Microseconds, of the thread that serves."""
    said: dict[str, Any] = redis.info("cpu")
    return (float(said["used_cpu_user_main_thread"]) + float(said["used_cpu_sys_main_thread"])) * 1e6


def _grown(redis: Redis, work: Callable[[], object]) -> float:
    def held() -> int:
        said: dict[str, Any] = redis.info("memory")
        return int(said["used_memory"])

    before = held()
    work()
    return held() - before


if __name__ == "__main__":
    main()
