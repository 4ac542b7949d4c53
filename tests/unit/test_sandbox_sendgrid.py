"""The SendGrid that the sandbox plays, over real sockets: what it takes, refuses and remembers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox import TOKEN, Sandbox

MAIL: dict[str, Any] = {
    "personalizations": [{"to": [{"email": "ada@example.org"}]}],
    "from": {"email": "city@example.org"},
    "subject": "Hello",
    "content": [{"type": "text/plain", "value": "x"}],
}


@pytest.fixture
def boxed() -> Iterator[Sandbox]:
    """A sandbox."""
    with Sandbox() as running:
        yield running


def send(sandbox: Sandbox, key: str = TOKEN, **changed: Any) -> requests.Response:
    """The answer to a mail."""
    return requests.post(
        f"{sandbox.base_url('sendgrid')}/v3/mail/send",
        json={**MAIL, **changed},
        headers={"Authorization": f"Bearer {key}"},
        timeout=5,
    )


def test_a_mail_is_taken_without_a_body_and_stands_in_the_book(boxed: Sandbox) -> None:
    """Twice is counted twice."""
    first, second = send(boxed), send(boxed)

    assert (first.status_code, first.content) == (202, b"")
    assert first.headers["X-Message-Id"] != second.headers["X-Message-Id"]
    book = requests.get(f"{boxed.base_url('sendgrid')}/_book", timeout=5).json()
    assert book["arrivals"] == {"Hello": 2} == boxed.sendgrid.arrivals
    assert [each["to"] for each in book["mails"]] == [["ada@example.org"]] * 2


def test_a_double_is_known_by_its_custom_argument(boxed: Sandbox) -> None:
    """Whatever its subject."""
    copies = [{**MAIL["personalizations"][0], "custom_args": {"mark": "one"}}] * 2
    for subject in ("a", "b"):
        send(boxed, personalizations=copies, subject=subject)
    assert boxed.sendgrid.arrivals == {"one": 2}


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"content": []}, 400, "content is required"),
        ({"content": [{"type": "text/html"}, {"type": "text/plain"}]}, 400, "text/plain comes first"),
        ({"personalizations": []}, 400, "needs a to"),
        ({"personalizations": [{"to": []}]}, 400, "needs a to"),
        ({"personalizations": [{"to": [{"email": "a@b.org"}, {"email": "A@b.org"}]}]}, 400, "unique"),
        ({"personalizations": 7}, 400, "Bad Request"),
        ({"subject": ""}, 400, "subject"),
        ({"from": {"email": "city@other.org"}}, 403, "verified Sender Identity"),
        ({"key": "another"}, 401, "authorization"),
    ],
)
def test_what_sendgrid_refuses_is_refused_in_its_envelope(
    boxed: Sandbox, changed: dict[str, Any], status: int, said: str
) -> None:
    """And is not in the book."""
    answer = send(boxed, **changed)
    assert answer.status_code == status
    assert said in answer.json()["errors"][0]["message"]
    assert not boxed.sendgrid.mails


def test_credits_count_copies_and_end(boxed: Sandbox) -> None:
    """A 401 that is no refused key."""
    boxed.sendgrid.credits = 1
    assert [send(boxed).status_code for _ in range(2)] == [202, 401]
    assert send(boxed).json()["errors"][0]["message"] == "Maximum credits exceeded"


def test_in_sandbox_mode_nothing_is_taken(boxed: Sandbox) -> None:
    """It is answered 200."""
    assert send(boxed, mail_settings={"sandbox_mode": {"enable": True}}).status_code == 200
    assert not boxed.sendgrid.mails


def test_a_throttled_answer_names_its_reset_and_a_failure_is_empty(boxed: Sandbox) -> None:
    """As SendGrid's are."""
    boxed.control.fault("sendgrid", mode="throttle", times=1)
    throttled = send(boxed)
    assert int(throttled.headers["X-RateLimit-Reset"]) > 1_700_000_000
    assert "Retry-After" not in throttled.headers
    boxed.control.fault("sendgrid", status=503)
    assert send(boxed).content == b""
