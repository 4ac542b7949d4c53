"""A submission is made once, or is seen by a person, whatever is done to it in whichever order."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from tests.integration.conftest import HeldClock
from tests.integration.held import Held
from worker.claim import Claim
from worker.errors import ArgumentsInvalid
from worker.gate import Report
from worker.record import FATAL_LOSSES
from worker.submissions.ledger import Ledger
from worker.submissions.submission import STATES, Accepted, Submits

NAMES = ("s0", "s1", "s2")
IDS, ANY = st.sampled_from(NAMES), st.integers(0, 100)
RECORDED = ("queued", "running", "waiting", "parked", "slow")
ANSWERS = st.sampled_from(["accepted", "accepted", "rejected", "throttled", "unsent", "unknown", "unknown"])
LEASE, GRACE = 30.0, 10.0


def look(*_: Any) -> Any:
    """Never run: what the provider has, the model says."""
    yield


def tag(request: Any, _id: str) -> Any:
    """The request."""
    return request


@dataclass(eq=False)
class Holder:
    """A worker that believes it runs a submission.

    Attributes:
        asks: It was told that the submission is not to be sent just so.
        until: When what it was let out to send must have left.
        left: It has; took: the provider took it.
    """

    claim: Claim
    report: Report | None
    asks: bool = False
    until: int = 0
    left: bool = False
    took: bool = False


@dataclass
class Provider:
    """What the provider has, and how often it was asked to do it."""

    has: set[str] = field(default_factory=set)
    arrivals: Counter[str] = field(default_factory=Counter)


class Desks(RuleBasedStateMachine):
    """Callers, workers that stand still and die, a provider that does not always answer, and a person."""

    state: Redis
    clock: HeldClock

    resend: Any

    @initialize()
    def opened(self) -> None:
        """A provider, and what is done there when nobody knows."""
        self.held = Held(self.state, self.clock)
        self.ledger = Ledger(self.state, self.state, "acme", now=self.clock)
        self.provider, self.holders = Provider(), list[Holder]()
        self.taken: dict[str, str] = {}
        self.lives: set[str] = set()
        for task_id in NAMES:
            self.submit(task_id, "", "a")

    @rule(task_id=IDS, key=st.sampled_from(["", "k0", "k1"]), payload=st.sampled_from("aab"))
    def submit(self, task_id: str, key: str, payload: str) -> None:
        """A caller, maybe under an id or a key that was there before."""
        noted = {
            "operation": "report",
            "resend": self.resend,
            "print": key,
            "digest": payload,
            "details": "{}",
        }
        before = self.record(task_id)
        try:
            self.held.records.write(task_id, "[]", noted=json.dumps(noted))
        except ArgumentsInvalid:
            assert key
            assert self.record(task_id) == before
            return
        now = self.record(task_id)
        if before.get("submission"):
            assert now == before
        if now.get("submission"):
            self.lives.add(task_id)

    @rule(task_id=IDS, twice=st.booleans())
    def deliver(self, task_id: str, *, twice: bool) -> None:
        """A worker gets a message of it, which may be a copy; the reply to its begin may have been lost."""
        before = self.record(task_id)
        claim = Claim(home="acme", task_id=task_id, recorded=True, lease=LEASE, submits=self.submits)
        gate = self.held.gate
        gate.redis = Twice(self.state) if twice else self.state
        decision, report = gate.begin(claim, lease=LEASE, sends=True)
        gate.redis = self.state
        if decision.word == "revoked":
            self.held.end(None, claim, "end")
            self.forgotten()
        if claim.token:
            assert before["state"] == "queued"
            self.begun(Holder(claim, report if decision.word == "admit" else None), decision.word)

    def begun(self, holder: Holder, word: str) -> None:
        """What a worker does with what the gate says."""
        task_id = holder.claim.task_id
        self.holders.append(holder)
        holder.asks = word == "submitted"
        if word == "admit":
            holder.until = self.clock.ms + round(LEASE * 500)  # as long as Pipeline._in_time lets it
            holder.left = holder.took = False
            assert self.record(task_id)["submission"] == "sending"
        elif word != "submitted":
            assert word == "cooldown"
            self.end(holder, "park")

    @precondition(lambda self: any(each.report for each in self.holders))
    @rule(which=ANY, taken=st.sampled_from([True, True, False]))
    def send(self, which: int, *, taken: bool) -> None:
        """What was let out leaves, if there is still time, and the provider takes it or does not."""
        holder = self.one(which, lambda each: each.report is not None)
        if holder is not None:
            self.leaves(holder, taken=taken)

    def leaves(self, holder: Holder, *, taken: bool) -> None:
        """It does, or it is too late."""
        if holder.left or self.clock.ms > holder.until:
            return
        task_id = holder.claim.task_id
        holder.left = True
        if taken and not (self.resend == "idempotent" and task_id in self.provider.has):
            self.provider.arrivals[task_id] += 1
        if taken:
            self.provider.has.add(task_id)
        holder.took = taken

    @precondition(lambda self: any(each.report for each in self.holders))
    @rule(which=ANY, how=ANSWERS, dies=st.sampled_from([False, False, True]))
    def answer(self, which: int, how: str, *, dies: bool) -> None:
        """A worker hears, or hears nothing, and says what it knows; it may have been given up long ago."""
        holder = self.one(which, lambda each: each.report is not None)
        if holder is not None:
            self.hears(holder, how, dies=dies)

    def hears(self, holder: Holder, how: str, *, dies: bool) -> None:
        """What it hears is true: of the answers one that fits."""
        if not holder.left:
            how = "unsent"
        elif holder.took:
            how = "accepted" if how == "accepted" else "unknown"
        elif how in {"accepted", "unsent"} or holder.claim.task_id in self.provider.has:
            how = "throttled" if how == "throttled" else "unknown"  # what it has it does not refuse
        self.told(holder, how, dies=dies)

    def told(self, holder: Holder, how: str, *, dies: bool) -> None:
        """As the runner does it; see ``submitting.state_after``."""
        if how == "accepted":
            self.accept(holder, dies=dies)
        elif how == "rejected":
            self.end(holder, "dead", submission="rejected")
        elif how == "throttled":
            self.end(holder, "park", "throttled", submission="queued")
        elif how == "unsent":
            self.end(holder, "retry", "failure", submission="queued")
        else:
            fate = {"never": "dead", "verify": "wait", "idempotent": "retry"}[self.resend]
            self.end(holder, fate, "failure", submission="in_doubt")

    def accept(self, holder: Holder, *, dies: bool) -> None:
        """The ledger hears before anybody else."""
        task_id = holder.claim.task_id
        self.ledger.accepted(task_id, Accepted(external_id=f"x-{task_id}", settled=False), {})
        self.taken[task_id] = f"x-{task_id}"
        if dies:
            self.holders.remove(holder)
        else:
            self.end(holder, "end", "success")

    def end(self, holder: Holder, fate: Any, outcome: Any = "neutral", submission: str = "") -> None:
        """Finish; nobody who lost its claim changes anything."""
        task_id, report = holder.claim.task_id, holder.report
        before = self.record(task_id)
        if report is not None:
            report.outcome, report.pause = outcome, 1.0
        became = self.held.end(
            report,
            holder.claim,
            fate,
            wait=60.0 if submission == "in_doubt" else 1.0,
            reason="why",
            letter=json.dumps({"id": task_id}),
            submission=submission,
        )
        self.holders.remove(holder)
        if before.get("state") != "running" or before["token"] != str(holder.claim.token):
            assert became == "fenced"
            assert self.record(task_id) == before
        self.forgotten()

    @precondition(lambda self: any(each.asks for each in self.holders))
    @rule(which=ANY, heard=st.sampled_from([True, True, False]), dies=st.booleans())
    def see_through(self, which: int, *, heard: bool, dies: bool) -> None:
        """A worker that was told that it was sent before; it asks the provider if that can be asked."""
        holder = self.one(which, lambda each: each.asks)
        if holder is not None:
            self.sees(holder, heard=heard, dies=dies)

    def sees(self, holder: Holder, *, heard: bool, dies: bool) -> None:
        """As ``Submitter`` does it."""
        holder.asks, task_id = False, holder.claim.task_id
        known = self.ledger.get(task_id)
        assert known is not None
        if known.id != task_id or known.state in {"accepted", "rejected"}:
            self.end(holder, "end")
        elif self.resend == "never":
            self.end(holder, "dead", submission="in_doubt")
        elif not heard:
            self.end(holder, "wait", submission="in_doubt")
        elif task_id in self.provider.has:
            self.accept(holder, dies=dies)
        else:
            holder.claim.again = True
            decision, report = self.held.gate.begin(holder.claim, lease=LEASE, sends=True)
            self.holders.remove(holder)
            holder.report = report if decision.word == "admit" else None
            if decision.word in {"admit", "cooldown"}:
                self.begun(holder, decision.word)

    @rule(
        ms=st.sampled_from([0, 1000, 16_000, 31_000, 61_000, 61_000]),
        dies=st.sampled_from([False, False, True]),
    )
    def time_passes(self, ms: int, *, dies: bool) -> None:
        """A sweep and a look at the line, by somebody who may die in between."""
        self.clock.ms += ms
        for found in self.held.records.orphans(grace=GRACE, depth=0):
            claim = Claim(home="acme", task_id=found.task_id, token=found.token)
            if found.token:
                self.holders.append(Holder(claim, None))
            if dies or not found.token:
                continue
            fate = "wait" if found.kind == "doubt" and self.resend == "verify" else "dead"
            self.end(self.holders[-1], fate, submission="in_doubt" if found.kind == "doubt" else "")
        self.held.look(8)

    @rule(task_id=IDS)
    def revoke(self, task_id: str) -> None:
        """A caller changes its mind: what may have been sent cannot be called back."""
        before = self.record(task_id)
        self.held.records.cancel(task_id)
        if before.get("submission") not in {None, "queued", "accepted"}:
            assert self.record(task_id) == before
        self.forgotten()

    @rule(task_id=IDS, decision=st.sampled_from(["accepted", "rejected", "queued"]))
    def resolve(self, task_id: str, decision: Any) -> None:
        """A person asks the provider, and decides as it says."""
        before, there = self.record(task_id), task_id in self.provider.has
        under_way = any(each.report and each.claim.task_id == task_id for each in self.holders)
        if under_way or (decision == "accepted") != there:
            return
        stored: Any = self.state.lrange("dlq:acme", 0, -1)
        letters = [each for each in stored if json.loads(each)["id"] == task_id]
        word = self.ledger.resolve(
            task_id,
            decision,
            by="a person",
            external_id=f"x-{task_id}",
            lives=self.ledger.lives(task_id),
            letters=letters,
        )
        if word == "resolved":
            assert before["submission"] in {"in_doubt", "accepted"}
            if decision == "accepted":
                self.taken[task_id] = f"x-{task_id}"

    @rule(which=ANY)
    def crash(self, which: int) -> None:
        """A worker is gone."""
        if self.holders:
            self.holders.pop(which % len(self.holders))

    @rule(
        task_ids=st.lists(IDS, min_size=1, max_size=4),
        fates=st.lists(st.tuples(st.booleans(), ANSWERS, st.booleans()), min_size=4, max_size=4),
        ms=st.sampled_from([0, 2000, 61_000, 121_000]),
    )
    def work(self, task_ids: list[str], fates: list[tuple[bool, str, bool]], ms: int) -> None:
        """What workers make of some messages and copies; some are lost with what they hold; time passes."""
        for task_id, (taken, how, dies) in zip(task_ids, fates, strict=False):
            self.time_passes(ms=ms, dies=False)
            others = len(self.holders)
            self.deliver(task_id, twice=False)
            if len(self.holders) > others and self.holders[-1].asks:
                self.sees(self.holders[-1], heard=True, dies=dies)
            if len(self.holders) > others and self.holders[-1].report:
                self.leaves(self.holders[-1], taken=taken)
                if dies:
                    self.holders.pop()
                else:
                    self.hears(self.holders[-1], how, dies=False)

    @rule(task_id=IDS)
    def poison(self, task_id: str) -> None:
        """Worker after worker is lost with it, before or after it was sent."""
        for _ in range(FATAL_LOSSES):
            others = len(self.holders)
            self.deliver(task_id, twice=False)
            del self.holders[others:]
            self.time_passes(ms=61_000, dies=False)

    @invariant()
    def everything_is_as_it_is_remembered(self) -> None:
        """Indexes match states, what was taken is told, and nothing was taken twice."""
        base, at = self.held.keys.submissions, self.held.keys
        for task_id in NAMES:
            record = self.record(task_id)
            state, submission = record.get("state"), record.get("submission")
            found = [name for name in STATES if self.state.zscore(f"{base}:{name}", task_id) is not None]
            assert found == [submission] * (submission is not None), (task_id, submission, found)
            indexed = [name for name in RECORDED if self.state.zscore(getattr(at, name), task_id) is not None]
            assert indexed == [state] * (state in RECORDED)
            if task_id in self.taken:
                assert (submission, record["external_id"]) == ("accepted", self.taken[task_id])
            if task_id in self.lives:
                assert submission is not None
            if submission in {"sending", "in_doubt"}:
                assert self.state.pttl(at.call(task_id)) == -1
            assert state != "ended" or submission != "sending"  # nobody would look for it
            assert self.provider.arrivals[task_id] <= 1
            assert task_id not in self.provider.has or submission in {"sending", "in_doubt", "accepted"}
        self.a_key_stands_for_one()

    def a_key_stands_for_one(self) -> None:
        """However often it was used, and under whichever ids."""
        for key in ("k0", "k1"):
            own = [name for name in NAMES if self.record(name).get("print") == key]
            assert len(own) <= 1
            if own:
                assert self.state.get(f"{self.held.keys.submissions}:key:{key}") == own[0].encode()

    def teardown(self) -> None:
        """Left to themselves all come to an end: decided, with a letter, or in doubt and seen."""
        if not hasattr(self, "held"):
            return
        self.holders.clear()
        for _ in range(40):
            self.time_passes(ms=121_000, dies=False)
            for task_id in NAMES:
                self.deliver(task_id, twice=False)
            while self.holders:
                self.send(0, taken=True)
                self.answer(0, "accepted", dies=False)
                if self.holders:
                    self.see_through(0, heard=True, dies=False)
                self.everything_is_as_it_is_remembered()
        at = self.held.keys
        assert not any(self.state.zcard(key) for key in at.indexes)
        letters = {json.loads(each)["id"] for each in self.state.lrange("dlq:acme", 0, -1)}
        for task_id in self.lives:
            submission = self.record(task_id)["submission"]
            assert submission in {"accepted", "rejected"} or task_id in letters, (task_id, submission)

    @property
    def submits(self) -> Submits:
        """What the operation declares."""
        more: dict[str, dict[str, Any]] = {"verify": {"verify": look}, "idempotent": {"tag": tag}}
        return Submits(resend=self.resend, **more.get(self.resend, {}))

    def one(self, which: int, fits: Any) -> Holder | None:
        fitting = [each for each in self.holders if fits(each)]
        return fitting[which % len(fitting)] if fitting else None

    def record(self, task_id: str) -> dict[str, str]:
        return self.held.records.get(task_id)

    def forgotten(self) -> None:
        """Those that a revocation may have ended before anything of them was sent."""
        self.lives -= {each for each in self.lives if "submission" not in self.record(each)}


class Twice:
    """Sends each script twice, as after a connection that broke while the reply was on its way."""

    def __init__(self, state: Redis) -> None:
        self._state = state

    def execute_command(self, *command: Any) -> Any:
        """The second reply."""
        self._state.execute_command(*command)
        return self._state.execute_command(*command)


@pytest.mark.parametrize("resend", ["never", "verify", "idempotent"])
def test_a_submission_is_made_once_and_none_is_lost(state: Redis, clock: HeldClock, resend: str) -> None:
    """Callers, workers, sweeps, copies and people in any order; any of them may die at any step."""

    class Here(Desks):
        pass

    Here.state, Here.clock, Here.resend = state, clock, resend
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
