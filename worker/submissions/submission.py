"""A submission: a call that changes something outside, and that must be made once or be seen by a person.

Its record has a memory (``worker/submissions/ledger.py``): ``queued`` until a worker is about to send it,
``sending`` before a byte leaves, then ``accepted``, ``rejected``, or ``in_doubt`` when nobody can know
whether it arrived. What becomes of a doubt is the operation's own: see :class:`Submits`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from worker.request import Request

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "PENDING",
    "STATES",
    "Accepted",
    "IdempotencyKey",
    "Submission",
    "Submits",
    "header_tag",
]

Resend = Literal["idempotent", "verify", "never"]
State = Literal["queued", "sending", "accepted", "rejected", "in_doubt"]

STATES: tuple[State, ...] = ("queued", "sending", "accepted", "rejected", "in_doubt")

PENDING = "pending_external"
"""What callers see of a submission that the provider has not decided on yet."""


@dataclass(frozen=True, slots=True)
class _Name:
    """Marks a text that names something: neither empty nor a document."""

    longest: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Checked by hand, so that declaring one does not load pydantic in a producer."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, value: str) -> str:
        if not value.strip() or len(value) > self.longest or not _is_unicode(value):
            raise ValueError(f"takes a text of 1 to {self.longest} characters, for example 'order-4711'")
        return value


def _is_unicode(text: str) -> bool:
    """Whether it holds no half of a pair, which no encoding has."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


IdempotencyKey = Annotated[str, _Name(255)] | None
"""The caller's name for what is submitted: the same name again is the same submission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What an operation that submits returns: the provider took it.

    Attributes:
        external_id: The provider's own name for it.
        external_status: As the provider says it, or None.
        details: More for the caller's result, over what :attr:`Submits.details` said.
        settled: The provider will say no more of it; otherwise it stays open, to be asked about.
    """

    external_id: str
    external_status: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    settled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One submission as the ledger remembers it. Times in seconds since the epoch, 0.0 for never.

    Attributes:
        id: The task id of the first call with its idempotency key.
        since: When it came to be in its state.
        sent_at: When it was about to be sent, last.
    """

    id: str
    provider: str
    operation: str
    state: State
    resend: Resend
    since: float
    created_at: float
    sent_at: float = 0.0
    polled_at: float = 0.0
    external_id: str | None = None
    external_status: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    open: bool = False

    @property
    def told(self) -> dict[str, Any]:
        """What callers are told of it, and what its task returns."""
        return {
            **self.details,
            "submission_id": self.id,
            "external_id": self.external_id,
            "external_status": self.external_status,
            "state": PENDING if self.state in {"queued", "sending"} else self.state,
        }


def no_details(*_: Any, **__: Any) -> Mapping[str, Any]:
    """Nothing."""
    return {}


def untagged(request: Request, submission_id: str) -> Request:  # noqa: ARG001
    """*request* as it is."""
    return request


def header_tag(name: str) -> Callable[[Request, str], Request]:
    """What puts a submission's id into the header *name*, for a provider that takes each only once."""
    from dataclasses import replace

    def tag(request: Request, submission_id: str) -> Request:
        return replace(request, headers={**request.headers, name: submission_id})

    return tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Submits:
    """How an operation submits, and what is done when nobody knows whether it did.

    Attributes:
        resend: ``idempotent``: it is sent again, because the provider takes each id only once (which *tag*
            has to show it). ``verify``: the provider is asked, and it is sent again only when it is not
            there. ``never``: a person decides.
        tag: Puts the submission's id into the request.
        verify: As the operation itself, with the :class:`Submission` before its arguments: yields requests
            that change nothing, returns :class:`Accepted`, or None when the provider does not have it.
        after: Seconds after it was sent until the provider is asked: what is under way must have arrived,
            and be found.
        within: Seconds for which it is asked, before a person has to decide.
        details: From the operation's arguments, what callers may see of it from the start.
    """

    resend: Resend = "never"
    tag: Callable[[Request, str], Request] = untagged
    verify: Callable[..., Generator[Any, Any, Accepted | None]] | None = None
    after: float = 60.0
    within: float = 86_400.0
    details: Callable[..., Mapping[str, Any]] = no_details

    def __post_init__(self) -> None:
        if (self.resend == "verify") != (self.verify is not None):
            raise ValueError('submission: resend="verify" takes a verify=, and the others take none')
        if self.resend == "idempotent" and self.tag is untagged:
            raise ValueError('submission: resend="idempotent" takes a tag=, which shows the provider the id')
