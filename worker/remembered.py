"""What a call's record remembers of a submission, read without the call's message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

from worker.submissions.submission import STATES, Resend, Submission

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FIELDS", "fields_of", "remembered"]

FIELDS = (
    "submission", "submission_at", "operation", "resend", "details", "created_at", "sent_at", "polled_at",
    "external_id", "external_status", "twin",
)  # fmt: skip
"""All that is read."""


def fields_of(values: Sequence[bytes | None]) -> dict[str, str]:
    """The values of :data:`FIELDS` by name, without those that are not there."""
    return {name: value.decode() for name, value in zip(FIELDS, values, strict=True) if value is not None}


def remembered(
    provider: str, submission_id: str, fields: Mapping[str, str], *, is_open: bool = False
) -> Submission | None:
    """The submission that a record with these fields is; None when it is none."""
    state = fields.get("submission")
    if state not in STATES:
        return None
    resend = fields.get("resend", "never")
    return Submission(
        id=submission_id,
        provider=provider,
        operation=fields.get("operation", ""),
        state=state,
        resend=resend if resend in get_args(Resend) else "never",  # type: ignore[arg-type]
        since=_seconds(fields, "submission_at"),
        created_at=_seconds(fields, "created_at"),
        sent_at=_seconds(fields, "sent_at"),
        polled_at=_seconds(fields, "polled_at"),
        external_id=fields.get("external_id") or None,
        external_status=fields.get("external_status") or None,
        details=json.loads(fields.get("details") or "{}"),
        open=is_open,
    )


def _seconds(fields: Mapping[str, str], name: str) -> float:
    return float(fields.get(name) or 0) / 1000
