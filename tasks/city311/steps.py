"""What is asked of a city, step by step: a service request is submitted, looked at, looked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.city311.adapter import Base311Adapter
from worker.errors import CallInDoubt, ResourceMissing, ResponseUnreadable
from worker.operation import Steps
from worker.submissions.submission import Accepted

__all__ = ["check", "submit", "verify"]


def submit(adapter: Base311Adapter, payload: Mapping[str, Any]) -> Steps[Accepted]:
    """The city's number for *payload*.

    Raises:
        CallInDoubt: It answered as if all were well, and named no number: it may have taken the request.
    """
    answer = yield adapter.submission(payload)
    entry = _single(answer.data)
    number = adapter.number(entry)
    if number is None:
        raise CallInDoubt(f"{adapter.city.name} answered {answer.status} without a number: it may have it")
    return _accepted(adapter, number, entry)


def check(adapter: Base311Adapter, external_id: str) -> Steps[dict[str, Any]]:
    """``{"external_id", "external_status", "agency", "closed", "updated_at"}``.

    Raises:
        ResourceMissing: The city does not know the number, or not yet: new ones are found after a while.
    """
    answer = yield adapter.check.request(external_id, label="check")
    entry = adapter.entry(answer.data, external_id)
    if entry is None:
        raise ResourceMissing(f"{adapter.city.name} knows no such service request, or not yet", status=404)
    return adapter.report(entry, external_id)


def verify(adapter: Base311Adapter, submission_id: str) -> Steps[Accepted | None]:
    """What the city made of that submission of ours; None when it does not have it.

    Raises:
        ResponseUnreadable: Its answer speaks of others, or of something else, which says nothing of ours.
    """
    assert adapter.find is not None  # noqa: S101 - who cannot be asked is not declared so
    try:
        answer = yield adapter.find.request(submission_id, label="find")
    except ResourceMissing:
        return None
    if adapter.find.is_none(answer.data):
        return None
    for entry in adapter.find.entries(answer.data):
        if adapter.ours(entry) == submission_id and (number := adapter.number(entry)):
            return _accepted(adapter, number, entry)
    raise ResponseUnreadable(
        f"{adapter.city.name} was asked for one service request and told of something else"
    )


def _single(data: Any) -> Any:
    """The one entry of an answer; some put it into a list."""
    return data[0] if isinstance(data, list) and len(data) == 1 else data


def _accepted(adapter: Base311Adapter, number: str, entry: Mapping[str, Any]) -> Accepted:
    status = adapter.status(entry)
    return Accepted(external_id=number, external_status=status, settled=status in adapter.closed)
