"""The screening as we ask it, as we read it and as the sandbox plays it, against what the City publishes.

Nothing that it answered was ever recorded: there are the examples of its description, and a file of sample
households.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import benefits_terms as terms
from tasks.benefits import PROVIDER, Program, Screening, request, screen_household
from tasks.benefits_programs import screening
from tests.conftest import CONTRACTS
from tests.contract.owner import Owner
from tests.contract.tally import Tally
from tests.driver import Driver
from tests.sandbox import TOKEN, Sandbox
from worker.auth.pieces import Login
from worker.errors import CallError, ProviderUnavailable, RequestInvalid
from worker.http.verdict import failure, verdict
from worker.request import Answer, Request

NAME = PROVIDER.name
SPEC = "nyc-benefits-screening-api.yaml"
LIVE: dict[str, Any] = {"base": PROVIDER.base_url, "provider": PROVIDER}
"""The City's own sandbox is the first of its servers; ours is the second."""
SAMPLES = "screening/sample_bulk_submission_import.csv"
HEAD: dict[str, Any] = {"age": 70, "household_member_type": "HeadOfHousehold"}
HOUSEHOLD = (
    "living_renting", "living_owner", "living_staying_with_friend", "living_hotel", "living_shelter",
    "living_prefer_not_to_say",
)  # fmt: skip
PERSON = (
    "student", "student_fulltime", "pregnant", "unemployed", "unemployed_worked_last_18_months", "blind",
    "disabled", "veteran", "benefits_medicaid", "benefits_medicaid_disability", "living_owner_on_deed",
    "living_rental_on_lease",
)  # fmt: skip


@pytest.fixture
def owner() -> Owner:
    """What the City publishes."""
    return Owner.of(SPEC)


def asked(household: Any, persons: Any, programs: Any = None, *, withhold: bool = True) -> Request:
    """What the operation asks, its arguments checked as a caller's are."""
    operation = screen_household.operation
    args, kwargs = operation.checked((household, persons, programs, withhold), {})
    driver = Driver(answer=lambda _: Answer(status=200, data={"type": "SUCCESS", "eligiblePrograms": []}))
    driver.run(operation.steps(tuple(args), kwargs))
    return driver.requests[0]


def amounts(kinds: tuple[str, ...]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Some incomes or expenses."""
    return st.lists(
        st.fixed_dictionaries({
            "amount": st.decimals(0, 999_999, places=2).map(str) | st.integers(0, 999_999),
            "type": st.sampled_from(kinds),
            "frequency": st.sampled_from(terms.FREQUENCIES),
        }),
        max_size=3,
    )  # fmt: skip


def persons() -> st.SearchStrategy[dict[str, Any]]:
    """Anybody."""
    return st.fixed_dictionaries(
        {"age": st.integers(0, 999), "household_member_type": st.sampled_from(terms.MEMBERS)},
        optional={
            "incomes": amounts(terms.INCOMES),
            "expenses": amounts(terms.EXPENSES),
            **{name: st.none() | st.booleans() for name in PERSON},
        },
    )


def households() -> st.SearchStrategy[dict[str, Any]]:
    """Any way to live."""
    return st.fixed_dictionaries(
        {},
        optional={
            "case_id": st.from_regex(r"case[A-Za-z0-9]{1,10}1", fullmatch=True),
            "cash_on_hand": st.decimals(0, 9_999_999, places=2).map(str),
            "living_rental_type": st.sampled_from(terms.RENTALS),
            **{name: st.none() | st.booleans() for name in HOUSEHOLD},
        },
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    households(), st.lists(persons(), max_size=7), st.booleans(), st.none() | st.just(["S2R010", "S2R007"])
)
def test_every_household_that_we_take_is_one_that_the_city_takes(
    household: Any,
    others: Any,
    withhold: bool,  # noqa: FBT001
    programs: Any,
) -> None:
    """With no field that it does not name."""
    Owner.of(SPEC).allows(asked(household, [HEAD, *others], programs, withhold=withhold), **LIVE)


def test_a_login_is_one_that_the_city_takes(owner: Owner, tally: Tally) -> None:
    """User name and password, as JSON."""
    auth = PROVIDER.auth
    assert isinstance(auth, Login)

    owner.allows(auth.request(auth.url, "testuser01:temp@123"), **LIVE, signed=False)

    tally.validated(NAME)


def test_every_word_that_we_take_stands_in_the_citys_description(contracts: Any) -> None:
    """And every word of its description is one that we take."""
    text = " ".join((contracts / "specs" / SPEC).read_text(encoding="utf-8").split())

    for words in (terms.RENTALS, terms.MEMBERS, terms.INCOMES, terms.EXPENSES, terms.FREQUENCIES):
        assert ", ".join(words) in text


def test_the_citys_sample_households_are_taken(contracts: Any, owner: Owner, tally: Tally) -> None:
    """Every line of its file, and none of its money is changed."""
    with (contracts / "recorded" / SAMPLES).open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))

    for line in lines:
        household, people = sample(line)
        ours = asked(household, people, withhold=line["WithholdPayload"] == "TRUE")

        owner.allows(ours, **LIVE)
        tally.validated(NAME)
        tally.parsed(NAME)
        (document,) = ours.data
        assert len(document["person"]) == len(people)
        assert Decimal(document["household"][0]["cashOnHand"]) == Decimal(line["Household.cashOnHand"])
    assert len(lines) >= 5


def sample(line: Mapping[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A line of the City's file, as our arguments: empty cells are what is not said."""
    household = {"case_id": line["caseId"], **fields(line, "Household.")}
    people = []
    for number in range(1, 9):
        person: dict[str, Any] = {**fields(line, f"{number}.Person.")}
        if "age" not in person:
            continue
        person["age"] = int(person["age"])
        for kind in ("incomes", "expenses"):
            entries = (fields(line, f"{number}.Person.{kind}.{place}.") for place in range(1, 5))
            person[kind] = [entry for entry in entries if entry]
        people.append(person)
    return household, people


def fields(line: Mapping[str, str], before: str) -> dict[str, Any]:
    """The cells under that name, by our names."""
    truth = {"TRUE": True, "FALSE": False}
    return {
        _ours(name.removeprefix(before)): truth.get(value, value)
        for name, value in line.items()
        if name.startswith(before) and "." not in name.removeprefix(before) and value
    }


def _ours(name: str) -> str:
    """``cash_on_hand`` of ``cashOnHand``."""
    return "".join(_letters(name))


def _letters(name: str) -> Iterator[str]:
    before = ""
    for letter in name:
        starts = letter.isupper() or (letter.isdecimal() and not before.isdecimal())
        yield f"_{letter.lower()}" if starts else letter
        before = letter


def test_the_citys_example_of_an_answer_is_read(tally: Tally) -> None:
    """A program with its code and name."""
    said = {"type": "SUCCESS", "eligiblePrograms": [{"code": "SR2019", "name": "Health Insurance"}]}

    assert screening(Answer(status=200, data=said)) == Screening(
        eligible=[Program(code="SR2019", name="Health Insurance")]
    )
    tally.parsed(NAME)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestInvalid),
        (404, RequestInvalid),
        (405, RequestInvalid),
        (406, RequestInvalid),
        (500, ProviderUnavailable),
        (504, ProviderUnavailable),
    ],
)
def test_the_citys_examples_of_failures_are_the_right_errors(
    owner: Owner, tally: Tally, status: int, kind: type[CallError]
) -> None:
    """Each with the code of its own."""
    body = example(status)
    owner.promises(request("published", []), status=status, data=body, **LIVE)

    error = failure(PROVIDER, verdict(PROVIDER, status, {}, body), status, {}, body)

    assert type(error) is kind
    assert str(error) == f"benefits answered {status} ({body['errors'][0]['code']})"
    tally.parsed(NAME)


