"""One state for each call, whatever is done to it in whichever order, and whoever dies in between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

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
from tests.integration.held import STRIDES, Held
from worker.claim import Claim
from worker.gate import Report
from worker.provider import Breaker, Rate, Retry

NAMES = ("t0", "t1", "t2")
IDS, ANY = st.sampled_from(NAMES), st.integers(0, 100)
MOMENTS = st.sampled_from([0, 1, 100, 1100, 6000, 31_000])
FATES = st.tuples(
    st.sampled_from(["end", "park", "wait", "retry", "dead", "keep"]),
    st.sampled_from(["success", "failure", "neutral", "throttled", "refused"]),
    st.sampled_from([0.0, 1.0, 8.0]),
)
LANES = st.sampled_from(sorted(STRIDES))
STATES = ("queued", "running", "waiting", "parked", "slow")
LEASE, GRACE, MOST = 30.0, 10.0, 3


@dataclass(eq=False)
class Holder:
    """A worker that believes it runs a call."""

    claim: Claim
    report: Report | None
    until: int


class Fleet(RuleBasedStateMachine):
    """Workers, producers and a broker that loses and doubles messages, around the real scripts."""

    state: Redis
    clock: HeldClock

    @initialize(rate=st.sampled_from([None, 0.5, 20.0]), breaker=st.booleans(), budget=st.booleans())
    def opened(self, *, rate: float | None, breaker: bool, budget: bool) -> None:
        """A provider with some of the rules."""
        self.held = Held(
            self.state,
            self.clock,
            rate=Rate(calls=rate, burst=1) if rate else None,
            breaker=Breaker(failures=2 if breaker else None, reset_after=20),
            retry=Retry(budget=0.1 if budget else None, floor=1),
            max_concurrency=MOST,
        )
        self.broker: Counter[str] = Counter()
        self.holders: list[Holder] = []
        self.alive: set[str] = set()
        for task_id in NAMES:
            self.enqueue(task_id, "interactive", None, None, published=True)

    @rule(
        task_id=IDS,
        lane=LANES,
        later=st.sampled_from([None, None, None, 0, 700]),
        expires=st.sampled_from([None, None, None, 3000]),
        published=st.sampled_from([True, True, False]),
    )
    def enqueue(
        self, task_id: str, lane: str, later: int | None, expires: int | None, *, published: bool
    ) -> None:
        """A producer, which may die before it publishes."""
        now = self.clock.ms
        due, ends = (None if ms is None else now + ms for ms in (later, expires))
        publish = self.held.records.write(task_id, "[]", due, lane=lane, expires=ends)
        self.alive.add(task_id)
        self.broker[task_id] += publish and published

    @rule(task_ids=st.sets(IDS, min_size=1), lane=LANES)
    def park(self, task_ids: set[str], lane: str) -> None:
        """A producer of many calls."""
        new = self.held.records.park([(task_id, "[]") for task_id in sorted(task_ids)], lane=lane)
        assert new == len(task_ids - self.alive)
        self.alive |= task_ids

    @rule(
        task_id=IDS,
        patience=st.sampled_from([0.0, 0.5]),
        claim_only=st.booleans(),
        dies=st.sampled_from([False, False, True]),
    )
    def deliver(self, task_id: str, patience: float, *, claim_only: bool, dies: bool) -> None:
        """A worker gets a message, or one copy too many; what it hears it may not live to act upon."""
        self.broker[task_id] = max(0, self.broker[task_id] - 1)
        before = self.record(task_id)
        claim = Claim(home="acme", task_id=task_id, recorded=True, lease=LEASE)
        report = None
        if claim_only:
            word = self.held.gate.claim(claim)
        else:
            decision, asked = self.held.gate.begin(claim, patience=patience, lease=LEASE)
            word, report = decision.word, asked if decision.word == "admit" else None
        if word == "revoked":
            assert self.held.end(None, claim, "end") == ("fenced" if before["state"] == "ended" else "end")
            self.ended(task_id)
        if not claim.token:
            assert word in {"duplicate", "gone", "revoked"}
            return
        assert before["state"] == "queued"
        assert all(other.until <= self.clock.ms for other in self.of(task_id))
        holder = Holder(claim, report, self.clock.ms + round(LEASE * 1000))
        self.holders.append(holder)
        if word not in {"admit", "ok"} and not dies:
            self.settle(holder, "park", "neutral", 0.0)

    @precondition(lambda self: self.holders)
    @rule(which=ANY, fate=FATES)
    def finish(self, which: int, fate: tuple[str, str, float]) -> None:
        """A worker tells what came of its call."""
        self.settle(self.holders[which % len(self.holders)], *fate)

    def settle(self, holder: Holder, fate: Any, outcome: Any, wait: float) -> None:
        """Finish, and check what it became."""
        task_id, current = holder.claim.task_id, self.holds(holder)
        if holder.report:
            holder.report.outcome, holder.report.pause = outcome, wait
        report, holder.report = holder.report, None
        revoked = "revoked" in self.record(task_id)
        became = self.held.end(report, holder.claim, fate, wait=wait, letter="{}", reason="why")
        if fate == "keep":
            return
        self.holders.remove(holder)
        assert (became == "fenced") != current
        stays = fate not in {"end", "dead"}
        if current and (revoked or not stays):
            self.ended(task_id)
        if current and stays and revoked:
            assert became == "revoked"
        elif current and fate == "retry":
            assert became in {"retry", "slow"}

    @rule(task_id=IDS, fate=st.sampled_from(["end", "dead"]))
    def never_claimed(self, task_id: str, fate: str) -> None:
        """A worker got a message, or one copy too many, and had a kept answer, or could not read it."""
        before = self.record(task_id).get("state")
        became = self.held.end(None, Claim(home="acme", task_id=task_id, recorded=True), fate, letter="{}")
        assert (became == "fenced") == (before in {None, "running", "ended"})
        if became != "fenced":
            self.ended(task_id)

    @precondition(lambda self: self.holders)
    @rule(which=ANY)
    def ask_again(self, which: int) -> None:
        """A task makes its next call, or waits a moment in its slot and asks again."""
        holder = self.holders[which % len(self.holders)]
        current, revoked = self.holds(holder), "revoked" in self.record(holder.claim.task_id)
        if holder.report:
            self.held.end(holder.report, holder.claim, "keep")
        decision, report = self.held.gate.begin(holder.claim, lease=LEASE)
        holder.report = report if decision.word == "admit" else None
        if not current or revoked:
            assert decision.word in {"fenced", "gone", "revoked", "duplicate"}
            return
        assert decision.word not in {"fenced", "gone", "revoked", "duplicate"}
        holder.until = self.clock.ms + round(LEASE * 1000)

    @rule(published=st.sampled_from([True, True, True, False]), ms=MOMENTS)
    def look(self, ms: int = 0, *, published: bool) -> None:
        """A releaser, which may die before it publishes."""
        self.clock.ms += ms
        for call in self.held.look(2).calls:
            if published and not call.expired:
                self.broker[call.task_id] += 1
            elif published:
                assert self.held.records.cancel(call.task_id)[0] == "queued"
                self.ended(call.task_id)

    @rule(published=st.sampled_from([True, True, True, False]), ms=MOMENTS)
    def sweep(self, ms: int = 0, *, published: bool) -> None:
        """A reconciler, which may die before it publishes."""
        self.clock.ms += ms
        for found in self.held.records.orphans(grace=GRACE, depth=self.broker.total()):
            if found.kind == "poison":
                claim = Claim(home="acme", task_id=found.task_id, token=found.token)
                until = self.clock.ms + round(3 * GRACE * 1000)
                assert all(other.until <= self.clock.ms for other in self.of(found.task_id))
                self.holders.append(Holder(claim, None, until))
                if published:
                    self.settle(self.holders[-1], "dead", "neutral", 0.0)
            elif published:
                self.broker[found.task_id] += 1

    @rule(task_id=IDS)
    def revoke(self, task_id: str) -> None:
        """A caller changes its mind."""
        state, message = self.held.records.cancel(task_id)
        assert bool(message) == (state in {"queued", "waiting", "parked", "slow"})
        if message:
            self.ended(task_id)

    @rule(what=st.sampled_from(["beat", "crash", "lose"]), which=ANY)
    def chance(self, what: str, which: int) -> None:
        """The heartbeat of all workers; a worker is gone; the broker loses a message."""
        if what == "beat":
            current = [holder for holder in self.holders if self.holds(holder)]
            claims = [holder.claim for holder in self.holders]
            assert self.held.records.extend(claims, lease=LEASE) == len(current)
            for holder in current:
                holder.until = self.clock.ms + round(LEASE * 1000)
        elif what == "crash" and self.holders:
            self.holders.pop(which % len(self.holders))
        elif what == "lose" and self.broker.total():
            queued = sorted(self.broker.elements())
            self.broker[queued[which % len(queued)]] -= 1

    @rule(
        task_ids=st.lists(IDS, min_size=1, max_size=4),
        fates=st.lists(FATES, min_size=4, max_size=4),
        ms=MOMENTS,
    )
    def work(self, task_ids: list[str], fates: list[tuple[str, str, float]], ms: int) -> None:
        """A look at the line, and what the workers make of it and of some copies; time passes."""
        self.clock.ms += ms
        self.look(published=True)
        for task_id, (fate, outcome, wait) in zip(task_ids, fates, strict=False):
            before = len(self.holders)
            self.deliver(task_id, 0.0, claim_only=False, dies=False)
            if len(self.holders) > before:
                self.settle(self.holders[-1], fate, outcome, wait)

    @invariant()
    def everything_is_in_its_place(self) -> None:
        """Read in one round trip, since it is looked at after each step."""
        at = self.held.keys
        with self.state.pipeline() as ask:
            for task_id in NAMES:
                ask.hgetall(at.call(task_id))
            for key in (*(getattr(at, name) for name in STATES), at.released, at.leases):
                ask.zrange(key, 0, -1, withscores=True)
            ask.hgetall(at.lot)
            replies: Any = ask.execute()
        records = dict(zip(NAMES, map(text, replies[: len(NAMES)]), strict=True))
        *indexes, released, leases = [text(dict(reply)) for reply in replies[len(NAMES) : -1]]
        self.each_call_stands_in_the_index_of_its_state(records, dict(zip(STATES, indexes, strict=True)))
        self.the_lot_counts_who_stands_in_it(records, text(replies[-1]))
        assert set(released) <= {name for name in NAMES if records[name].get("state") == "queued"}
        held = {holder.report.nonce for holder in self.holders if holder.report}
        assert held <= set(leases) | self.expired()
        assert sum(float(ends) > self.clock.ms for ends in leases.values()) <= MOST

    def each_call_stands_in_the_index_of_its_state(
        self, records: dict[str, dict[str, str]], indexes: dict[str, dict[str, str]]
    ) -> None:
        """And in no other, with the score that its record says."""
        scored = {"parked": "place", "running": "lease_until", "waiting": "due_at", "slow": "due_at"}
        for task_id, record in records.items():
            state = record.get("state", "")
            assert (state in STATES) == (task_id in self.alive), (task_id, state)
            found = [name for name in STATES if task_id in indexes[name]]
            assert found == [state] * (state in STATES)
            if state in scored:
                assert float(indexes[state][task_id]) == float(record[scored[state]])

    def the_lot_counts_who_stands_in_it(
        self, records: dict[str, dict[str, str]], lot: dict[str, str]
    ) -> None:
        """Each lane's number, and a last place that nobody in it is behind."""
        parked = [record for record in records.values() if record.get("state") == "parked"]
        for lane in STRIDES:
            places = [float(record["place"]) for record in parked if record["lane"] == lane]
            assert int(lot.get(f"in_{lane}", 0)) == len(places)
            assert len(set(places)) == len(places)
            assert max(places, default=0.0) <= max(float(lot.get(name, 0)) for name in (lane, "now"))

    def expired(self) -> set[str]:
        """Leases that may have run out and been cleared away."""
        ends = self.clock.ms + 60_000
        return {each.report.nonce for each in self.holders if each.report and each.until <= ends}

    def teardown(self) -> None:
        """Nothing is lost: left to themselves, all calls come to an end."""
        if not hasattr(self, "held"):
            return
        self.holders.clear()
        for _ in range(60):
            if not self.alive:
                break
            self.clock.ms += 120_000
            self.sweep(published=True)
            self.look(published=True)
            for task_id in list((+self.broker).elements()):
                self.broker[task_id] -= 1
                _, report, claim = self.held.begin(task_id, patience=10.0, lease=LEASE)
                report.outcome = "success"
                if claim.token or self.record(task_id).get("revoked"):
                    self.held.end(report, claim, "end")
                    self.ended(task_id)
        assert not self.alive
        at = self.held.keys
        assert not any(self.state.zcard(key) for key in at.indexes)

    def record(self, task_id: str) -> dict[str, str]:
        return self.held.records.get(task_id)

    def of(self, task_id: str) -> list[Holder]:
        return [holder for holder in self.holders if holder.claim.task_id == task_id]

    def holds(self, holder: Holder) -> bool:
        """Whether the call is still that worker's."""
        record = self.record(holder.claim.task_id)
        return record.get("state") == "running" and record["token"] == str(holder.claim.token)

    def ended(self, task_id: str) -> None:
        self.alive.discard(task_id)


def text(fields: dict[bytes, Any]) -> dict[str, str]:
    """The same without bytes."""
    return {
        name.decode(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in fields.items()
    }


def test_each_call_has_one_state_and_none_is_lost(state: Redis, clock: HeldClock) -> None:
    """Producers, workers, releasers and reconcilers in any order; any of them may die at any step."""

    class Here(Fleet):
        pass

    Here.state, Here.clock = state, clock
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
