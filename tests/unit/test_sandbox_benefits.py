"""The screening that the sandbox plays, over real sockets: logins, tokens that end, what it finds wrong."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.sandbox import TOKEN, Sandbox

HEAD: dict[str, Any] = {"age": 70, "householdMemberType": "HeadOfHousehold"}
NO_HEAD = "0.person.0.headOfHousehold"
POOR = [
    {"household": [{"cashOnHand": "10.00", "livingRenting": True}], "person": [HEAD], "withholdPayload": True}
]


class Client:
    """Speaks to the City as its documentation says."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._base = sandbox.base_url("benefits")

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        """The answer to a document."""
        return requests.post(self._base + path, json=body, timeout=5, **more)

    def token(self, **changed: str) -> str:
        """A fresh one."""
        said = self.post("/authToken", {"username": "sandbox", "password": TOKEN, **changed}).json()
        return str(said["token"])

    def screened(self, body: Any, token: str, programs: str | None = None) -> requests.Response:
        """What a household is eligible for."""
        params = {} if programs is None else {"interestedPrograms": programs}
        headers = {"Authorization": token}
        return self.post("/eligibilityPrograms", body, params=params, headers=headers)


@pytest.fixture
def city(sandbox: Sandbox) -> Client:
    """A client of it."""
    return Client(sandbox)


def codes(answer: requests.Response) -> list[tuple[str, str | None]]:
    """What it finds wrong, and where."""
    told = answer.json()
    assert told["type"] == "FAILURE"
    return [(each["code"], each["elementPath"]) for each in told["errors"]]


def test_a_household_is_screened_for_whoever_has_logged_in(city: Client, sandbox: Sandbox) -> None:
    """The token stands in its header without a scheme."""
    said = city.screened(POOR, city.token())

    assert said.json()["type"] == "SUCCESS"
    assert [each["code"] for each in said.json()["eligiblePrograms"]] == ["S2R007", "S2R010"]
    assert sandbox.benefits.logins == 1


def test_only_programs_of_interest_are_told(city: Client) -> None:
    """Those between the bars, in upper case."""
    token = city.token()

    some = [
        city.screened(POOR, token, wanted).json()["eligiblePrograms"] for wanted in ("S2R010|X", "s2r010")
    ]

    assert [[each["code"] for each in found] for found in some] == [["S2R010"], []]


def test_a_bearer_token_is_no_token_here(city: Client) -> None:
    """The owner's interface knows no scheme, and our handbook's one does."""
    token = city.token()

    answers = [
        city.screened(POOR, f"Bearer {token}"),
        city.post("/screen", POOR, headers={"Authorization": token}),
        city.post("/screen", POOR, headers={"Authorization": f"Bearer {token}"}),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 200]


def test_a_token_ends(city: Client, sandbox: Sandbox) -> None:
    """After its time, or when a test says so."""
    token = city.token()
    sandbox.benefits.end_tokens()
    sandbox.benefits.lifetime = 0.0

    assert city.screened(POOR, token).status_code == 401
    assert city.screened(POOR, city.token()).status_code == 401


@pytest.mark.parametrize(
    ("login", "wrong"),
    [
        ({"username": "sandbox"}, ("any.required", "password")),
        ({}, ("any.required", "username")),
        ([], ("any.required", "username")),
        ({"username": "sandbox", "password": "other"}, ("notAuthorized", "password")),
    ],
)
def test_a_wrong_login_buys_nothing(
    city: Client, sandbox: Sandbox, login: Any, wrong: tuple[str, str | None]
) -> None:
    """It is told what is missing."""
    answer = city.post("/authToken", login)

    assert (answer.status_code, codes(answer)) == (400, [wrong])
    assert sandbox.benefits.logins == 0


def test_the_handbooks_tokens_are_bought_with_basic(city: Client) -> None:
    """RFC 6749, 4.4."""
    form = {"grant_type": "client_credentials"}

    granted = city.post("/oauth/token", data=form, auth=("sandbox", TOKEN))
    refused = city.post("/oauth/token", data=form, auth=("sandbox", "other"))
    other = city.post("/oauth/token", data={"grant_type": "password"}, auth=("sandbox", TOKEN))

    assert granted.json()["expires_in"] == 3600.0
    assert (refused.status_code, refused.json()) == (401, {"error": "invalid_client"})
    assert (other.status_code, other.json()) == (400, {"error": "unsupported_grant_type"})


def _with(**changed: Any) -> list[dict[str, Any]]:
    return [{**POOR[0], **changed}]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (POOR[0], ("array.base", "")),
        (POOR * 2, ("array.base", "")),
        ([{"household": [{}]}], ("any.required", "0.person")),
        (_with(household=[]), ("array.length", "0.household")),
        (_with(household=[{"cashOnHand": 10.0}]), ("string.base.regex", "0.household.0.cashOnHand")),
        (_with(household=[{"cashOnHand": "1,0"}]), ("string.base.regex", "0.household.0.cashOnHand")),
        (_with(household=[{"livingOwner": "true"}]), ("string.base.regex", "0.household.0.livingOwner")),
        (_with(household=[{"ssn": "x"}]), ("object.allowUnknown", "0.household.0.ssn")),
        (_with(person=[HEAD] * 9), ("array.length", "0.person")),
        (_with(person=[HEAD, 3]), ("object.base", "0.person.1")),
        (_with(person=[{**HEAD, "age": 1000}]), ("string.base.regex", "0.person.0.age")),
        (_with(person=[HEAD, {"age": 3}]), ("any.required", "0.person.1.householdMemberType")),
        (_with(person=[{**HEAD, "householdMemberType": "Child"}]), ("any.required", NO_HEAD)),
        (_with(person=[{**HEAD, "incomes": [{"amount": "1", "type": "SSI"}]}]),
         ("any.required", "0.person.0.incomes.0.frequency")),
        (_with(withholdPayload="false"), ("boolean.base", "0.withholdPayload")),
    ],
)  # fmt: skip
def test_a_wrong_document_is_refused_with_its_place(city: Client, body: Any, wrong: tuple[str, str]) -> None:
    """As the owner's specification limits it."""
    answer = city.screened(body, city.token())

    assert answer.status_code == 400
    assert wrong in codes(answer)


def test_the_rules_engine_is_tired_as_often_as_a_test_says(city: Client, sandbox: Sandbox) -> None:
    """504, and then it works."""
    sandbox.benefits.tired, token = 1, city.token()

    first, second = city.screened(POOR, token), city.screened(POOR, token)

    assert (first.status_code, codes(first)) == (504, [("gatewayTimeout", None)])
    assert second.status_code == 200


def test_what_is_no_json_a_post_or_a_path_is_said_so(city: Client, sandbox: Sandbox) -> None:
    """In the owner's envelope."""
    base = sandbox.base_url("benefits")
    headers = {"Authorization": city.token()}

    text = requests.post(f"{base}/eligibilityPrograms", data="[]", headers=headers, timeout=5)
    read = requests.get(f"{base}/eligibilityPrograms", headers=headers, timeout=5)
    nowhere = requests.post(f"{base}/elsewhere", json={}, timeout=5)

    assert [(each.status_code, codes(each)[0][0]) for each in (text, read, nowhere)] == [
        (406, "unsupportedContentType"),
        (405, "httpMethodNotAllowed"),
        (404, "notFound"),
    ]
