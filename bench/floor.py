"""One begin beside the least that a script of its keys and arguments can take, over the same connection.

The floor is begin's own command with another digest: a script that returns begin's reply and does
nothing. Beside it stands one that sends the commands that begin sent and decides nothing: it tells what of
the difference is storage and what is deciding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.ground import Ground
from bench.guard import CALLS, TURNS, block, claims, gate_and_line
from bench.report import Figure, median, ratios

if TYPE_CHECKING:
    from worker.claim import Claim
    from worker.gate import Gate
    from worker.scripts import Script
    from worker.stores import Commands, Line

__all__ = ["NAME", "Floor"]

NAME = "gate_vs_floor"
REPLY = "return {'admit', 0, 1, 0, 0, 1700000000000, '', 0, -1, 1700000000000, 0, 0, 1, 0, 0}"
BEGIN, NO_RECORD, SAME, NOTHING = "begin", "begin without a record", "same commands", "nothing"


class Recorder:
    """Keeps the last command on its way to *line*."""

    def __init__(self, line: Commands) -> None:
        self._line = line
        self.command: tuple[Any, ...] = ()

    def execute_command(self, *command: Any) -> Any:
        """The reply."""
        self.command = command
        return self._line.execute_command(*command)


class Floor:
    """Blocks of begins and of floors, in turn."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._gate, self._line = gate_and_line()
        self._floors = _floors(ground, self._gate, self._line)
        self._took: dict[str, list[float]] = {}
        self._served: dict[str, list[float]] = {}

    def round(self, number: int) -> None:  # noqa: ARG002 - every round is the same
        """Blocks of each."""
        for _ in range(TURNS):
            self._turn()

    def figures(self) -> list[Figure]:
        """The figure, and what of it is the server's."""
        took = self._took
        beside = {f"{name}, µs": median(values) for name, values in took.items()}
        beside |= {f"{name}, µs of these in the server": median(of) for name, of in self._served.items()}
        beside |= {f"{SAME} / {BEGIN}": median(ratios(took[SAME], took[BEGIN]))}
        return [Figure(name=NAME, rounds=ratios(took[NOTHING], took[BEGIN]), beside=beside)]

    def _turn(self) -> None:
        from worker.claim import Claim

        calls = claims()
        works: dict[str, Callable[[], None]] = {
            BEGIN: partial(_begin, self._gate, calls),
            NO_RECORD: partial(_begin, self._gate, [Claim() for _ in range(CALLS)]),
            **self._floors,
        }
        for name, work in works.items():
            before = _served(self._ground)
            self._took.setdefault(name, []).append(block(time.perf_counter, work))
            self._served.setdefault(name, []).append((_served(self._ground) - before) / CALLS)
        for claim in calls:
            self._gate.finish(None, claim, "end")
        # Nobody finishes these calls; they must not pile up.
        self._line.execute_command("DEL", self._gate.keys.leases)


def _floors(ground: Ground, gate: Gate, line: Line) -> dict[str, Callable[[], None]]:
    """A block of each floor, with the keys and arguments of a begin that is made for the purpose."""
    from worker.gate import Gate
    from worker.scripts import Script

    recorder = Recorder(line)
    claim, *others = claims()
    commands = _commands(ground, lambda: Gate(recorder, gate.provider).begin(claim))
    for each in (claim, *others):
        gate.finish(None, each, "end")
    _, _, count, *rest = recorder.command
    names, args = rest[:count], rest[count:]
    same = Script("\n".join([*map(_lua, commands), REPLY]))
    return {
        NOTHING: partial(_asked, Script(REPLY), line, names, args),
        SAME: partial(_asked, same, line, names, args),
    }


def _commands(ground: Ground, work: Callable[[], object]) -> list[list[str]]:
    """What the last script that *work* runs sends to the server."""
    heard: list[list[str]] = []
    with ground.redis.monitor() as monitor:
        work()
        ground.redis.echo("over")
        for said in monitor.listen():
            if said["client_type"] == "lua":
                heard.append(said["command"].split(" "))
            elif said["command"].startswith("EVALSHA"):
                heard.clear()
            elif said["command"] == "ECHO over":
                break
    return heard


def _lua(command: Iterable[str]) -> str:
    quoted = ", ".join(f"[==[{word}]==]" for word in command)
    return f"redis.call({quoted})"


def _begin(gate: Gate, calls: Iterable[Claim]) -> None:
    for claim in calls:
        gate.begin(claim)


def _asked(script: Script, line: Line, names: list[Any], args: list[Any]) -> None:
    for _ in range(CALLS):
        script(line, names, args)


def _served(ground: Ground) -> float:
    """Microseconds that the server has spent on scripts so far."""
    said: dict[str, Any] = ground.redis.info("commandstats")
    return float(said["cmdstat_evalsha"]["usec"])
