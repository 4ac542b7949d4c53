"""The screening: what the City is told of a household, what it says, what is refused before it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import ProviderSettings
from tasks import benefits_terms as terms
from tasks.benefits import PROVIDER, Program, Screening, request, screen_household
from tasks.benefits_household import Expense, Household, Income, Person
from tasks.benefits_programs import screening
from tests.driver import Driver
from worker.auth.pieces import ClientCredentials, Login
from worker.errors import ArgumentsInvalid, CallError, ConfigurationError, RequestInvalid, ResponseUnreadable
from worker.http.verdict import failure, verdict
from worker.operation import _field
from worker.overrides import overridden
from worker.redaction import excerpt, masked
from worker.request import Answer, Request
from worker.steps import plain

HEAD: dict[str, Any] = {"age": 35, "household_member_type": "HeadOfHousehold"}
CHILD: dict[str, Any] = {"age": 3, "household_member_type": "Child"}
FOUND = {"type": "SUCCESS", "eligiblePrograms": [{"code": "SR2019", "name": "Health Insurance"}]}
FAILURE = {
    "type": "FAILURE",
    "errors": [
        {
            "message": "cashOnHand has invalid format: 12,000 of Ada Lovelace",
            "moreInfo": "See API documentation",
            "code": "string.base.regex",
            "elementPath": "0.household.0.cashOnHand",
        }
    ],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "eligiblePrograms", "code", "name"]), inner)
    ),
    max_leaves=10,
)


def asked(*args: Any, said: Any = FOUND, **kwargs: Any) -> tuple[Screening, Request]:
    """What the operation returns when the City says *said*, and the one thing that it asked."""
    answer: Callable[[Request], Answer | CallError] = lambda _: Answer(status=200, data=said)  # noqa: E731
    driver = Driver(answer=answer)
    found = driver.run(screen_household.operation.steps(args, kwargs))
    (only,) = driver.requests
    return found, only


def told(*args: Any, **kwargs: Any) -> Any:
    """The one document of the request's list."""
    (document,) = asked(*args, **kwargs)[1].data
    return document


def refusal(*args: Any, **kwargs: Any) -> str:
    """What the caller hears."""
    with pytest.raises(ArgumentsInvalid) as refused:
        screen_household.operation.checked(args, kwargs)
    return str(refused.value)


def test_a_household_is_told_under_the_citys_own_names() -> None:
    """In a list of one, as its interface has it; what was left out is not told."""
    household = {"case_id": "case-01", "cash_on_hand": "50000", "living_renting": True, "living_hotel": None}
    person = {
        **HEAD,
        "unemployed_worked_last_18_months": False,
        "incomes": [{"amount": "300", "type": "Wages", "frequency": "Weekly"}],
    }

    found, only = asked(household, [person, CHILD], ["s2r010", "S2R007", " s2r010"])

    assert found == Screening(eligible=[Program(code="SR2019", name="Health Insurance")])
    assert only == Request(
        path="/eligibilityPrograms",
        method="POST",
        params={"interestedPrograms": "S2R010|S2R007"},
        data=[
            {
                "household": [{"caseId": "case-01", "cashOnHand": "50000.00", "livingRenting": True}],
                "person": [
                    {
                        "age": 35,
                        "householdMemberType": "HeadOfHousehold",
                        "unemployedWorkedLast18Months": False,
                        "incomes": [{"amount": "300.00", "type": "Wages", "frequency": "Weekly"}],
                    },
                    {"age": 3, "householdMemberType": "Child"},
                ],
                "withholdPayload": True,
            }
        ],
        label="screening",
        pure=True,
    )


def test_a_screening_may_be_asked_again() -> None:
    """It computes, and stores nothing."""
    assert asked({}, [HEAD])[1].repeatable


def test_what_the_city_may_keep_is_the_callers_to_say() -> None:
    """Nothing, unless they say otherwise."""
    assert told({}, [HEAD])["withholdPayload"] is True
    assert told({}, [HEAD], withhold_payload=False)["withholdPayload"] is False


