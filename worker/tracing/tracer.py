"""What becomes of a call, told as spans to whoever collects them; to nobody unless that is asked for.

:class:`Untraced` does nothing, and is what a process has without ``NARROWS_TRACING_ENDPOINT``. With it there
is :class:`worker.tracing.spans.Spans`, and only then is OpenTelemetry imported. ``docs/tracing.md`` has the
tree.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from worker.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from config.settings import Settings
    from worker.claim import Claim
    from worker.provider import Provider
    from worker.request import Answer, Request

__all__ = ["Tracer", "Untraced", "chosen_tracer"]

_NOTHING = nullcontext()


class Tracer(Protocol):
    """The verbs by which the engine tells what it does. None raises, and none waits for a collector.

    Attributes:
        on: Whether this process makes spans of its own.
    """

    on: bool

    def sending(
        self, task: str, headers: Mapping[str, Any], mark: dict[str, Any]
    ) -> AbstractContextManager[None]:
        """Around the publishing of one message; *mark*, our header in it, gets trace and parent."""

    def sending_many(self, task: str) -> AbstractContextManager[None]:
        """Around :func:`worker.bulk.enqueueing.enqueue_many`."""

    def carried(self) -> dict[str, str]:
        """What our header holds for messages that are made just now: ``trace_id`` and ``parent``."""

    def replayed(self, task: str, trace_id: str, generation: int) -> dict[str, str]:
        """The same for a call that is made of a dead letter."""

    def running(self, task: str, claim: Claim, request: Any) -> AbstractContextManager[None]:
        """Around one run of a task; *request* is Celery's."""

    def settling(self, claim: Claim, status: str, why: Any) -> AbstractContextManager[None]:
        """Around what is done about its outcome. The run's span ends with it."""

    def over(self, claim: Claim) -> None:
        """The run is over, whatever became of it."""

    def calling(
        self, provider: Provider, request: Request, claim: Claim, operation: str
    ) -> AbstractContextManager[None]:
        """Around one guarded call."""

    def waiting(self) -> AbstractContextManager[None]:
        """Around the gate: the question, and the wait in the slot."""

    def exchange(self, provider: Provider, request: Request, send: Callable[[], Answer]) -> Answer:
        """What *send* returns, or raises."""

    def event(self, name: str, **about: str | float) -> None:
        """Something happened to the call of this thread."""

    def close(self) -> None:
        """Send what is left, within seconds."""


class Untraced:
    """Tells nobody.

    A service that uses OpenTelemetry by itself, with a provider of its own, gets spans of what it sends all
    the same, in its own traces: that costs one look at the modules which are loaded.
    """

    on = False
    _borrowed: Tracer | None = None

    def sending(
        self, task: str, headers: Mapping[str, Any], mark: dict[str, Any]
    ) -> AbstractContextManager[None]:
        """As above."""
        theirs = self._theirs
        return _NOTHING if theirs is None else theirs.sending(task, headers, mark)

    def sending_many(self, task: str) -> AbstractContextManager[None]:
        """As above."""
        theirs = self._theirs
        return _NOTHING if theirs is None else theirs.sending_many(task)

    def carried(self) -> dict[str, str]:
        """As above."""
        theirs = self._theirs
        return {} if theirs is None else theirs.carried()

    def replayed(self, task: str, trace_id: str, generation: int) -> dict[str, str]:  # noqa: ARG002
        """Nothing."""
        return {}

    def running(self, task: str, claim: Claim, request: Any) -> AbstractContextManager[None]:  # noqa: ARG002
        """Nothing."""
        return _NOTHING

    def settling(self, claim: Claim, status: str, why: Any) -> AbstractContextManager[None]:  # noqa: ARG002
        """Nothing."""
        return _NOTHING

    def over(self, claim: Claim) -> None:
        """Nothing."""

    def calling(
        self,
        provider: Provider,  # noqa: ARG002
        request: Request,  # noqa: ARG002
        claim: Claim,  # noqa: ARG002
        operation: str,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Nothing."""
        return _NOTHING

    def waiting(self) -> AbstractContextManager[None]:
        """Nothing."""
        return _NOTHING

    def exchange(self, provider: Provider, request: Request, send: Callable[[], Answer]) -> Answer:  # noqa: ARG002
        """What *send* returns."""
        return send()

    def event(self, name: str, **about: str | float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    @property
    def _theirs(self) -> Tracer | None:
        """Spans by way of the provider that this program has set up for itself; None when it has none."""
        if "opentelemetry.sdk.trace" not in sys.modules:
            return None
        if self._borrowed is None:
            from worker.tracing.spans import Spans

            self._borrowed = Spans(None)
        return self._borrowed


def chosen_tracer(settings: Settings) -> Tracer:
    """The tracer that *settings* ask for.

    Raises:
        ConfigurationError: What it takes is not installed.
    """
    if settings.tracing_endpoint is None:
        return Untraced()
    try:
        from worker.tracing.provider import OwnProvider
        from worker.tracing.spans import Spans
    except ModuleNotFoundError as missing:
        text = f"NARROWS_TRACING_ENDPOINT needs a package that is not here ({missing.name})"
        raise ConfigurationError(f"{text}: pip install narrows[otel]") from None
    return Spans(OwnProvider(settings))