def example(status: int) -> Any:
    """The City's own example of an answer with that status."""
    from tests.contract.document import document

    spec = document(CONTRACTS / "specs" / SPEC)
    responses = spec["paths"]["/eligibilityPrograms"]["post"]["responses"]
    content = responses.get(str(status)) or responses[status]
    parts = content["content"]["application/json"]["schema"]["properties"]
    error = parts["errors"]["items"]["oneOf"][0]["properties"]
    named = {name: each["example"] for name, each in error.items() if each.get("example") is not None}
    return {"type": parts["type"]["example"], "errors": [named]}


@pytest.fixture
def token(sandbox: Sandbox) -> str:
    """One of the sandbox's."""
    login = {"username": "sandbox", "password": TOKEN}
    said = requests.post(f"{sandbox.base_url(NAME)}/authToken", json=login, timeout=5)
    return str(said.json()["token"])


def played(sandbox: Sandbox, asked: Request, token: str) -> requests.Response:
    """What the sandbox says to a request of ours."""
    return requests.post(
        sandbox.base_url(NAME) + asked.path,
        params=dict(asked.params),
        json=asked.data,
        headers={"Authorization": token},
        timeout=5,
    )


def test_the_sandbox_takes_the_citys_sample_households(
    contracts: Any, owner: Owner, sandbox: Sandbox, token: str, tally: Tally
) -> None:
    """And says what the City documents."""
    with (contracts / "recorded" / SAMPLES).open(encoding="utf-8-sig", newline="") as file:
        for line in csv.DictReader(file):
            ours = asked(*sample(line))
            said = played(sandbox, ours, token)

            assert said.status_code == 200, said.text
            owner.promises(ours, data=said.json(), **LIVE)
            assert isinstance(screening(Answer(status=200, data=said.json())), Screening)
            tally.played(NAME)


def test_the_sandbox_fails_as_the_city_documents(
    owner: Owner, sandbox: Sandbox, token: str, tally: Tally
) -> None:
    """Its own failures, and those that a test has it make."""
    ours = asked({}, [HEAD])
    wrong = request("published", [{"household": [{"cashOnHand": 1.5}], "person": []}])
    owner.promises(wrong, status=400, data=played(sandbox, wrong, token).json(), **LIVE)
    tally.played(NAME)
    for status in (404, 405, 406, 500, 504):
        sandbox.control.fault(NAME, status=status, times=1)
        said = played(sandbox, ours, token)

        assert said.status_code == status
        owner.promises(ours, status=status, data=said.json(), **LIVE)
        assert said.json()["errors"][0]["code"] == example(status)["errors"][0]["code"]
        assert said.json()["errors"][0]["message"] == example(status)["errors"][0]["message"]
        tally.played(NAME)


@pytest.mark.parametrize("password", [TOKEN, "other", ""])
def test_the_sandbox_answers_a_login_as_the_city_documents(
    owner: Owner, sandbox: Sandbox, tally: Tally, password: str
) -> None:
    """Well or not."""
    login = Login(url="/authToken").request("/authToken", f"sandbox:{password or 'x'}")
    said = requests.post(
        f"{sandbox.base_url(NAME)}/authToken", json={**login.data, "password": password}, timeout=5
    )

    assert said.status_code == (200 if password == TOKEN else 400)
    owner.promises(login, status=said.status_code, data=said.json(), **LIVE)
    tally.played(NAME)
