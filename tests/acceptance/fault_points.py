"""Kills a process at each line on the way of a submission, and has another finish what it left.

    python -m tests.acceptance.fault_points VALKEY DESK LANES [WAY…]

VALKEY is the address of a server without its database; each lane takes one of its databases for itself. First
each way is gone once, to see which lines it takes; then points are read from standard input, and each is one
process that dies there, and one that comes after it and finds what is left. One JSON object for each goes
to standard output.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, NoReturn

from celery import states

from tests.acceptance.fault_lines import Line, die_at, watch
from tests.acceptance.fault_ways import HEALING, PASSED, WAYS, Process, point_at, warm
from worker.application import app
from worker.engine import engine
from worker.submissions.submission import STATES

__all__ = ["Point", "main"]

WITHIN = 30.0
"""Seconds in which a submission must have come to its end."""


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A line in one step of one way."""

    way: str
    step: int
    line: Line

    def __str__(self) -> str:
        """``lost, asked/1/worker.runner:Runner.run:93``."""
        return f"{self.way}/{self.step}/{self.line}"

    @classmethod
    def named(cls, text: str) -> Point:
        """The point that is written so."""
        way, step, line = text.split("/")
        return cls(way, int(step), Line.named(line))


def main() -> None:
    """See what is on the ways, then kill where standard input says."""
    valkey, desk, lanes, *ways = sys.argv[1:]
    chosen, count = ways or [*WAYS], int(lanes)
    where = [(f"{valkey}/{number}", desk) for number in range(count)]
    points = set[str]()
    for found in _lanes(where, lambda number: _scouted(chosen[number::count])):
        points.update(found["points"])
        for name in found["modules"]:  # so that each of the many does not load them anew
            importlib.import_module(name)
    _say(sorted(points))
    wanted = [Point.named(text) for text in json.loads(sys.stdin.readline())]
    gc.freeze()
    for found in _lanes(where, lambda number: _killed(wanted[number::count])):
        _say(found)


def _say(found: Any) -> None:
    print(json.dumps(found), flush=True)  # noqa: T201 - what is read by who started it


def _lanes(where: Sequence[tuple[str, str]], work: Callable[[int], Iterator[Any]]) -> Iterator[Any]:
    """What processes find that *work* side by side, each with a database of its own."""
    children: list[tuple[int, int]] = []
    for number, (valkey, desk) in enumerate(where):
        out, inside = os.pipe()
        if (pid := os.fork()) == 0:
            for each in [out, *(other for _, other in children)]:
                os.close(each)  # or they would never hear that nobody listens any more
            _last(partial(_work, valkey, desk, inside, work(number)))
        os.close(inside)
        children.append((pid, out))
    heard: SimpleQueue[Any] = SimpleQueue()

    def listen(out: int) -> None:
        with os.fdopen(out) as lines:
            for line in lines:
                heard.put(json.loads(line))
        heard.put(None)

    for _, out in children:
        threading.Thread(target=listen, args=(out,), daemon=True).start()
    for _ in children:
        yield from iter(heard.get, None)
    ends = [os.waitpid(pid, 0)[1] for pid, _ in children]
    if any(ends):
        sys.exit("a lane broke")


def _work(valkey: str, desk: str, out: int, work: Iterator[Any]) -> None:
    point_at(valkey, desk)
    warm()
    for found in work:
        _write(out, found)


def _last(work: Callable[[], Any]) -> NoReturn:
    """Do this and end."""
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of the process it was forked from may be run
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _write(pipe: int, found: Any) -> None:
    said = json.dumps(found).encode() + b"\n"
    while said:
        said = said[os.write(pipe, said) :]


def _scouted(ways: Sequence[str]) -> Iterator[Any]:
    """The points of each way, and the modules that it loads."""
    for name in ways:
        seen: set[Point] = set()

        def go(name: str = name, seen: set[Point] = seen) -> dict[str, Any]:
            step = -1

            def see(line: Line) -> None:
                if step >= 0:
                    seen.add(Point(name, step, line))

            process = _process(name, f"scout of {name}", PASSED)
            for each in WAYS[name].before:
                process.take(each)
            watch(see)
            for step, each in enumerate(WAYS[name].steps):  # noqa: B007 - see() reads it
                process.take(each)
            return {"points": [*map(str, tuple(seen))], "modules": [*sys.modules]}

        yield _said(_forked(go))