def test_no_programs_named_are_all_of_them() -> None:
    """And no parameter."""
    assert asked({}, [HEAD])[1].params == {}


def test_the_same_is_told_whether_it_came_as_objects_or_as_dictionaries() -> None:
    """Both are looked at; what goes over the wire to a worker says the same."""
    objects = (
        Household(cash_on_hand="1", living_rental_type="NYCHA"),
        [
            Person(
                age=70,
                household_member_type="HeadOfHousehold",
                veteran=True,
                incomes=(Income(amount="1.5", type="Pension", frequency="Monthly"),),
                expenses=(Expense(amount="0.5", type="Rent", frequency="Monthly"),),
            )
        ],
    )

    wire, _ = screen_household.operation.checked(objects, {})

    assert told(*json.loads(json.dumps(wire))) == told(*objects)
    assert told(*objects)["person"][0]["incomes"] == [
        {"amount": "1.50", "type": "Pension", "frequency": "Monthly"}
    ]


def test_an_object_that_was_made_wrong_is_refused_like_a_dictionary() -> None:
    """Making one checks nothing."""
    wrong = Household(cash_on_hand="a fortune")

    assert refusal(wrong, [HEAD]).startswith("screen_household: household.cash_on_hand: takes dollars")


@pytest.mark.parametrize(
    ("given", "on_wire"),
    [
        ("300", "300.00"),
        ("300.5", "300.50"),
        ("0300.55", "300.55"),
        (".5", "0.50"),
        (300, "300.00"),
        ("1234567.00", "1234567.00"),
    ],
)
def test_money_goes_out_as_a_text_with_two_places(given: Any, on_wire: str) -> None:
    """However it was written."""
    assert told({"cash_on_hand": given}, [HEAD])["household"] == [{"cashOnHand": on_wire}]


@pytest.mark.parametrize(
    "given",
    [300.0, True, "-1", "1.234", "12345678", 12345678, 10**300, "1,000.00", "$5", " 5", "5.", "٣", [], {}],
)
def test_what_is_no_money_is_refused(given: Any) -> None:
    """A float above all: it does not hold cents."""
    assert "household.cash_on_hand: takes dollars as a text" in refusal({"cash_on_hand": given}, [HEAD])


def test_an_income_has_a_digit_less_than_cash() -> None:
    """As the City has it."""
    income = {"amount": "1234567", "type": "Wages", "frequency": "Weekly"}

    assert "persons[0].incomes[0].amount: takes dollars" in refusal({}, [{**HEAD, "incomes": [income]}])


@pytest.mark.parametrize(
    ("person", "wanted"),
    [
        ({"age": -1}, "persons[0].age: takes a whole number from 0 to 999"),
        ({"age": "35"}, "persons[0].age: takes a whole number"),
        ({"household_member_type": "Boss"}, "takes at least one person"),
        ({"pregnant": "true"}, "persons[0].pregnant: takes True or False"),
        ({"unemployed_worked_last_18_months": 1}, "persons[0].unemployed_worked_last_18_months: takes True"),
        ({"incomes": {}}, "persons[0].incomes: takes a list of at most 50"),
        ({"incomes": [{}] * 51}, "persons[0].incomes: takes a list of at most 50"),
        ({"incomes": [{"amount": "1", "type": "Wages"}]}, "persons[0].incomes[0].frequency: Field required"),
        ({"incomes": ["Wages"]}, "persons[0].incomes: [0] takes an income"),
        (
            {"expenses": [{"amount": "1", "type": "Wages", "frequency": "Weekly"}]},
            "persons[0].expenses[0].type: takes one of ChildCare",
        ),
        ({"name": "Ada Lovelace"}, "persons: [0] takes a person, an object with no other fields than age"),
    ],
)
def test_a_wrong_person_is_refused_with_the_field_and_the_remedy(person: dict[str, Any], wanted: str) -> None:
    """And without what was said of them."""
    said = refusal({}, [{**HEAD, **person}])

    assert wanted in said
    assert "Ada" not in said


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("unemployed_worked_last_18_months", "unemployed_worked_last_18_months"),
        ("p2125550147", "…"),
        ("ssn_123", "…"),
        ("Ada", "…"),
        ("18_months", "…"),
    ],
)
def test_a_field_is_named_unless_its_name_may_be_somebodys(name: str, told: str) -> None:
    """Two digits are a part of a word; more may be a number that is private."""
    assert _field(name) == told


