"""Arguments as others may see them: Flower, ``celery inspect``, logs, the excerpt in a dead letter.

An operation names the parameters whose values may be shown; of all others only the name is. Shown values
are trusted: a BBL has ten digits and is not a telephone number. Credentials, e-mail addresses and the
passwords in addresses are taken out of them all the same. Of sealed arguments nothing is seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from inspect import Parameter, Signature
from itertools import islice
from typing import Protocol

from config.masking import HIDDEN, is_secret_name, mask_url, plain
from worker.sealing.sealer import is_sealed

__all__ = ["Shows", "excerpt", "mask_url", "masked", "redacted_repr"]

LONGEST_VALUE = 64
LONGEST_EXCERPT = 500

_MOST_ARGUMENTS = 20
_EXTRA = "…"
_SEALED = "<sealed>"


class Shows(Protocol):
    """What knows its parameters, and which of them may be shown (:class:`worker.operation.Operation`)."""

    @property
    def signature(self) -> Signature:
        """By which arguments get their names."""

    @property
    def shown(self) -> Collection[str]:
        """Names of the parameters whose values may be seen."""


def masked(
    operation: Shows, args: Sequence[object] | None, kwargs: Mapping[str, object] | None
) -> tuple[str, str]:
    """``argsrepr`` and ``kwargsrepr`` of a message, such as ``('1012650001', ***)`` and ``{'note': ***}``.

    Takes whatever a stranger's message holds: arguments that fit no parameter are hidden with their names.
    """
    if is_sealed(args):
        return f"({_SEALED},)", "{}"
    pairs = _positional(operation.signature, _sequence(args))
    shown = [_value(name, value, operation.shown) for name, value in pairs]
    inside = ", ".join(shown) + ("," if len(shown) == 1 else "")
    return f"({inside})", redacted_repr(_named(operation.signature, kwargs), operation.shown)


def redacted_repr(parameters: Mapping[str, object], shown: Collection[str]) -> str:
    """``{'bbl': '1012650001', 'note': ***}``: values of the names in *shown* only, cut at 64 characters."""
    return (
        "{" + ", ".join(f"{name!r}: {_value(name, value, shown)}" for name, value in parameters.items()) + "}"
    )


def excerpt(operation: Shows, args: Sequence[object] | None, kwargs: Mapping[str, object] | None) -> str:
    """At most 500 characters that say what a call was about: ``bbl='1012650001', note=<str of 34>``."""
    if is_sealed(args):
        return _SEALED
    pairs = [
        *_positional(operation.signature, _sequence(args)),
        *_named(operation.signature, kwargs).items(),
    ]
    text = ", ".join(f"{name}={_value(name, value, operation.shown, _shape(value))}" for name, value in pairs)
    return text if len(text) <= LONGEST_EXCERPT else text[: LONGEST_EXCERPT - 1] + "…"


def _value(name: str, value: object, shown: Collection[str], otherwise: str = HIDDEN) -> str:
    if name not in shown or is_secret_name(name):
        return otherwise
    text = repr(plain(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _shape(value: object) -> str:
    """The kind and size of a value that is not shown."""
    if value is None:
        return "None"
    size = f" of {len(value)}" if isinstance(value, (str, bytes, Sequence, Mapping)) else ""
    return f"<{type(value).__name__}{size}>"


def _sequence(args: object) -> Sequence[object]:
    return args if isinstance(args, (list, tuple)) else ()


def _positional(signature: Signature, args: Sequence[object]) -> list[tuple[str, object]]:
    """Each argument with its parameter's name; the surplus and ``*args`` under names that are never shown."""
    places = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    names = [name for name, parameter in signature.parameters.items() if parameter.kind in places]
    names += [_EXTRA] * max(0, min(len(args), _MOST_ARGUMENTS) - len(names))
    return list(zip(names, args, strict=False))


def _named(signature: Signature, kwargs: object) -> dict[str, object]:
    """Arguments under their names; a name that is no parameter may be anything, so all those become one."""
    given = kwargs if isinstance(kwargs, Mapping) else {}
    few = dict(islice(given.items(), _MOST_ARGUMENTS))
    known = {name: value for name, value in few.items() if name in signature.parameters}
    return known if len(known) == len(given) else {**known, _EXTRA: tuple(given)[len(known) :]}
