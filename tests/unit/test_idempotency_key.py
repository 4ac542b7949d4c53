"""The caller's name for what is submitted."""

from __future__ import annotations

import pytest

from worker.errors import ArgumentsInvalid
from worker.operation import Operation, Steps
from worker.provider import Provider
from worker.request import Request
from worker.submissions.submission import Accepted, IdempotencyKey, Submits

ACME = Provider(name="acme", base_url="http://127.0.0.1:9")


def order(idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Ordered."""
    yield Request(method="POST", path="/orders")
    return Accepted(external_id="1")


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "canary\ud800", "\udfffcanary"], ids=ascii)
def test_a_key_that_names_nothing_is_refused_without_being_shown(key: str) -> None:
    """Half of a surrogate pair has no encoding, and would be a traceback with the key in it."""
    with pytest.raises(ArgumentsInvalid, match="idempotency_key") as refused:
        Operation(provider=ACME, function=order, submission=Submits()).checked((), {"idempotency_key": key})

    assert "canary" not in str(refused.value)
