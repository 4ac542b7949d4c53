"""What is said of a submission beside where its call is."""

from __future__ import annotations

from typing import Any

import pytest

from worker.submissions.submission import Submission
from worker.submissions.submitted import Submitted
from worker.whereabouts import Whereabouts

NOW = 1_800_000_000.0


def said(call: Any, **known: Any) -> str:
    """The last words on a call in that state whose submission is so."""
    fields = {"id": "s1", "provider": "quay", "operation": "lodge", "since": NOW, "created_at": NOW, **known}
    fields.setdefault("resend", "never")
    found = Whereabouts(task_id="s1", state=call, at=NOW, provider="quay", submission=Submission(**fields))
    return str(found).rpartition(" · ")[2]


@pytest.mark.parametrize(
    ("call", "known", "expected"),
    [
        ("queued", {"state": "queued"}, "not sent yet"),
        ("parked", {"state": "queued", "sent_at": NOW}, "to be sent again"),
        ("running", {"state": "sending"}, "sent, not answered yet"),
        ("ended", {"state": "accepted", "external_id": "311-7"}, "accepted as 311-7"),
        ("dead letter", {"state": "rejected"}, "rejected"),
        (
            "waiting",
            {"state": "in_doubt", "resend": "verify"},
            "in doubt, the provider is asked when it runs",
        ),
        ("parked", {"state": "in_doubt", "resend": "idempotent"}, "in doubt, sent again when it runs"),
        ("ended", {"state": "in_doubt"}, "in doubt, a person decides: narrows submission resolve s1"),
        ("finished", {"state": "in_doubt"}, "in doubt, a person decides: narrows submission resolve s1"),
    ],
)
def test_a_submission_says_what_comes_next(call: str, known: dict[str, Any], expected: str) -> None:
    """And who does it."""
    assert said(call, **known) == expected


def test_ages_are_never_negative() -> None:
    """A clock that was set back makes nobody young."""
    found = Submitted(at=NOW, counts={"in_doubt": 1}, doubted_at=NOW + 5, unasked_since=NOW + 5)

    assert (found.in_doubt, found.in_doubt_for, found.lag) == (1, 0.0, 0.0)


def test_without_any_there_is_no_age() -> None:
    """Nothing in doubt, and nothing open."""
    found = Submitted(at=NOW, counts={"in_doubt": 0}, doubted_at=None, unasked_since=None)

    assert (found.in_doubt_for, found.lag) == (0.0, 0.0)
