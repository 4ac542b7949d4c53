"""Everything Narrows raises, and what each means for the call.

The branch decides the fate; the class says why; ``code`` is what stands in
dead letters and log lines.

    NarrowsError
      ConfigurationError   a setting is wrong or unsafe      -> the process does not start
        NotReady           what production depends on is not well
      CacheError           the cache cannot do what was asked (reads never raise it)
      EnqueueFailed        the call was not taken            -> the caller asks again later
      StateUnavailable     the state Redis does not answer   -> nothing leaves; the record waits
      DuplicateDelivery    another copy has this call        -> this copy is dropped
      RecordGone           ended, or lost by Redis           -> dropped if there is a result, else run
      CallRevoked          somebody revoked it               -> it ends as REVOKED
      SubmissionKnown      sent before, or somebody else's   -> answered from what is remembered of it
      SealBroken           its arguments cannot be opened    -> dead letter; nothing was sent
      UnexpectedError      a bug of ours or of a provider module -> dead letter
      CallError
        CallDeferred       not made: nothing spent, nothing learnt -> wait, no attempt used
          BreakerOpen (CircuitBreakerOpenError, in worker.breaker), CallInFlight, ConcurrencyFull
          RateLimitError
            BucketEmpty, CredentialsAside, OthersFirst, ProviderCooling, QuotaSpent
        CallFailed         made, and may work later          -> back off, one attempt used
          ProviderThrottled (ThrottledTooLong), ProviderUnavailable, SinkFailed
        CallInDoubt        a POST may or may not have arrived -> verify, never blindly resend
        CallRejected       asking again cannot help          -> dead letter
          ArgumentsInvalid, CredentialsRefused (TokenExpired), RecipientSuppressed, RequestInvalid,
          ResourceMissing, ResponseUnreadable (ResponseTooLarge), WorkerLost

EnqueueFailed is also kombu's OperationalError, ArgumentsInvalid and SealBroken its EncodeError: callers of
``delay`` know those, and Celery's tracer fails a task properly when a next step raises them.

No message holds an argument's value, a body, a header or a query string.
Seconds are floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kombu.exceptions import EncodeError, OperationalError

if TYPE_CHECKING:
    from worker.breaker import BreakerOpen as CircuitBreakerOpenError

__all__ = [
    "ArgumentsInvalid",
    "BucketEmpty",
    "CacheError",
    "CallDeferred",
    "CallError",
    "CallFailed",
    "CallInDoubt",
    "CallInFlight",
    "CallRejected",
    "CallRevoked",
    "CircuitBreakerOpenError",
    "ConcurrencyFull",
    "ConfigurationError",
    "CredentialsAside",
    "CredentialsRefused",
    "DuplicateDelivery",
    "EnqueueFailed",
    "NarrowsError",
    "NotReady",
    "OthersFirst",
    "ProviderCooling",
    "ProviderThrottled",
    "ProviderUnavailable",
    "QuotaSpent",
    "RateLimitError",
    "RecipientSuppressed",
    "RecordGone",
    "RequestInvalid",
    "ResourceMissing",
    "ResponseTooLarge",
    "ResponseUnreadable",
    "SealBroken",
    "SinkFailed",
    "StateUnavailable",
    "SubmissionKnown",
    "ThrottledTooLong",
    "TokenExpired",
    "UnexpectedError",
    "WorkerLost",
]


class NarrowsError(Exception):
    """Narrows could not do what was asked."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or _first_line(type(self)))


class ConfigurationError(NarrowsError):
    """A setting is wrong or unsafe."""

    code = "configuration_error"


class NotReady(ConfigurationError, RuntimeError):
    """What production depends on is not well."""


class CacheError(NarrowsError):
    """The cache cannot do what was asked."""

    code = "cache_error"


class EnqueueFailed(NarrowsError, OperationalError):
    """The call was not taken."""

    code = "enqueue_failed"


class StateUnavailable(NarrowsError):
    """The state Redis does not answer, so nothing is sent until it does."""

    code = "state_unavailable"


class DuplicateDelivery(NarrowsError):
    """Another copy of this message runs the call, or has ended it."""

    code = "duplicate"


class CallRevoked(NarrowsError):
    """The call was revoked."""

    code = "revoked"


class SubmissionKnown(NarrowsError):
    """What is to be submitted was sent before, or is another call's."""

    code = "submission_known"


class SealBroken(NarrowsError, EncodeError):
    """The call's sealed arguments cannot be opened here."""

    code = "sealed"


class RecordGone(NarrowsError):
    """The call's record is gone: the call ended, or the state Redis lost it."""

    code = "gone"


class UnexpectedError(NarrowsError):
    """An error that Narrows does not know ended the task."""

    code = "unexpected_error"


