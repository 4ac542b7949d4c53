"""What an operation yields beside requests, and what it is made of.

An operation does no I/O; what it needs done it yields, and the engine does it and sends back what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from worker.request import Request

if TYPE_CHECKING:
    from worker.provider import Provider

__all__ = ["Alone", "Do", "Progress", "Safe", "Step", "Steps", "asking", "plain"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a long operation is; becomes the task's state PROGRESS."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Do:
    """Something outside of providers: a file written, a mark read. Its value is sent back.

    What it raises is raised at the ``yield``. When a worker dies it may be done again, and has to bear that.
    """

    action: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Alone:
    """From here to its end, this operation is the only one of the fleet that does *what*, or it waits.

    Attributes:
        seconds: For which others wait when its worker dies, or when nobody knows whether something that it
            asked for is still to be done; longer than what follows takes.
        provider: Whose *what* it is; "" is the provider whose operation it is.
    """

    what: str
    seconds: float = 90.0
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Safe:
    """What was done so far will not be done again: failures are counted from here.

    The call's next wait in line is behind those that stand there by then.
    """


Step = Request | Progress | Do | Alone | Safe

Steps = Generator[Step, Any, T]


def asking(provider: Provider, steps: Steps[T]) -> Steps[T]:
    """*steps* of an operation of *provider*, as a part of another provider's operation."""
    try:
        wanted = next(steps)
        while True:
            if isinstance(wanted, Request | Alone) and not wanted.provider:
                wanted = replace(wanted, provider=provider.name)
            try:
                answer = yield wanted
            except Exception as why:  # noqa: BLE001 - whatever it is, it is theirs to hear
                wanted = steps.throw(why)
            else:
                wanted = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


def plain(value: Any) -> Any:
    """*value* as JSON has it: a dataclass, or a list of them, as objects."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, list | tuple) and any(is_dataclass(each) for each in value):
        return [plain(each) for each in value]
    return value
