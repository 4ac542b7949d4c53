"""The programs of the City for which a household may be eligible, read from its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.errors import ResponseUnreadable
from worker.request import Answer

__all__ = ["Program", "Screening", "screening"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program of the City: its *code*, such as ``S2R007``, and its *name*; "" when it has none."""

    code: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """The programs for which a household may be *eligible*, in the City's order; none is an answer too."""

    eligible: list[Program]


def screening(answer: Answer) -> Screening:
    """The programs in *answer*.

    Raises:
        ResponseUnreadable: It holds no list of them.
    """
    data = answer.data if isinstance(answer.data, dict) else {}
    found = data.get("eligiblePrograms")
    if data.get("type") != "SUCCESS" or not isinstance(found, list):
        raise ResponseUnreadable("benefits sent no list of programs", status=answer.status)
    return Screening(eligible=[_program(each, answer) for each in found])


def _program(told: Any, answer: Answer) -> Program:
    code, name = (told.get("code"), told.get("name")) if isinstance(told, dict) else (None, None)
    if not isinstance(code, str):
        raise ResponseUnreadable("benefits sent a program without a code", status=answer.status)
    return Program(code=code, name=name if isinstance(name, str) else "")
