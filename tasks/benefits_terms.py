"""The words and amounts that the City's screening knows, and how arguments are held to them.

They stand in https://screeningapidocs.cityofnewyork.us, in the descriptions of its fields.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tasks.arguments import Parsed

__all__ = [
    "CASE_ID",
    "EXPENSES",
    "FREQUENCIES",
    "HEAD",
    "INCOMES",
    "MEMBERS",
    "PROGRAM",
    "RENTALS",
    "YES_OR_NO",
    "dollars",
    "maybe",
    "one_of",
]

HEAD = "HeadOfHousehold"

RENTALS = (
    "NYCHA", "MarketRate", "RentControlled", "RentRegulatedHotel", "Section213", "LimitedDividendDevelopment",
    "MitchellLama", "RedevelopmentCompany", "HDFC", "FamilyHome", "Condo",
)  # fmt: skip
MEMBERS = (
    HEAD, "Child", "FosterChild", "StepChild", "Grandchild", "Spouse", "Parent", "FosterParent", "StepParent",
    "Grandparent", "SisterBrother", "StepSisterStepBrother", "BoyfriendGirlfriend", "DomesticPartner",
    "Unrelated", "Other",
)  # fmt: skip
INCOMES = (
    "Wages", "SelfEmployment", "Unemployment", "CashAssistance", "ChildSupport", "DisabilityMedicaid", "SSI",
    "SSDependent", "SSDisability", "SSSurvivor", "SSRetirement", "NYSDisability", "Veteran", "Pension",
    "DeferredComp", "WorkersComp", "Alimony", "Boarder", "Gifts", "Rental", "Investment",
)  # fmt: skip
EXPENSES = (
    "ChildCare", "ChildSupport", "DependentCare", "Rent", "Medical", "Heating", "Cooling", "Mortgage",
    "Utilities", "Telephone", "InsurancePremiums",
)  # fmt: skip
FREQUENCIES = ("Weekly", "Biweekly", "Monthly", "Semimonthly", "Yearly")

_CASE = re.compile(r"(?=.*\d)[A-Za-z0-9]+(?:[-./][A-Za-z0-9]+)*")
_SOMEBODY = re.compile(r"\d{3}[-./]\d{2}[-./]\d{4}|(?:1[-./])?(?:\d{3}[-./])?\d{3}[-./]\d{4}")
"""How social security and telephone numbers are written."""

_PROGRAM = re.compile(r"[A-Z0-9]{2,16}")
LONGEST_CASE = 64


def one_of(names: Sequence[str]) -> Parsed:
    """Takes one of *names*, spelt as the City does."""
    wanted = f"takes one of {', '.join(names)}"

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(wanted)
        return value

    return Parsed(parse)


def dollars(digits: int) -> Parsed:
    """Takes an amount with *digits* before the point at most, and gives it two places.

    Floats are refused: three times 0.1 is no 30 cents.
    """
    wanted = f'takes dollars as a text, at most {digits} digits and two behind the point: "300.00", no float'
    amount = re.compile(rf"(?=.)(\d{{0,{digits}}})(?:\.(\d{{1,2}}))?", re.ASCII)

    def parse(value: Any) -> str:
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**digits
        text = str(value) if whole else value
        found = amount.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(wanted)
        before, cents = found.groups(default="")
        return f"{int(before or 0)}.{cents:0<2}"

    return Parsed(parse)


def maybe(mark: Parsed) -> Parsed:
    """Takes what *mark* does, or nothing: None, or the empty text that forms send."""

    def parse(value: Any) -> Any:
        return None if value is None or value == "" else mark.parse(value)

    return Parsed(parse)


def _yes_or_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("takes True or False, no text and no number")


def _case_id(value: Any) -> str:
    fits = isinstance(value, str) and len(value) <= LONGEST_CASE and _CASE.fullmatch(value)
    if not fits or _SOMEBODY.fullmatch(value):
        raise ValueError(
            f"takes a case's number and nothing about a person: up to {LONGEST_CASE} letters and digits, "
            'also "-", "." and "/" between them, at least one digit, no telephone or social security number; '
            'for example "case-01"'
        )
    return str(value)


def _program(value: Any) -> str:
    code = value.strip().upper() if isinstance(value, str) else ""
    if not _PROGRAM.fullmatch(code):
        raise ValueError('takes the code of a program, for example "S2R010"')
    return code


YES_OR_NO, CASE_ID, PROGRAM = Parsed(_yes_or_no), Parsed(_case_id), Parsed(_program)
