"""An operation: what a provider module offers, as a generator that asks and is answered.

The generator yields requests, receives answers, and returns its result. It does no I/O, so a
test drives it with ``send``; the engine drives it through cache, gate and HTTP. Errors of
:mod:`worker.errors` are thrown in at the ``yield``.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from worker import registry
from worker.application import app
from worker.errors import ArgumentsInvalid
from worker.lane import LANES, lane_named
from worker.steps import Progress, Steps
from worker.task import GuardedTask

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError
    from pydantic_core import ErrorDetails

    from worker.provider import Provider
    from worker.submissions.submission import Submits

__all__ = ["Operation", "Progress", "Steps", "operation"]

_FIELD = re.compile(r"(?!.*\d{3})[a-z][a-z0-9_]{0,40}")
_EXTRA = "is not one of its fields"
_MOST_TOLD, _LONGEST_TOLD = 20, 1_800
"""Complaints about one argument, and their characters."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that a provider can be asked, and how its arguments are checked.

    Attributes:
        shown: Parameters whose values may stand in Flower, logs and dead-letter excerpts.
        lane: Where its calls stand in line when their callers do not say.
        submission: How it submits, when it changes something outside.
    """

    provider: Provider
    function: Callable[..., Steps[Any]]
    shown: tuple[str, ...] = ()
    lane: str = LANES[0]
    submission: Submits | None = None

    @property
    def name(self) -> str:
        """The operation's half of the task's name."""
        return self.function.__name__

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's parameters, by which arguments are bound."""
        return inspect.signature(self.function)

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter[Any]]:
        from pydantic import TypeAdapter

        hints = typing.get_type_hints(self.function, include_extras=True)
        return {name: TypeAdapter(hints[name]) for name in self.signature.parameters}

    @cached_property
    def _by_place(self) -> range:
        """How many arguments may be given by place alone; binding those by hand takes a tenth of the time."""
        parameters = self.signature.parameters.values()
        if any(each.kind is not each.POSITIONAL_OR_KEYWORD for each in parameters):
            return range(0)
        needed = sum(each.default is each.empty for each in parameters)
        return range(needed, len(parameters) + 1)

    def checked(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as they go on the wire (JSON), each parsed and normalised.

        Raises:
            ArgumentsInvalid: names the argument and what it takes; holds no value.
        """
        if not kwargs and len(args) in self._by_place:
            return [self._on_wire(*pair) for pair in zip(self._adapters, args, strict=False)], {}
        bound = self._bound(args, kwargs)
        for name, value in bound.arguments.items():
            bound.arguments[name] = self._on_wire(name, value)
        return list(bound.args), dict(bound.kwargs)

    def steps(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Steps[Any]:
        """The generator for these arguments, parsed into what the function takes."""
        bound = self.parsed(args, kwargs)
        return self.function(*bound.args, **bound.kwargs)

    def parsed(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """The arguments as the function takes them.

        Raises:
            ArgumentsInvalid: names the argument and what it takes; holds no value.
        """
        bound = self._bound(args, kwargs)
        for name, value in bound.arguments.items():
            bound.arguments[name] = self._parsed(name, value)
        return bound

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        try:
            return self.signature.bind(*args, **kwargs)
        except TypeError as wrong:
            strange = [name for name in kwargs if name not in self.signature.parameters]
            said = str(wrong) if all(map(_is_field, strange)) else "got an unexpected keyword argument"
            message = f"{self.name}: {said}; it takes {self.name}{self._parameters()}"
            raise ArgumentsInvalid(message) from None

    def _parameters(self) -> str:
        return "(" + ", ".join(self.signature.parameters) + ")"

    def _parsed(self, name: str, value: Any) -> Any:
        try:
            return self._adapters[name].validator.validate_python(value)
        except _refusal() as wrong:
            raise ArgumentsInvalid(f"{self.name}: {_said(name, wrong)}") from None

    def _on_wire(self, name: str, value: Any) -> Any:
        return self._adapters[name].serializer.to_python(self._parsed(name, value), mode="json")


def _refusal() -> type[ValidationError]:
    """What pydantic raises; asked for only when something was raised."""
    from pydantic import ValidationError

    return ValidationError


def _said(name: str, wrong: ValidationError) -> str:
    """Everything that is wrong with the argument *name*, in one line and without a value.

    Fields are named by their path (``payload.contact.phone``), items by their place (``bbls: [3]``).
    """
    errors = wrong.errors(include_input=False, include_url=False)
    told: list[str] = []
    for error in errors[:_MOST_TOLD]:
        complaint = _complaint(name, error)[:_LONGEST_TOLD]
        if sum(map(len, told)) + len(complaint) > _LONGEST_TOLD:
            break
        told.append(complaint)
    more = [f"and {len(errors) - len(told)} more"] if len(errors) > len(told) else []
    return "; ".join([*told, *more])


def _complaint(name: str, error: ErrorDetails) -> str:
    places, fields = "", name
    for part in error["loc"]:
        if isinstance(part, int):
            places += f"[{part}]"
        else:
            fields += f"{places}.{_field(part)}"
            places = ""
    message = _EXTRA if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    return f"{fields}: {places} {message}".replace(":  ", ": ")


def _field(name: str) -> str:
    """*name*, unless it is the caller's own and may be anything."""
    return name if _is_field(name) else "…"


def _is_field(name: object) -> bool:
    return isinstance(name, str) and _FIELD.fullmatch(name) is not None


def operation(
    provider: Provider,
    *,
    shown: tuple[str, ...] = (),
    lane: str = LANES[0],
    submission: Submits | None = None,
) -> Callable[[Callable[..., Steps[Any]]], GuardedTask]:
    """Make a generator function the task ``<provider>.<function>``.

    Args:
        provider: Whose limits guard the requests that it yields.
        shown: Parameters whose values may be shown; all others are masked everywhere.
        lane: Where its calls stand in line when their callers do not say: ``interactive``, ``batch`` or
            ``replay``.
        submission: How it submits: it yields one request that is not repeatable, returns
            :class:`worker.submissions.submission.Accepted`, and has a parameter ``idempotency_key``.
    """
    lane_named(lane, provider.name)
    registry.add(provider)

    def task(function: Callable[..., Steps[Any]]) -> GuardedTask:
        if submission is not None and "idempotency_key" not in inspect.signature(function).parameters:
            name = f"{provider.name}.{function.__name__}"
            raise TypeError(f"{name} submits, so it takes a parameter idempotency_key: IdempotencyKey = None")
        made: GuardedTask = app.task(
            base=GuardedTask,
            name=f"{provider.name}.{function.__name__}",
            operation=Operation(
                provider=provider, function=function, shown=shown, lane=lane, submission=submission
            ),
        )(function)
        return made

    return task
