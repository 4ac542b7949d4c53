"""What acceptance tests stand on: real processes, spoken to through the public surface."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.acceptance import providers
from tests.acceptance.envelopes import Envelopes
from tests.acceptance.lot import Lot
from tests.acceptance.scripted import PLAYERS
from tests.acceptance.submitted import DESKS
from tests.conftest import CONTRACTS
from tests.fleet import Fleet, Ground, until
from tests.sandbox import Reply, Request, json_reply
from worker import registry

HERE = Path(__file__).parent

CELERYS_OWN = (
    "Call to deprecated setex:DeprecationWarning",  # how its backend stores results
    "unclosed <socket:ResourceWarning",  # how its clients part from their connections
)


class Echo:
    """Plays a provider that says back what was asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def answer(self, request: Request) -> Reply:
        """The path."""
        return json_reply({"asked": request.path})

    def failure(self, status: int) -> Reply:
        """Few words."""
        return json_reply({"error": "out_of_order"}, status=status)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder is an acceptance test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.acceptance)
            for warning in CELERYS_OWN:
                item.add_marker(pytest.mark.filterwarnings(f"ignore:{warning}"))


@pytest.fixture(scope="package")
def envelopes() -> Envelopes:
    """A provider that says what a test lays into it."""
    return Envelopes()


@pytest.fixture(scope="package")
def ground(envelopes: Envelopes) -> Iterator[Ground]:
    """Servers and sandbox for all modules."""
    echoes = [Echo(name) for name in providers.NAMES]
    with Ground(players=[envelopes, *echoes, *PLAYERS.values(), *DESKS.values()]) as ground:
        yield ground
    for name in [*providers.NAMES, *PLAYERS, *DESKS]:
        del registry._providers[name]  # tests elsewhere know the real ones only


@pytest.fixture(scope="package")
def recordings() -> Path:
    """The folder of recorded answers, for whole modules; see the contracts fixture."""
    if not CONTRACTS.is_dir():
        pytest.skip("the recorded contracts are not beside this checkout")
    return CONTRACTS


@pytest.fixture(scope="module")
def clean(ground: Ground) -> Ground:
    """The ground, without a trace of the module before; to be asked for before a fleet is started."""
    ground.clear()
    return ground


@pytest.fixture
def state(clean: Ground, fleet: Fleet) -> Iterator[Redis]:
    """The state Redis of a module's own fleet; the providers behave and their journals are empty."""
    until(lambda: fleet.ready, 30.0)  # the test before may have killed workers
    clean.sandbox.control.reset()
    with clean.client() as client:
        yield client


@pytest.fixture
def lot(state: Redis, clean: Ground) -> Lot:
    """The lot of a provider that takes a call every 50 ms."""
    return Lot(state, clean, providers.PACED.name)
