"""The storm over calls that wait: thousands in line for one provider, while workers, then Valkey, are killed.

The provider itself is the witness: whether a call was asked for twice at once, whether the fleet kept to its
rate meanwhile, and how soon it was asked again once Valkey was back.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType

from tests.chaos import paced
from tests.chaos.findings import Findings, findings
from tests.chaos.invariants import Watch
from tests.chaos.load import Call, Load, calls
from tests.chaos.plan import Waiting
from tests.chaos.sides import Narrows
from tests.chaos.storm import Storm
from tests.chaos.talk import broken, say
from tests.chaos.tally import Tally
from tests.chaos.witness import Witness
from tests.fleet import Ground
from worker.keys import keys

__all__ = ["run"]

NAME = paced.PACED.name
AT_ONCE = 1e6


def run(plan: Waiting, folder: Path) -> bool:
    """Ours through the storm of *plan*; whether everything held."""
    rate = paced.RATE
    say("", f"{plan.calls:,} calls for a provider of {rate.calls:g} in each second; {plan.ahead:,} of them")
    say("are enqueued before the first worker starts")
    witness = Witness(NAME, latency=plan.latency)
    with Ground(appendfsync="always", players=[witness]) as ground:
        made = calls(plan.calls)
        paced_side = Paced(folder, ground, plan, witness)
        first = Load(made[: plan.ahead], paced_side.enqueue, rate=AT_ONCE)
        first.start()
        first.join()
        with paced_side as narrows, Watch(ground.client, keys(NAME)) as watch:
            rest = Load(made[plan.ahead :], narrows.enqueue, rate=plan.rate)
            rest.start()
            storm = Storm(plan=plan, valkey=ground.valkey, stacks=(narrows.stack,))
            storm.rage(told=lambda text: say(f"{text}  ended: {narrows.ended}"))
            drain(plan, rest, narrows)
            rest.stop()
            taken = first.taken | rest.taken
            outcome = narrows.outcome(made, taken, first.refused + rest.refused)
            left, lost, codes = narrows.left, narrows.lost(taken), narrows.codes
    kills = storm.kills[0], storm.kills[-1]
    found = findings(outcome, watch, witness.visits, rate=rate, kills=kills, returns=storm.returns)
    say("", found.table(), f"done: {storm.happened}")
    say(*([f"dead letters: {codes}"] if codes else []))
    say(*(f"lost: {each}" for each in lost[:5]), *watch.broken[:10])
    held = not broken({**found.wrong(plan.calls), "records are left": left})
    tally(storm, found, held=held).keep()
    return held


def tally(storm: Storm, found: Findings, *, held: bool) -> Tally:
    """What the summary tells; a call that was asked for twice at once was doubled, too."""
    return Tally(
        storm="waiting",
        faults=storm.faults,
        calls=found.outcome.calls,
        once=found.outcome.ended_once,
        lost=found.outcome.lost,
        doubled=found.outcome.ended_twice + found.asked_twice,
        recovery=max(found.resumed, default=None),
        since="from Valkey's return to the provider's next call",
        held=held,
    )


def drain(plan: Waiting, load: Load[Call], narrows: Narrows) -> None:
    """Until all calls were taken and have ended, or the time is up."""
    deadline = time.monotonic() + plan.drain
    while time.monotonic() < deadline and not (load.done and narrows.left == 0):
        time.sleep(0.5)


class Paced(Narrows):
    """Ours with the settings that everybody has, and a provider whose rate is what this is about."""

    provider = NAME
    include = paced.__name__
    own = MappingProxyType[str, str]({})

    def __init__(self, folder: Path, ground: Ground, plan: Waiting, witness: Witness) -> None:
        super().__init__(folder, ground, plan)
        self._witness = witness

    def enqueue(self, call: Call) -> object:
        return paced.visit.apply_async((call.task_id,), task_id=call.task_id)

    def slow(self) -> None:
        """The witness takes its time."""

    def _asked(self, calls: Iterable[Call]) -> Counter[str]:  # noqa: ARG002 - each names itself
        return Counter(visit.call for visit in self._witness.visits)
