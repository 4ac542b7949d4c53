"""What a screening may hold, after the owner's specification, and what the sandbox makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["PROGRAMS", "complaints", "eligible"]

PROGRAMS = {
    "S2R001": "Child Care Vouchers",
    "S2R007": "Supplemental Nutrition Assistance Program (SNAP)",
    "S2R010": "Senior Citizen Rent Increase Exemption (SCRIE)",
    "S2R023": "Veterans' Property Tax Exemption",
}
"""Some of the City's names under codes of our own."""

_CASH = re.compile(r"\d{1,7}(\.\d{1,2})?")
_AMOUNT = re.compile(r"\d{0,6}(\.\d{1,2})?")
_WORDS = {"livingRentalType": 64, "caseId": 64, "householdMemberType": 32, "type": 32, "frequency": 16}
_TEXTS = {"cashOnHand": _CASH, "amount": _AMOUNT}
_LISTS = ("incomes", "expenses")
_HOUSEHOLD = (
    "caseId", "cashOnHand", "livingRentalType", "livingRenting", "livingOwner", "livingStayingWithFriend",
    "livingHotel", "livingShelter", "livingPreferNotToSay",
)  # fmt: skip
_PERSON = (
    "age", "student", "studentFulltime", "pregnant", "unemployed", "unemployedWorkedLast18Months", "blind",
    "disabled", "veteran", "benefitsMedicaid", "benefitsMedicaidDisability", "householdMemberType",
    "livingOwnerOnDeed", "livingRentalOnLease", "incomes", "expenses",
)  # fmt: skip
_ENTRY = ("amount", "type", "frequency")

Complaint = tuple[str, str, str]
"""A code, the path to what is wrong, and words."""


def complaints(body: Any) -> Iterator[Complaint]:
    """All that is wrong with *body*."""
    if not isinstance(body, list) or len(body) != 1 or not isinstance(body[0], dict):
        yield "array.base", "", "the request must be an array of one object."
        return
    told = body[0]
    for name, most in (("household", 1), ("person", 8)):
        part = told.get(name)
        if part is None:
            yield "any.required", f"0.{name}", f"{name} is required."
        elif not isinstance(part, list) or not 1 <= len(part) <= most:
            yield "array.length", f"0.{name}", f"{name} must hold 1 to {most} items."
        else:
            for number, each in enumerate(part):
                known, needed = (
                    (_HOUSEHOLD, ()) if name == "household" else (_PERSON, ("age", "householdMemberType"))
                )
                yield from _object(each, f"0.{name}.{number}", known, needed)
    if not isinstance(told.get("withholdPayload", False), bool):
        yield "boolean.base", "0.withholdPayload", "withholdPayload must be a boolean."
    heads = [
        each for each in _dicts(told.get("person")) if each.get("householdMemberType") == "HeadOfHousehold"
    ]
    if not heads:
        yield "any.required", "0.person.0.headOfHousehold", "headOfHousehold is required."


def _object(told: Any, path: str, known: tuple[str, ...], needed: tuple[str, ...]) -> Iterator[Complaint]:
    if not isinstance(told, dict):
        yield "object.base", path, "an object is required."
        return
    for name in needed:
        if name not in told:
            yield "any.required", f"{path}.{name}", f"{name} is required."
    for name, value in told.items():
        if name not in known:
            yield "object.allowUnknown", f"{path}.{name}", "it is not allowed."
        elif name in _LISTS:
            for number, each in enumerate(value if isinstance(value, list) else [None]):
                yield from _object(each, f"{path}.{name}.{number}", _ENTRY, _ENTRY)
        elif not _fits(name, value):
            yield "string.base.regex", f"{path}.{name}", f"{name} has invalid format."


def _fits(name: str, value: Any) -> bool:
    if name in _TEXTS:
        return isinstance(value, str) and bool(value) and _TEXTS[name].fullmatch(value) is not None
    if name in _WORDS:
        return isinstance(value, str) and len(value) <= _WORDS[name]
    if name == "age":
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 999
    return isinstance(value, bool)


def eligible(body: Any) -> list[str]:
    """The codes of the programs for the household in *body*: rules that nobody should apply for."""
    told = body[0]
    household, people = told["household"][0], told["person"]
    cash = float(household.get("cashOnHand", "0"))
    found = {
        "S2R001": any(each["age"] < 13 for each in people),
        "S2R007": cash < 5000,
        "S2R010": household.get("livingRenting", False) and any(each["age"] >= 62 for each in people),
        "S2R023": household.get("livingOwner", False) and any(each.get("veteran") for each in people),
    }
    return [code for code, fits in found.items() if fits]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