def _killed(points: Sequence[Point]) -> Iterator[Any]:
    for point in points:

        def go(point: Point = point) -> dict[str, Any]:
            process = _process(point.way, str(point), PASSED)
            way = WAYS[point.way]
            for each in (*way.before, *way.steps[: point.step]):
                process.take(each)
            die_at(point.line)
            process.take(way.steps[point.step])
            time.sleep(0.1)  # what its threads have still to say
            return {}

        pid, pipe = _forked(go)
        os.close(pipe)
        killed = os.waitpid(pid, 0)[1] == 9
        yield {"point": str(point), "killed": killed, **_said(_forked(partial(_healed, point)))}


def _forked(work: Callable[[], dict[str, Any]]) -> tuple[int, int]:
    """A process that does this *work*, and where it says what came of it."""
    out, inside = os.pipe()
    pid = os.fork()
    if pid == 0:
        _last(lambda: _write(inside, work()))
    os.close(inside)
    return pid, out


def _said(child: tuple[int, int]) -> dict[str, Any]:
    pid, pipe = child
    with os.fdopen(pipe, "rb") as said:
        text = said.read()
    os.waitpid(pid, 0)
    found: dict[str, Any] = json.loads(
        text or b'{"state": null, "note": "", "problems": ["whoever came after it broke"]}'
    )
    return found


def _process(way: str, name: str, late: int) -> Process:
    process = Process(WAYS[way], f"id of {name}", f"{WAYS[way].note} {name}", late=late)
    if late == PASSED:
        engine().state.flushdb()
    return process


def _healed(point: Point) -> dict[str, Any]:
    """What others make of what a process left that was killed at *point*, and what is wrong with it."""
    process = _process(point.way, str(point), HEALING)
    here, way = process.swift.keys, process.way
    message = engine().state.hget(here.call(process.task_id), "message")
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        process.sweep()
        process.release()
        if not process.work() and not any(map(engine().state.zcard, here.indexes)):
            break
    if message:  # a copy that comes late
        app.amqp.republish(message)
        process.work()
    known = engine().ledger(way.provider).get(process.task_id)
    state = known.state if known else None
    may_be_nothing = way.steps[0] == "submit" and point.step == 0
    problems = [] if state in way.ends or (state is None and may_be_nothing) else [f"it ended {state}"]
    return {
        "state": state,
        "note": process.note,
        "problems": [*problems, *_left_behind(process), *_mistold(process, state)],
    }


def _left_behind(process: Process) -> Iterator[str]:
    """What should not be there any more."""
    here, state = process.swift.keys, engine().state
    for index in here.indexes:
        if state.zcard(index):
            yield f"{index} is not empty"
    outlives = time.time() * 1000 + 60_000
    if state.zcount(here.leases, outlives, "+inf"):
        yield "a lease was leaked"


def _mistold(process: Process, state: str | None) -> Iterator[str]:
    """What does not agree with what the submission is."""
    provider, redis, task_id = process.way.provider, engine().state, process.task_id
    base = process.swift.keys.submissions
    found = [each for each in STATES if redis.zscore(f"{base}:{each}", task_id) is not None]
    if found != [state] * (state is not None):
        yield f"{state}, and in the indexes of {found}"
    if (redis.zscore(f"{base}:open", task_id) is not None) != (state == "accepted"):
        yield f"{state}, and wrongly open or not"
    letters = [each["code"] for each in engine().dead_letters(provider)]
    codes = {"in_doubt", "worker_lost"} if state == "in_doubt" else {"upstream_rejected"}
    if len(letters) != (state in {"rejected", "in_doubt"}) or not codes.issuperset(letters):
        yield f"{state}, and the letters are {letters}"
    meta = app.backend.stored(task_id)
    outcome = states.SUCCESS if state == "accepted" else states.FAILURE if state else states.PENDING
    if meta["status"] != outcome:
        yield f"{state}, and its caller hears {meta['status']}"
    kept = redis.pttl(process.swift.keys.call(task_id))
    if state is not None and (kept > 0) != (state == "rejected"):
        yield f"{state}, and remembered for {kept} ms"


if __name__ == "__main__":
    main()