@pytest.mark.parametrize(
    ("persons", "wanted"),
    [
        ([], "persons: takes a list of 1 to 8 persons"),
        ([HEAD] * 9, "persons: takes a list of 1 to 8 persons"),
        (HEAD, "persons: takes a list of 1 to 8 persons"),
        ([CHILD], 'persons: takes at least one person whose household_member_type is "HeadOfHousehold"'),
        ([HEAD, 3], "persons: [1] takes a person"),
        ([HEAD, {}], "persons[1].age: Field required"),
    ],
)
def test_a_household_has_up_to_eight_members_and_a_head(persons: Any, wanted: str) -> None:
    """As the City has it."""
    assert wanted in refusal({}, persons)


@pytest.mark.parametrize(
    ("household", "wanted"),
    [
        ({"living_rental_type": "Castle"}, "household.living_rental_type: takes one of NYCHA"),
        ({"living_owner": "no"}, "household.living_owner: takes True or False"),
        ({"address": "1 Centre Street"}, "household: takes a household, an object with no other fields"),
        ([{}], "household: takes a household"),
        (None, "household: takes a household"),
        ("{}", "household: takes a household"),
    ],
)
def test_a_wrong_household_is_refused(household: Any, wanted: str) -> None:
    """Whatever is no field of it too: the City wants to hear no more."""
    said = refusal(household, [HEAD])

    assert wanted in said
    assert "Centre" not in said


@pytest.mark.parametrize(
    "case",
    ["123-45-6789", "212-555-0147", "1.212.555.0147", "555-0147", "Ada-Lovelace", "ada@example.org", "x 1",
     "1--2", "-1", "9" * 65, 7],
)  # fmt: skip
def test_a_case_id_says_nothing_of_a_person(case: Any) -> None:
    """A number of a telephone or of social security, and what looks like a name, is none."""
    said = refusal({"case_id": case}, [HEAD])

    assert "household.case_id: takes a case's number and nothing about a person" in said
    assert str(case) not in said


@pytest.mark.parametrize("case", ["caseId01", "2026/11.21-4", "11111", "9" * 64])
def test_a_case_id_is_letters_and_digits(case: str) -> None:
    """With dashes, points and slashes between them."""
    assert told({"case_id": case}, [HEAD])["household"] == [{"caseId": case}]


@pytest.mark.parametrize("programs", [[], ["?"], "S2R010", [7], ["S2R010|S2R007"]])
def test_what_is_no_list_of_programs_is_refused(programs: Any) -> None:
    """A bar in a code would make it two."""
    assert "interested_programs: " in refusal({}, [HEAD], programs)


@pytest.mark.parametrize("withhold", ["yes", 1, None])
def test_whether_the_city_keeps_it_is_yes_or_no(withhold: Any) -> None:
    """Nothing that might be meant otherwise."""
    assert "withhold_payload: takes True or False" in refusal({}, [HEAD], None, withhold)


def test_every_word_of_the_citys_is_taken() -> None:
    """All kinds of rent, member, income, expense and frequency."""
    for rental in terms.RENTALS:
        told({"living_rental_type": rental}, [HEAD])
    persons = [{"age": 1, "household_member_type": member} for member in terms.MEMBERS]
    for person in persons:
        told({}, [HEAD, person])
    for often in terms.FREQUENCIES:
        incomes = [{"amount": "1", "type": kind, "frequency": often} for kind in terms.INCOMES]
        expenses = [{"amount": "1", "type": kind, "frequency": often} for kind in terms.EXPENSES]
        told({}, [{**HEAD, "incomes": incomes, "expenses": expenses}])


