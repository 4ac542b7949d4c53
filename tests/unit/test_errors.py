"""The error tree is what it says it is."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pkgutil import walk_packages

import pytest

import tasks
from worker import errors
from worker.errors import (
    BucketEmpty,
    CallError,
    CircuitBreakerOpenError,
    NarrowsError,
    RateLimitError,
)

TREE = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, NarrowsError)]


def test_all_names_what_the_module_has() -> None:
    """No more, no less, sorted."""
    here = {kind.__name__ for kind in TREE if kind.__module__ == "worker.errors"}

    assert errors.__all__ == sorted(here | {"CircuitBreakerOpenError"})


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_the_docstring_is_the_default_message(kind: type[NarrowsError]) -> None:
    """Its first line, without the full stop."""
    assert str(kind()) == (kind.__doc__ or "").splitlines()[0].rstrip(".")


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_result_backend(kind: type[NarrowsError]) -> None:
    """Celery makes it again from its arguments."""
    error = kind("a message")

    assert str(type(error)(*error.args)) == "a message"


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_the_code_is_a_word(kind: type[NarrowsError]) -> None:
    """It stands in log lines and dead letters."""
    assert re.fullmatch(r"[a-z_]+", kind.code)


def test_the_handbooks_names_are_what_callers_catch() -> None:
    """RateLimitError and CircuitBreakerOpenError, whatever held the call."""
    assert issubclass(BucketEmpty, RateLimitError)
    assert issubclass(CircuitBreakerOpenError, CallError)


def test_every_error_stands_in_the_drawing() -> None:
    """The module's docstring is the map."""
    drawn = errors.__doc__ or ""

    assert [kind.__name__ for kind in TREE if kind.__name__ not in drawn] == []


def test_no_provider_module_has_errors_of_its_own() -> None:
    """A caller that has not imported it would meet a stranger. The demo's is raised in no worker."""
    for module in walk_packages(tasks.__path__, "tasks."):
        import_module(module.name)
    pending, found = [NarrowsError], {""}
    while pending:
        kind = pending.pop()
        found.add(kind.__module__)
        pending += kind.__subclasses__()

    assert [name for name in found if name.startswith("tasks.")] == ["tasks.demo_stage"]