class CallError(NarrowsError):
    """A provider call did not give an answer.

    Attributes:
        passing: Whether waiting or trying again may still help the task that hears it. An operation
            that could do without this answer lets a passing error through and degrades otherwise.
        sent: Whether bytes of the request may have left; a submission is in doubt only then.
        neutral: The breaker learns nothing from it (the provider lives and asks for patience).
    """

    code = "upstream_error"
    passing: bool = False
    sent: bool = False
    neutral: bool = False


class CallDeferred(CallError):
    """The call was held back; it was not made and cost nothing.

    Attributes:
        reason: What holds it: ``breaker``, ``probing``, ``cooldown``, ``quota``, ``credentials``,
            ``concurrency``, ``bucket``, ``line`` or ``in_flight``.
        wait: Seconds until asking again can succeed.
        provider: Who is not asked; "" when nobody said.
        waits: Whether its task waits for better times; otherwise it is given up.
    """

    code = "deferred"
    reason: ClassVar[str] = "deferred"

    def __init__(self, message: str = "", *, wait: float = 0.0, provider: str = "") -> None:
        super().__init__(message)
        self.wait, self.provider, self.waits = wait, provider, True


class CallInFlight(CallDeferred):
    """Another worker is asking the same thing right now."""

    code = "in_flight"
    reason = "in_flight"
    passing = True


class ConcurrencyFull(CallDeferred):
    """As many calls as the provider may have at once are in flight."""

    code = "concurrency_full"
    reason = "concurrency"
    passing = True


class RateLimitError(CallDeferred):
    """The provider's limit leaves no room for the call now."""

    code = "rate_limited"


class BucketEmpty(RateLimitError):
    """The token bucket is empty."""

    reason = "bucket"
    passing = True


class OthersFirst(RateLimitError):
    """Other calls stand in line before it."""

    reason = "line"
    passing = True


class CredentialsAside(RateLimitError):
    """The provider refused all of our credentials a while ago."""

    reason = "credentials"
    passing = True


class ProviderCooling(RateLimitError):
    """The provider asked the fleet to pause."""

    reason = "cooldown"
    passing = True


class QuotaSpent(RateLimitError):
    """Today's quota is spent."""

    code = "quota_spent"
    reason = "quota"


class CallFailed(CallError):
    """The call was made and failed in a way that may pass.

    Attributes:
        status: The HTTP status, or None when no answer came.
        retry_after: Seconds the provider asked us to wait, or None.
        patience: Seconds for which it is tried again without an attempt used, because nothing is wrong with
            the call; None for what uses one.
    """

    patience: float | None = None

    def __init__(
        self, message: str = "", *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ProviderThrottled(CallFailed):
    """The provider says that we ask too often."""

    code = "rate_limited"


class ThrottledTooLong(ProviderThrottled):
    """The provider held this call back for longer than its longest cooldown."""

    code = "throttled_too_long"


class ProviderUnavailable(CallFailed):
    """The provider did not answer, or answered with a server error."""


class SinkFailed(CallFailed):
    """The place that is written to did not take a file."""

    code = "sink_failed"
    patience = 6 * 3600.0


class CallInDoubt(CallError):
    """The request may have been acted on; nobody knows.

    Attributes:
        wait: Seconds until the provider is asked whether it was; None leaves it to a person.
    """

    code = "in_doubt"
    wait: float | None = None


class CallRejected(CallError):
    """The call was refused in a way that asking again cannot change.

    Attributes:
        status: The HTTP status, or None when the call was never made.
    """

    code = "upstream_rejected"

    def __init__(self, message: str = "", *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ArgumentsInvalid(CallRejected, ValueError, EncodeError):
    """An argument is not of the kind the task takes."""

    code = "validation_error"


class CredentialsRefused(CallRejected):
    """The provider refused our credentials."""


class TokenExpired(CredentialsRefused):
    """The provider no longer takes our access token; it may take a new one."""


class RecipientSuppressed(CallRejected):
    """Who is written to does not want it, and is not written to again."""

    code = "suppressed"


class RequestInvalid(CallRejected):
    """The provider understood the request and refused it."""


class ResourceMissing(CallRejected):
    """The provider has nothing under that name."""


class ResponseUnreadable(CallRejected):
    """The answer is not what the provider's contract says."""


class ResponseTooLarge(ResponseUnreadable):
    """The answer is longer than we read; less may be asked for at once."""


class WorkerLost(CallRejected):
    """The task took its worker down too often to be tried again."""

    code = "worker_lost"


def _first_line(kind: type) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0].rstrip(".")


def __getattr__(name: str) -> type[CallDeferred]:
    """BreakerOpen, which is also pybreaker's error; pybreaker loads when it is asked for."""
    if name in {"BreakerOpen", "CircuitBreakerOpenError"}:
        from worker.breaker import BreakerOpen

        return BreakerOpen
    raise AttributeError(name)