def test_nothing_of_a_household_is_ever_shown() -> None:
    """Neither in Flower nor in a dead letter, nor by printing it."""
    args = ({"cash_on_hand": "4711.00"}, [{**HEAD, "age": 77}])
    person = Person(age=77, household_member_type="HeadOfHousehold")

    shown = [excerpt(screen_household.operation, args, {}), *masked(screen_household.operation, args, {})]

    for text in (*shown, repr(person), repr(Household(cash_on_hand="4711.00")), repr(asked(*args)[1])):
        assert "4711" not in text
        assert "age=" not in text


def test_nobody_is_eligible_for_nothing_is_a_result() -> None:
    """An empty list."""
    assert asked({}, [HEAD], said={"type": "SUCCESS", "eligiblePrograms": []})[0] == Screening(eligible=[])


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"type": "SUCCESS"},
        {"type": "SUCCESS", "eligiblePrograms": None},
        {"type": "SUCCESS", "eligiblePrograms": [None]},
        {"type": "SUCCESS", "eligiblePrograms": [{"name": "x"}]},
        {"type": "FAILURE", "eligiblePrograms": []},
        FAILURE,
    ],
)
def test_what_holds_no_list_of_programs_cannot_be_read(said: Any) -> None:
    """Nobody is told that they are eligible for nothing because an answer was broken."""
    with pytest.raises(ResponseUnreadable):
        asked({}, [HEAD], said=said)


@given(JSON | JSON.map(lambda programs: {**FOUND, "eligiblePrograms": programs}))
def test_any_answer_is_a_screening_or_an_error_of_ours(said: Any) -> None:
    """Whatever JSON a gateway makes up."""
    try:
        found = screening(Answer(status=200, data=said))
    except ResponseUnreadable:
        return
    assert json.loads(json.dumps(plain(found)))["eligible"] == said["eligiblePrograms"] or any(
        set(each) != {"code", "name"} or not isinstance(each["name"], str)
        for each in said["eligiblePrograms"]
    )


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (400, "any.required", "rejected"),
        (404, "notFound", "rejected"),
        (405, "httpMethodNotAllowed", "rejected"),
        (406, "unsupportedContentType", "rejected"),
        (500, "internalServerError", "unavailable"),
        (504, "gatewayTimeout", "unavailable"),
        (200, "gatewayTimeout", "unavailable"),
    ],
)
def test_each_of_the_citys_failures_has_its_meaning(status: int, code: str, meaning: str) -> None:
    """A rules engine that takes too long may be asked again."""
    body = {"type": "FAILURE", "errors": [{"code": code, "elementPath": None}]}

    assert verdict(PROVIDER, status, {}, body) == meaning


def test_a_refusal_names_the_citys_code_and_nothing_of_the_household() -> None:
    """The City's words may quote it."""
    error = failure(PROVIDER, "rejected", 400, {}, FAILURE)

    assert isinstance(error, RequestInvalid)
    assert str(error) == "benefits answered 400 (string.base.regex)"


def test_the_handbooks_contract_can_be_chosen() -> None:
    """Its tokens are bought by OAuth 2, and screenings go to another path."""
    chosen = overridden(PROVIDER, ProviderSettings(contract="handbook"))

    assert chosen.auth == ClientCredentials(url="/oauth/token")
    assert overridden(PROVIDER, ProviderSettings()).auth == Login(url="/authToken")
    assert request("handbook", []) == replace(request("published", []), path="/screen")
    with pytest.raises(ConfigurationError, match="benefits speaks handbook, published"):
        overridden(PROVIDER, ProviderSettings(contract="other"))
