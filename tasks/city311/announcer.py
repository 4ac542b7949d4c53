"""Tells who wants to know that a submission's status changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.keys import keys

if TYPE_CHECKING:
    from redis import Redis

    from worker.submissions.submission import Submission

__all__ = ["Announcer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcer:
    """Tells of changes on the channel ``narrows:{provider}:status``, and to a Celery task if one is named.

    Both hear ``{"submission_id", "external_id", "old", "new"}``: the channel as JSON, the task as its
    arguments by name, in the queue that its name says (``billing.status_changed`` in ``billing``).
    """

    state: Redis
    provider: str
    send: Callable[..., Any]
    task: str = ""

    def __call__(self, submission: Submission, new: str) -> None:
        """Say it."""
        said = {
            "submission_id": submission.id,
            "external_id": submission.external_id,
            "old": submission.external_status,
            "new": new,
        }
        if self.task:
            self.send(self.task, kwargs=said, ignore_result=True)
        self.state.publish(keys(self.provider).status, json.dumps(said))
