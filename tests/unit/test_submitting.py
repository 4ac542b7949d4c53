"""What a submission is once an attempt has ended."""

from __future__ import annotations

import pytest

from worker.claim import Claim
from worker.errors import (
    BucketEmpty,
    CallError,
    CallInDoubt,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    RecipientSuppressed,
    RequestInvalid,
    ResponseUnreadable,
    UnexpectedError,
)
from worker.submissions.submitting import state_after


def sent(why: CallError) -> CallError:
    """*why*, after bytes have left."""
    why.sent = True
    return why


@pytest.mark.parametrize(
    ("why", "state"),
    [
        (CallInDoubt(), "in_doubt"),
        (ProviderUnavailable(), "queued"),
        (sent(ProviderUnavailable()), "in_doubt"),
        (sent(ProviderThrottled()), "queued"),
        (sent(CredentialsRefused()), "queued"),
        (BucketEmpty(), "queued"),
        (sent(RequestInvalid()), "rejected"),
        (sent(ResponseUnreadable()), "in_doubt"),
        (UnexpectedError("a bug while the receipt was read"), "in_doubt"),
    ],
    ids=repr,
)
def test_what_was_let_out_is_in_doubt_unless_somebody_knows_better(why: Exception, state: str) -> None:
    """Only what says that nothing was done makes it as if it had never been sent."""
    assert state == state_after(why, Claim(sending=True))


def test_what_was_not_let_out_stays_what_it_is() -> None:
    """Unless it was asked about, and that says nothing."""
    assert state_after(ProviderUnavailable(), Claim()) == ""
    assert state_after(UnexpectedError("a bug"), Claim()) == ""
    assert state_after(CallInDoubt(), Claim()) == "in_doubt"


def test_what_goes_to_nobody_is_rejected_and_does_not_wait() -> None:
    """Who does not want it was not written to, and will not be."""
    assert state_after(RecipientSuppressed(), Claim()) == "rejected"
