"""A household as the City's screening takes it: checked where a task is called, a document on the wire.

The fields are the City's under Python's names: ``cash_on_hand`` is its ``cashOnHand``. None of them says who
somebody is, and what is no field is refused. What is left out is not told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Annotated, Any

from tasks import benefits_terms as terms
from tasks.arguments import Parsed, whole_number

__all__ = ["AHousehold", "Expense", "Household", "Income", "People", "Person", "document"]

MOST_PEOPLE = 8
MOST_AMOUNTS = 50
"""Of incomes, or of expenses, that one person has. This limit is ours."""


def _part(kind: Any, *, called: str) -> Parsed:
    """Takes an object with fields of *kind* only. One that was made before is looked at again."""
    names = [field.name for field in fields(kind)]
    wanted = f"takes {called}, an object with no other fields than {', '.join(names)}"

    def parse(value: Any) -> dict[str, Any]:
        value = asdict(value) if isinstance(value, kind) else value
        if not isinstance(value, Mapping) or not set(value) <= set(names):
            raise ValueError(wanted)
        return dict(value)

    return Parsed(parse)


def _amounts(value: Any) -> Any:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or len(value) > MOST_AMOUNTS:
        raise ValueError(f"takes a list of at most {MOST_AMOUNTS}")
    return value


def _people(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_PEOPLE:
        raise ValueError(f"takes a list of 1 to {MOST_PEOPLE} persons")
    if terms.HEAD not in map(_member, value):
        raise ValueError(f'takes at least one person whose household_member_type is "{terms.HEAD}"')
    return value


def _member(person: Any) -> Any:
    if isinstance(person, Mapping):
        return person.get("household_member_type")
    return getattr(person, "household_member_type", None)


YesOrNo = Annotated[bool | None, terms.maybe(terms.YES_OR_NO)]
Frequency = Annotated[str, terms.one_of(terms.FREQUENCIES)]
Amount = Annotated[str, terms.dollars(6)]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Income:
    """What a person gets: dollars as a text (``"300.00"``), from where, how often."""

    amount: Amount
    type: Annotated[str, terms.one_of(terms.INCOMES)]
    frequency: Frequency


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Expense:
    """What a person pays: dollars as a text, for what, how often."""

    amount: Amount
    type: Annotated[str, terms.one_of(terms.EXPENSES)]
    frequency: Frequency


Incomes = Annotated[tuple[Annotated[Income, _part(Income, called="an income")], ...], Parsed(_amounts)]
Expenses = Annotated[tuple[Annotated[Expense, _part(Expense, called="an expense")], ...], Parsed(_amounts)]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Person:
    """One member of the household; *age* in years."""

    age: Annotated[int, whole_number(0, 999, example=35)]
    household_member_type: Annotated[str, terms.one_of(terms.MEMBERS)]
    student: YesOrNo = None
    student_fulltime: YesOrNo = None
    pregnant: YesOrNo = None
    unemployed: YesOrNo = None
    unemployed_worked_last_18_months: YesOrNo = None
    blind: YesOrNo = None
    disabled: YesOrNo = None
    veteran: YesOrNo = None
    benefits_medicaid: YesOrNo = None
    benefits_medicaid_disability: YesOrNo = None
    living_owner_on_deed: YesOrNo = None
    living_rental_on_lease: YesOrNo = None
    incomes: Incomes = ()
    expenses: Expenses = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Household:
    """How it lives; *cash_on_hand* in dollars as a text (``"50000.00"``)."""

    case_id: Annotated[str | None, terms.maybe(terms.CASE_ID)] = None
    cash_on_hand: Annotated[str | None, terms.maybe(terms.dollars(7))] = None
    living_rental_type: Annotated[str | None, terms.maybe(terms.one_of(terms.RENTALS))] = None
    living_renting: YesOrNo = None
    living_owner: YesOrNo = None
    living_staying_with_friend: YesOrNo = None
    living_hotel: YesOrNo = None
    living_shelter: YesOrNo = None
    living_prefer_not_to_say: YesOrNo = None


AHousehold = Annotated[Household, _part(Household, called="a household")]
People = Annotated[tuple[Annotated[Person, _part(Person, called="a person")], ...], Parsed(_people)]


def document(household: Household, people: Sequence[Person], *, withhold: bool) -> list[dict[str, Any]]:
    """The body of a screening: a list of one."""
    people_told = [_told(each) for each in people]
    return [{"household": [_told(household)], "person": people_told, "withholdPayload": withhold}]


def _told(part: Any) -> Any:
    """*part* under the City's names, without what was left out."""
    if isinstance(part, tuple):
        return [_told(each) for each in part]
    if not is_dataclass(part):
        return part
    known = {field.name: getattr(part, field.name) for field in fields(part)}
    return {_theirs(name): _told(value) for name, value in known.items() if value not in (None, ())}


def _theirs(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
