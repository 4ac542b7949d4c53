"""``@cached``: a function whose answers are kept."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from worker.cache.cache import Cache

__all__ = ["Cached", "cached"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Cached(Protocol[P, R_co]):
    """The function, and how to make it forget."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The kept answer, or a new one."""

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """The next call with these arguments asks anew. Raises CacheError when Redis does not hear it."""


def cached(
    cache: Cache, *, ttl: float, key: Callable[..., str] | str | None = None, memory: float | None = None
) -> Callable[[Callable[P, R_co]], Cached[P, R_co]]:
    """A decorator: answers are kept for *ttl* seconds, ``None`` too; what raises is not kept.

    Answers pass through JSON: a kept tuple comes back as a list, and an answer that is not JSON
    is never kept. Each caller gets an object of its own.

    Args:
        cache: Where.
        ttl: Seconds.
        key: The whole key, or a function from the arguments to it; None makes one from the
            function's name and a hash of its arguments, which must be JSON then.
        memory: Seconds of these without asking Redis; None is all.
    """

    def decorate(function: Callable[P, R_co]) -> Cached[P, R_co]:
        name_of = _naming(function, key)

        @functools.wraps(function)
        def ask(*args: P.args, **kwargs: P.kwargs) -> R_co:
            name = name_of(*args, **kwargs)
            known = cache.get(name)
            if known is not None and known.fresh:
                return cast("R_co", known.value)
            answer = function(*args, **kwargs)
            cache.put(name, answer, fresh=ttl, memory=ttl if memory is None else memory)
            return answer

        def forget(*args: P.args, **kwargs: P.kwargs) -> None:
            cache.delete(name_of(*args, **kwargs))

        wrapped = cast("Cached[P, R_co]", ask)
        wrapped.forget = forget  # type: ignore[method-assign]
        return wrapped

    return decorate


def _naming(function: Callable[P, R_co], key: Callable[..., str] | str | None) -> Callable[P, str]:
    if callable(key):
        return key
    if key is not None:
        return lambda *_args, **_kwargs: key
    signature = inspect.signature(function)
    prefix = f"narrows:{{cached}}:cache:{function.__module__}.{function.__qualname__}:"

    def name(*args: P.args, **kwargs: P.kwargs) -> str:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        said = json.dumps(bound.arguments, sort_keys=True, separators=(",", ":"))
        return prefix + hashlib.sha256(said.encode()).hexdigest()[:32]

    return name
