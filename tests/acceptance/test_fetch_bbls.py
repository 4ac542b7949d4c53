"""A thousand lots in one call: few requests, and for each what a call of its own would have brought."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tasks import fetch_bbl, fetch_bbls
from tasks.datasets import DATASETS
from tests.fleet import Fleet, Ground, until
from tests.sandbox import BUSY_BBL, LOTS, generated_rows
from worker import enqueue_many
from worker.application import app

ROOM = {
    f"NARROWS_PROVIDERS__NYC_OPEN_DATA__{name}": value
    for name, value in {"RATE": "5000", "BURST": "5000", "RETRY_FLOOR": "1000"}.items()
}
"""The rate is our own politeness; the sandbox minds nothing."""

DAYS = 365
COUNT = 1000

Rows = dict[str, list[dict[str, Any]]]


def scattered(count: int) -> list[str]:
    """*count* lots, the known ones first, the others each in a block of its own: the worst for a URL."""
    chance = random.Random(17)
    blocks = chance.sample(range(2, 16_000), count - len(LOTS))
    return [lot.bbl for lot in LOTS] + [
        f"{chance.randint(1, 5)}{block:05d}{chance.randint(1, 999):04d}" for block in blocks
    ]


def moved(row: dict[str, Any], bbl: str) -> dict[str, Any]:
    """*row* as it would be of another lot, written in the same way."""
    lot = int(bbl[6:])
    about = {"bbl": bbl, "boro": bbl[0], "boroid": bbl[0], "block": bbl[1:6], "lot": f"{lot:05d}"}
    if "boroid" in row:  # housing violations: the borough's name, numbers without zeros
        about |= {"boro": row["boro"], "block": str(int(bbl[1:6])), "lot": str(lot)}
    if "borough" in row:
        names = ("MANHATTAN", "BRONX", "BROOKLYN", "QUEENS", "STATEN ISLAND")
        about["borough"] = names[int(bbl[0]) - 1]
    return {name: about.get(name, value) for name, value in row.items()}


def populated(lots: list[str]) -> Rows:
    """Generated rows, and one more for every tenth of the scattered *lots*; each call reads all, so few."""
    rows = generated_rows()
    for id_, found in rows.items():
        mine = [row for row in found if row.get("lot") != "0" and row.get("house_number") != "TEST"][:40]
        busy = [row for row in found if row.get("bbl") == BUSY_BBL]
        found[:] = [row for row in found if row.get("bbl") != BUSY_BBL] + busy[:20]
        for number, bbl in enumerate(lots[len(LOTS) :: 10]):
            source = mine[number % len(mine)]
            row = {name: value for name, value in source.items() if name not in {"bin", "bin__"}}
            key = next(each.key for each in DATASETS.values() if each.id == id_)
            found.append(moved(row, bbl) | {key: str(900_000_000 + number)})
    return rows


@pytest.fixture(scope="module")
def lots() -> list[str]:
    """A thousand of them."""
    return scattered(COUNT)


@pytest.fixture(scope="module")
def fleet(clean: Ground, lots: list[str]) -> Iterator[Fleet]:
    """Two workers whose provider has rows for many of the lots."""
    with (
        clean.sandbox.nyc_open_data.serving(populated(lots)),
        Fleet(clean, workers=2, concurrency=16, env=ROOM) as fleet,
    ):
        yield fleet


def test_a_thousand_lots_take_a_tenth_of_a_request_each_and_bring_what_single_calls_bring(
    fleet: Fleet, clean: Ground, lots: list[str]
) -> None:
    """In full: every row of the four data sets and where it came from, for lots with rows and without."""
    control = clean.sandbox.control

    together = fetch_bbls.delay(lots, days_311=DAYS).get(timeout=120)
    asked = control.counts("nyc_open_data")["count"]
    batch = enqueue_many(fetch_bbl, ({"bbl": bbl, "days_311": DAYS} for bbl in lots), lane="interactive")
    calls = [app.AsyncResult(batch.task_id(number)) for number in range(COUNT)]
    until(lambda: calls[-1].ready() and all(call.ready() for call in calls), 300.0)
    single = {bbl: call.get() for bbl, call in zip(lots, calls, strict=True)}

    assert asked / COUNT <= 0.1
    assert control.counts("nyc_open_data")["count"] >= asked + 4 * COUNT
    assert sum(any(found[name] for name in DATASETS) for found in together.values()) > 100
    assert {name for found in together.values() for name in DATASETS if found[name]} == set(DATASETS)
    assert together == single
    assert [worker.restarts for worker in fleet.stack.workers] == [0, 0]
