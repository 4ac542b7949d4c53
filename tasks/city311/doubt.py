"""What is done about a service request when nobody knows whether the city has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tasks.city311 import steps
from tasks.city311.adapter import Base311Adapter
from worker.operation import Steps
from worker.submissions.submission import Accepted, Submission, Submits, header_tag

__all__ = ["Resend", "resending"]

Resend = Literal["never", "verify", "idempotent"]


def resending(
    adapter: Base311Adapter,
    resend: Resend = "never",
    *,
    header: str = "Idempotency-Key",
    after: float = 60.0,
    within: float = 86_400.0,
) -> Submits:
    """How a city's requests are submitted; see :class:`worker.submissions.submission.Submits`.

    Args:
        adapter: Which asks by our own id, for ``verify``.
        resend: What the city allows.
        header: Takes the submission's id, for ``idempotent``.
        after: Seconds until the city is asked, for ``verify``.
        within: Seconds for which it is asked.
    """
    if resend == "idempotent":
        return Submits(resend=resend, tag=header_tag(header), details=_details)
    if resend == "never":
        return Submits(resend=resend, details=_details)

    def verify(submission: Submission, *_: Any, **__: Any) -> Steps[Accepted | None]:
        """What the city made of it."""
        return (yield from steps.verify(adapter, submission.id))

    return Submits(
        resend=resend, tag=adapter.tagged, verify=verify, after=after, within=within, details=_details
    )


def _details(payload: Mapping[str, Any], idempotency_key: str | None = None) -> Mapping[str, Any]:  # noqa: ARG001
    """All that may be seen of a service request from the start."""
    return {"agency": payload["agency"]}
