"""An answer that is not ready yet: asked for again with no attempt used, and not for ever."""

from __future__ import annotations

import pytest

from tasks import fetch_permits
from tests.fleet import Fleet, Ground
from worker.errors import ProviderUnavailable
from worker.letters.deadletter import DeadLetters

NAME = "nyc_open_data"
BUSY = f"NARROWS_PROVIDERS__{NAME.upper()}__"


def test_what_is_not_ready_is_asked_for_more_often_than_a_failure_and_ends_in_a_letter(
    ground: Ground,
) -> None:
    """Within the time of its retries, whatever their number; it counts as the one attempt that it was."""
    ground.clear()
    said = {"FIRST": "0.1", "MOST": "0.5", "WITHIN": "10", "FLOOR": "100"}
    with Fleet(ground, workers=1, env={f"{BUSY}RETRY_{name}": value for name, value in said.items()}):
        ground.sandbox.control.fault(NAME, status=202, times=3)
        assert isinstance(fetch_permits.delay("1012650001").get(timeout=40), list)

        ground.sandbox.control.fault(NAME, status=202)
        with pytest.raises(ProviderUnavailable, match="not ready yet"):
            fetch_permits.delay("1012650002").get(timeout=60)

    with ground.client() as state:
        (letter,) = DeadLetters(state, NAME)
    assert (letter["attempts"], letter["retryable"]) == (1, True)
    assert ground.sandbox.control.counts(NAME)["count"] > 4 + 3  # the first call's, and a failure's attempts
