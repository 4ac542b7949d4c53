"""The Celery task behind every operation: checked where it is enqueued, guarded where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery.result import AsyncResult

    from worker.operation import Operation

__all__ = ["GuardedTask"]


class GuardedTask(Task):
    """A provider's operation as Celery sees it.

    ``delay`` and ``apply_async`` refuse bad arguments with :class:`worker.errors.ArgumentsInvalid`, write the
    call's record, and publish. Called directly it makes its guarded calls here and now, without a record.
    """

    abstract = True
    guarded = True
    operation: Operation
    typing = False
    Request = "worker.incoming:Incoming"
    resultrepr_maxsize = 1

    def apply_async(
        self, args: Any = None, kwargs: Any = None, *positional: Any, lane: str | None = None, **options: Any
    ) -> AsyncResult[Any]:
        """Check, record and publish the call.

        Args:
            args: By place.
            kwargs: By name.
            positional: As Celery takes them.
            lane: Where it stands while calls of its provider wait: ``interactive``, ``batch`` or ``replay``.
                None is what its own header ``narrows`` names, or else the operation's.
            options: As Celery takes them.

        Submitted again under the same idempotency key it is the first submission, and so is its result.

        Raises:
            ArgumentsInvalid: names the argument and what it takes.
            SealBroken: the arguments are sealed, and cannot be opened here.
            EnqueueFailed: Redis or the broker does not answer; nothing was enqueued.
        """
        from kombu.exceptions import OperationalError
        from redis.exceptions import RedisError

        from worker.errors import EnqueueFailed, NarrowsError
        from worker.lane import lane_named
        from worker.message import new_mark
        from worker.redaction import masked
        from worker.submissions.ledger import idempotency_key, noted, submission_id

        arguments, named = self.operation.checked(*self._clear(tuple(args or ()), kwargs or {}))
        headers = options.get("headers") or {}
        mark = {"lane": self.operation.lane, **new_mark(), **(headers.get("narrows") or {})}
        mark["lane"] = lane_named(mark["lane"] if lane is None else lane, self.name)
        if self.operation.submission is not None:
            mark["noted"] = noted(self.operation, arguments, named)
            key = idempotency_key(self.operation, arguments, named)
            if key and not positional and not _followed(options) and not options.get("task_id"):
                options["task_id"] = submission_id(self.name, key, self._spent(key))
        options["headers"] = {**headers, "narrows": mark}
        options["argsrepr"], options["kwargsrepr"] = masked(self.operation, arguments, named)
        try:
            return super().apply_async(arguments, named, *positional, **options)
        except NarrowsError:
            raise
        except (RedisError, OperationalError, OSError, RuntimeError) as gone:
            # Celery listens for the result before it sends, and says RuntimeError when it cannot.
            kind = type(gone).__name__
            text = f"{self.name}: the result Redis does not answer ({kind}); nothing was enqueued"
            raise EnqueueFailed(text) from None

    def _spent(self, key: str) -> int:
        """How many submissions of that idempotency key were called back unsent; one round trip."""
        from redis.exceptions import RedisError

        from worker.engine import engine
        from worker.errors import EnqueueFailed

        try:
            return engine().ledger(self.operation.provider.name).spent(self.operation.name, key)
        except RedisError as gone:
            text = f"the state Redis does not answer ({type(gone).__name__}); nothing was enqueued"
            raise EnqueueFailed(f"{self.name}: {text}") from None

    def _clear(self, args: tuple[Any, ...], kwargs: Any) -> tuple[tuple[Any, ...], Any]:
        """The arguments, opened where they were sealed: those of a chain's next step, or of a replay."""
        from worker.sealing.sealer import is_sealed

        if not is_sealed(args):
            return args, kwargs
        from worker.engine import engine

        inside, named = engine().sealer.open(self.name, args, kwargs)
        return tuple(inside), named

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the operation returns, through the gate."""
        from worker.engine import engine
        from worker.sealing.opening import opened

        return engine().runner.run(self, *opened(self, args, kwargs))

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:  # noqa: ARG002
        """Once Celery has stored RETRY: the record waits."""
        from worker.engine import engine

        engine().runner.settle(self, "RETRY", exc, args, kwargs)

    def after_return(
        self,
        status: str,
        retval: Any,
        task_id: str,  # noqa: ARG002 - Celery's signature
        args: Any,
        kwargs: Any,
        einfo: Any,  # noqa: ARG002
    ) -> None:
        """Once Celery has stored the outcome: decide the record's fate."""
        from worker.engine import engine

        engine().runner.settle(self, status, retval, args, kwargs)


def _followed(options: Mapping[str, Any]) -> bool:
    """Whether steps come after the call: they are its own, also when it repeats a submission."""
    return bool(
        options.get("link") or options.get("link_error") or options.get("chain") or options.get("chord")
    )
