"""Fixtures of the contract tests."""

from __future__ import annotations

import pytest

from tests.contract.tally import Tally


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Counts what a test holds against a provider's contract; printed by provider at the end of the run."""
    return Tally(request.node.user_properties)
