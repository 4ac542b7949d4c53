"""A side of a storm, with workers and a provider of its own, and ours; ``alone.py`` has the other."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qs

from redis import Redis

import tasks
from tasks.arguments.bbl import BBL
from tasks.datasets import DATASETS
from tasks.query import Query
from tests.chaos import ledger
from tests.chaos.load import Call
from tests.chaos.plan import Plan
from tests.chaos.report import Outcome, outcome
from tests.fleet import Fleet, Ground
from tests.sandbox import Sandbox
from worker.engine import engine
from worker.keys import keys
from worker.stack.stack import Stack

__all__ = ["CONCURRENCY", "PROVIDER", "Narrows", "Side"]

CONCURRENCY = 16
OPERATIONS = {
    "dob_violations": tasks.fetch_dob_violations,
    "hpd_violations": tasks.fetch_hpd_violations,
    "complaints_311": tasks.fetch_311_complaints,
    "permits": tasks.fetch_permits,
}
PROVIDER = "nyc_open_data"


def prefix(provider: str) -> str:
    """How the settings of *provider* begin."""
    return f"NARROWS_PROVIDERS__{provider.upper()}__"


class Side(ABC):
    """What all have: a ledger, a stack of workers, and a sandbox that counts what it is asked."""

    name = ""

    def __init__(self, folder: Path, sandbox: Sandbox, latency: float) -> None:
        self.path = folder / f"{type(self).__name__.lower()}.ledger"
        self.path.touch()
        self._sandbox, self._latency = sandbox, latency
        self.stack: Stack

    @property
    def lines(self) -> list[ledger.Line]:
        """The ledger so far."""
        return list(ledger.read(self.path))

    @property
    def ended(self) -> int:
        """How many calls have ended."""
        return len(ledger.counted(self.lines, "ended"))

    @abstractmethod
    def enqueue(self, call: Call) -> object:
        """Have *call* made some time."""

    def outcome(self, calls: Iterable[Call], taken: Mapping[str, float], refused: int) -> Outcome:
        """What became of the calls."""
        return outcome(
            self.name,
            taken=taken,
            refused=refused,
            lines=self.lines,
            stored=self.stored(taken),
            letters=self.letters(),
            asked=self._asked(calls),
            held=self.held(),
            restarts=sum(worker.restarts for worker in self.stack.workers),
        )

    def stored(self, ids: Iterable[str]) -> list[str]:
        """Those of *ids* that have a result."""
        names = list(ids)
        with self.results() as redis:
            found: Any = redis.mget([f"celery-task-meta-{each}" for each in names])
        return [
            each
            for each, raw in zip(names, found, strict=True)
            if raw and json.loads(raw)["status"] in ledger.OVER
        ]

    @abstractmethod
    def results(self) -> Redis:
        """A client of where results are."""

    def letters(self) -> list[str]:
        """Ids of dead letters."""
        return []

    def held(self) -> list[str]:
        """Ids of what lies unacknowledged."""
        return []

    def slow(self) -> None:
        """Have the provider take its time."""
        self._sandbox.control.fault(PROVIDER, latency_ms=self._latency * 1000)

    def _asked(self, calls: Iterable[Call]) -> Counter[str]:
        """How often the provider was asked for each call."""
        ids = {_asked_for(call): call.task_id for call in calls}
        found = Counter[str]()
        for entry in self._sandbox.control.journal(PROVIDER):
            where = parse_qs(entry["query"])["$where"][0].partition(" AND created_date")[0]
            found[ids[entry["path"], where]] += 1
        return found


class Narrows(Side):
    """Ours, with the settings that everybody has but for the rate, which is not what this is about."""

    name = "narrows"
    provider = PROVIDER
    include = "tests.chaos.ours"
    own: Mapping[str, str] = MappingProxyType(
        {f"{prefix(PROVIDER)}{name}": "1000" for name in ("RATE", "BURST")}
    )

    def __init__(self, folder: Path, ground: Ground, plan: Plan) -> None:
        super().__init__(folder, ground.sandbox, plan.latency)
        self._ground = ground
        env = {ledger.FILE: str(self.path), "NARROWS_SWEEP_INTERVAL": "1", **self.own}
        if plan.lease:
            names = ("NARROWS_CLAIM_LEASE", f"{prefix(self.provider)}TOTAL_TIMEOUT")
            env |= dict.fromkeys(names, f"{plan.lease:g}")
        self._fleet = Fleet(
            ground, workers=plan.workers, concurrency=CONCURRENCY, env=env, include=self.include
        )
        self.stack = self._fleet.stack

    def __enter__(self) -> Self:
        """Ready."""
        self._fleet.__enter__()
        self.slow()
        return self

    def __exit__(self, *_: object) -> None:
        """Stopped."""
        self._fleet.__exit__()

    def enqueue(self, call: Call) -> object:
        return OPERATIONS[call.dataset].apply_async((call.bbl,), task_id=call.task_id)

    def results(self) -> Redis:
        return self._ground.client()

    def letters(self) -> list[str]:
        return [str(letter["id"]) for letter in self._letters()]

    @property
    def codes(self) -> dict[str, int]:
        """How many dead letters have which code."""
        return dict(Counter(str(letter["code"]) for letter in self._letters()))

    def _letters(self) -> list[dict[str, Any]]:
        with self._ground.client() as state:
            return [json.loads(raw) for raw in state.lrange(keys(self.provider).dlq, 0, -1)]

    def lost(self, ids: Iterable[str]) -> list[dict[str, str]]:
        """The records of those of *ids* that have no end, without what they carry."""
        ended = {*ledger.counted(self.lines, "ended"), *self.stored(ids), *self.letters()}
        records = [(each, engine().records(self.provider).get(each)) for each in ids if each not in ended]
        return [
            {"id": each, **{name: value for name, value in fields.items() if name != "message"}}
            for each, fields in records
        ]

    @property
    def left(self) -> int:
        """Records that are not at their end."""
        at = keys(self.provider)
        with self._ground.client() as state:
            return sum(
                int(state.zcard(index)) for index in (at.queued, at.running, at.waiting, at.parked, at.slow)
            )


def _asked_for(call: Call) -> tuple[str, str]:
    """Path and condition of *call*'s request, without the days that are asked for."""
    made = Query(dataset=DATASETS[call.dataset], bbls=(BBL.parse(call.bbl),)).request(limit=1000)
    return made.path, made.params["$where"]
