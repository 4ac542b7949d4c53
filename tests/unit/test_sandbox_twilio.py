"""The Twilio that the sandbox plays, over real sockets: what it takes, refuses, lists and remembers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox import TOKEN, Sandbox
from tests.sandbox.twilio import ACCOUNT_SID, FROM_NUMBER

TO = "+12125550123"
FORM = {"To": TO, "From": FROM_NUMBER, "Body": "Hello"}
PATH = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"


@pytest.fixture
def boxed() -> Iterator[Sandbox]:
    """A sandbox."""
    with Sandbox() as running:
        yield running


def send(sandbox: Sandbox, user: str = "sandbox", **changed: str) -> requests.Response:
    """The answer to a message."""
    form = {name: value for name, value in {**FORM, **changed}.items() if value}
    return requests.post(sandbox.base_url("twilio") + PATH, data=form, auth=(user, TOKEN), timeout=5)


def ask(sandbox: Sandbox, path: str = PATH, **params: Any) -> requests.Response:
    """The answer to a question."""
    return requests.get(
        sandbox.base_url("twilio") + path, params=params, auth=(ACCOUNT_SID, TOKEN), timeout=5
    )


def test_a_message_is_taken_shown_and_counted(boxed: Sandbox) -> None:
    """One that is queued was not sent yet."""
    answer = send(boxed)

    made = answer.json()
    assert answer.status_code == 201
    assert (made["status"], made["date_sent"], made["to"]) == ("queued", None, TO)
    shown = requests.get(boxed.base_url("twilio") + made["uri"], auth=("sandbox", TOKEN), timeout=5).json()
    assert shown == made
    assert boxed.twilio.arrivals == {"Hello": 1}
    assert requests.get(f"{boxed.base_url('twilio')}/_book", timeout=5).json()["arrivals"] == {"Hello": 1}


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"To": ""}, 400, 21604),
        ({"To": "+15005550001"}, 400, 21211),
        ({"To": "2125550123"}, 400, 21211),
        ({"To": "+15005550003"}, 400, 21408),
        ({"To": "+15005550004"}, 400, 21610),
        ({"To": "+15005550009"}, 400, 21614),
        ({"From": ""}, 400, 21603),
        ({"From": "+15005550007"}, 400, 21606),
        ({"Body": ""}, 400, 21602),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"user": "nobody"}, 401, 20003),
    ],
)
def test_what_twilio_refuses_is_refused_with_its_code(
    boxed: Sandbox, changed: dict[str, str], status: int, code: int
) -> None:
    """The same in the status and in the body."""
    answer = send(boxed, **changed)
    said = answer.json()
    assert (answer.status_code, said["code"], said["status"]) == (status, code, status)
    assert said["more_info"].endswith(f"/{code}")
    assert not boxed.twilio.messages.kept


def test_json_is_not_understood(boxed: Sandbox) -> None:
    """As if nothing had been said."""
    answer = requests.post(boxed.base_url("twilio") + PATH, json=FORM, auth=("sandbox", TOKEN), timeout=5)
    assert answer.json()["message"] == "A 'To' phone number is required."


def test_messages_are_listed_by_pages_the_newest_first(boxed: Sandbox) -> None:
    """The next page's address is relative to the host."""
    for number in range(5):
        boxed.twilio.messages.add(to=TO, body=str(number), made=1e9 + number, sender=FROM_NUMBER)
    boxed.twilio.messages.add(to="+12125550124", body="other", made=2e9, sender=FROM_NUMBER)
    first = ask(boxed, To=TO, PageSize=3).json()
    assert [each["body"] for each in first["messages"]] == ["4", "3", "2"]
    assert first["next_page_uri"].startswith(f"{PATH}?To=%2B12125550123&PageSize=3&Page=1&PageToken=PA")
    rest = ask(boxed, first["next_page_uri"]).json()
    assert ([each["body"] for each in rest["messages"]], rest["next_page_uri"]) == (["1", "0"], None)
    assert ask(boxed, PageSize=1001).status_code == 400


def test_a_new_message_is_listed_late_when_a_test_says_so(boxed: Sandbox) -> None:
    """Lists lag behind what was taken."""
    boxed.twilio.messages.lag = 1
    send(boxed)
    assert [len(ask(boxed, To=TO).json()["messages"]) for _ in range(2)] == [0, 1]


def test_what_is_not_there_is_not_found(boxed: Sandbox) -> None:
    """Another account, another message."""
    wrong = PATH.replace("5a", "5b")
    assert ask(boxed, wrong).json()["code"] == 20404
    assert ask(boxed, PATH.replace(".json", f"/SM{'0' * 32}.json")).status_code == 404
