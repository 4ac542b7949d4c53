"""SendGrid: what callers may say, what it is sent, how its answers read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from config.settings import ProviderSettings
from tasks.arguments.email_address import email_address
from tasks.sendgrid import PROVIDER, send_email
from tasks.sendgrid_mail import MARK, mail, receipt, tagged
from worker import outcome
from worker.choice import chosen
from worker.claim import Claim
from worker.errors import (
    ArgumentsInvalid,
    CallInDoubt,
    ConfigurationError,
    CredentialsRefused,
    ProviderThrottled,
    ThrottledTooLong,
)
from worker.gate import Gate, Report
from worker.http.verdict import failure, verdict
from worker.redaction import excerpt
from worker.request import Answer, Request
from worker.submissions.ledger import noted

OPERATION = send_email.operation
MAIL: dict[str, Any] = {"to": "ada@example.org", "subject": "Hello", "text": "It is on its way."}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def checked(**changed: Any) -> dict[str, Any]:
    """The arguments as they go on the wire; None leaves one out."""
    arguments = {name: value for name, value in {**MAIL, **changed}.items() if value is not None}
    args, named = OPERATION.checked((), arguments)
    noted(OPERATION, args, named)
    return dict(OPERATION.signature.bind(*args, **named).arguments)


def refusal(**changed: Any) -> str:
    """What the caller hears."""
    with pytest.raises(ArgumentsInvalid) as refused:
        checked(**changed)
    return str(refused.value)


# --- arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ada@example.org", ["ada@example.org"]),
        (" Ada.L+city@Sub.Example.org ", ["Ada.L+city@Sub.Example.org"]),
        (["ada@example.org", "bob@example.org"], ["ada@example.org", "bob@example.org"]),
    ],
)
def test_one_address_or_several_may_be_written_to(given: object, expected: list[str]) -> None:
    """One is a list of one; the spaces around it are no part of it."""
    assert checked(to=given)["to"] == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "canary",
        "canary@",
        "canary@host",
        "Ada <canary@example.org>",
        "canary@example.org\nBcc: all@example.org",
        "canary@example.org\r\n",
        "canary@example.org,bob@example.org",
        "canary..a@example.org",
        ".canary@example.org",
        "canary@-example.org",
        "cänary@example.org",
        f"{'c' * 65}@example.org",
        f"canary@{'a.' * 130}org",
        "canary@[127.0.0.1]",
        "",
        7,
        {"email": "canary@example.org"},
    ],
)
@pytest.mark.parametrize("field", ["to", "from_email", "reply_to"])
def test_what_is_no_address_is_refused_and_not_repeated(field: str, wrong: object) -> None:
    """Line breaks above all: a header could hide behind one."""
    said = refusal(**{field: wrong})
    assert said.startswith(f"send_email: {field}: ")
    assert "takes an e-mail address, for example ada@example.org" in said
    assert "canary" not in said


@given(text=st.text() | st.emails())
def test_whatever_is_taken_for_an_address_can_stand_in_a_header(text: str) -> None:
    """One word of printable letters with one sign in it."""
    try:
        found = email_address(text)
    except ValueError:
        return
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
    assert found.count("@") == 1


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ([], "send_email: to: takes an e-mail address"),
        (
            ["a@example.org", "A@Example.org "],
            "send_email: to: takes each address once; one is there twice",
        ),
        (["a@example.org", "nobody"], "send_email: to: [1] takes an e-mail address, for example"),
        ([f"a{n}@example.org" for n in range(1001)], "or a list of 1 to 1000"),
    ],
)
def test_a_list_of_recipients_is_refused_with_what_is_wrong_in_it(wrong: object, expected: str) -> None:
    """The place of the wrong one, or that one is there twice, which SendGrid refuses."""
    assert expected in refusal(to=wrong)


@pytest.mark.parametrize(
    "wrong", ["", "   ", "a\nb", "a\rBcc: x", "a\u2028b", "a\x85b", "\x00", "\ud800", "x" * 999]
)
def test_a_subject_is_one_line(wrong: str) -> None:
    """No break of any kind, and no half of a letter."""
    assert refusal(subject=wrong).startswith("send_email: subject: takes one line of 1 to 998 characters")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"text": None}, "send_email: text: takes the mail's text, unless html or template_id is given"),
        ({"template_data": {"a": 1}}, "send_email: template_data: takes what a template wants"),
        ({"text": ""}, "send_email: text: takes a text of 1 to 1000000 characters"),
        ({"text": "\ud800"}, "send_email: text: takes a text"),
        ({"html": " "}, "send_email: html: takes a text"),
        ({"template_id": "d-1", "template_data": [1]}, "send_email: template_data: takes an object of JSON"),
        ({"template_id": "d-1", "template_data": {"a": float("nan")}}, "takes an object of JSON values"),
        ({"template_id": "d-1", "template_data": {"a": "\ud800"}}, "takes an object of JSON values"),
        ({"template_id": "d-\x07"}, "send_email: template_id: takes one line"),
        (
            {
                "to": [f"a{number}@example.org" for number in range(300)],
                "template_id": "d-1",
                "template_data": {"a": "x" * 90_000},
            },
            "send_email: template_data: stands in each copy",
        ),
    ],
)
def test_what_makes_no_mail_is_refused_where_it_is_called(changed: dict[str, Any], expected: str) -> None:
    """By the field, with the fix."""
    assert expected in refusal(**changed)


def test_a_template_stands_for_a_text() -> None:
    """With what it wants."""
    named = checked(text=None, template_id="d-1", template_data={"number": "311-1"})
    assert named["template_data"] == {"number": "311-1"}


def test_of_a_mail_only_its_template_is_shown() -> None:
    """Whom it goes to and what it says is nobody else's."""
    seen = excerpt(OPERATION, ("canary@example.org", "canary"), {"text": "canary", "template_id": "d-1"})
    assert "canary" not in seen
    assert "d-1" in seen


def test_the_ledger_knows_how_many_get_it_and_nothing_else() -> None:
    """From the start."""
    known = json.loads(noted(OPERATION, (), {**MAIL, "to": ["a@example.org", "b@example.org"]}))
    assert json.loads(known["details"]) == {"recipients": 2}
    assert known["resend"] == "never"


# --- requests ---------------------------------------------------------------------------------------


def test_everybody_gets_a_copy_of_their_own() -> None:
    """Nobody sees who else does; the text comes before the page."""
    request = mail(
        ["a@example.org", "b@example.org"],
        "city@example.org",
        "Hello",
        text="plain",
        html="<p>page</p>",
        reply_to="desk@example.org",
    )
    assert request.path == "/v3/mail/send"
    assert not request.repeatable
    assert request.data == {
        "personalizations": [{"to": [{"email": "a@example.org"}]}, {"to": [{"email": "b@example.org"}]}],
        "from": {"email": "city@example.org"},
        "subject": "Hello",
        "reply_to": {"email": "desk@example.org"},
        "content": [{"type": "text/plain", "value": "plain"}, {"type": "text/html", "value": "<p>page</p>"}],
    }


def test_a_template_gets_its_values_in_each_copy() -> None:
    """And there is no content without a text."""
    request = mail(
        ["a@example.org"], "c@example.org", "Hi", template_id="d-1", template_data={"n": 1}, dry=True
    )
    assert request.data["personalizations"] == [
        {"to": [{"email": "a@example.org"}], "dynamic_template_data": {"n": 1}}
    ]
    assert request.data["template_id"] == "d-1"
    assert "content" not in request.data
    assert request.data["mail_settings"] == {"sandbox_mode": {"enable": True}}


def test_each_copy_carries_the_submission() -> None:
    """So that SendGrid's events say which one they speak of; the request before is as it was."""
    plain = mail(["a@example.org", "b@example.org"], "c@example.org", "Hi", text="x")
    marked = tagged(plain, "one")
    assert [each["custom_args"] for each in marked.data["personalizations"]] == [{MARK: "one"}] * 2
    assert "custom_args" not in plain.data["personalizations"][0]


# --- what a deployment chooses ----------------------------------------------------------------------


def options(**given: str) -> Any:
    """What settings choose."""
    return chosen(PROVIDER, ProviderSettings(options=given))


def test_the_sender_has_to_be_chosen_once() -> None:
    """Who does not is told the variable."""
    assert options(from_email="city@example.org").option("from_email") == "city@example.org"
    with pytest.raises(
        ConfigurationError, match="NARROWS_PROVIDERS__SENDGRID__OPTIONS__FROM_EMAIL is not set"
    ):
        options().option("from_email")


def test_mails_are_sent_unless_somebody_chooses_that_they_are_checked_only() -> None:
    """A word that says neither is refused."""
    assert options().options["sandbox_mode"] is False
    assert options(sandbox_mode="true").options["sandbox_mode"] is True
    with pytest.raises(ConfigurationError, match="OPTIONS__SANDBOX_MODE: takes true or false"):
        options(sandbox_mode="maybe")


# --- answers ----------------------------------------------------------------------------------------


def taken(status: int = 202, data: Any = None, **headers: str) -> Answer:
    """An answer that the engine passes on."""
    return Answer(
        status=status, data=data, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )


def test_the_message_id_is_the_mails_name() -> None:
    """202 has no body."""
    assert receipt(taken(x_message_id=" abc.1 ")).external_id == "abc.1"


@pytest.mark.parametrize(
    "answer",
    [
        taken(),
        taken(200),
        taken(200, x_message_id="abc"),
        taken(204, x_message_id="a"),
        taken(x_message_id=".."),
    ],
)
def test_a_receipt_that_is_none_leaves_a_doubt(answer: Answer) -> None:
    """It may have taken the mail all the same."""
    with pytest.raises(CallInDoubt):
        receipt(answer)


def test_a_mail_that_was_only_checked_has_no_name_of_sendgrids() -> None:
    """It says so."""
    told = receipt(taken(200), dry=True)
    assert (told.external_id, told.details) == ("sandbox", {"sandbox_mode": True})
    assert receipt(taken(x_message_id="abc"), dry=True).external_id == "abc"


@given(status=st.sampled_from([200, 201, 202, 204]), data=JSON, name=st.text())
def test_whatever_it_answers_there_is_a_receipt_or_a_doubt(status: int, data: Any, name: str) -> None:
    """No other error."""
    try:
        told = receipt(taken(status, data, x_message_id=name))
    except CallInDoubt:
        return
    assert told.external_id


def envelope(message: str) -> dict[str, Any]:
    """A refusal in its own words."""
    return {"errors": [{"message": message, "field": None, "help": None}]}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, envelope("Maximum credits exceeded"), "spent"),
        (403, envelope("Maximum credits exceeded"), "spent"),
        (401, envelope("authorization required"), "credentials"),
        (403, envelope("The from address does not match a verified Sender Identity."), "credentials"),
        (400, envelope("Does not contain a valid address."), "rejected"),
        (413, envelope("The JSON payload is too large."), "rejected"),
        (429, envelope("too many requests"), "throttled"),
        (500, None, "unavailable"),
        (503, "<html>", "unavailable"),
        (202, None, "ok"),
        (401, {"errors": "canary"}, "credentials"),
        (401, [], "credentials"),
    ],
)
def test_statuses_mean_what_sendgrid_means(status: int, body: Any, expected: str) -> None:
    """The end of a day's credits is no refused key."""
    assert verdict(PROVIDER, status, {}, body) == expected


def test_spent_credits_wait_for_the_next_day_and_a_429_for_its_reset() -> None:
    """A whole day is not too long for it to ask."""
    spent = failure(PROVIDER, "spent", 401, {}, envelope("Maximum credits exceeded"))
    assert 0 < spent.retry_after <= PROVIDER.max_cooldown  # type: ignore[attr-defined]

    said = {"x-ratelimit-reset": "1392815263", "date": "Wed, 19 Feb 2014 13:07:33 GMT"}
    throttled = failure(PROVIDER, "throttled", 429, said, envelope("too many requests"))
    assert throttled.retry_after == 10.0  # type: ignore[attr-defined]


def test_a_mail_for_which_two_days_running_have_no_credits_waits_for_the_third() -> None:
    """Others may spend a day's before it is its turn; that is no reason to give it up."""
    with Redis(port=1) as nobody:  # what is noted is told to no server here
        report = Report(gate=Gate(nobody, PROVIDER), nonce="n", flight="f")
        claim = Claim(task_id="a mail", throttled_at=1000.0, clock=1000.0 + 7200.0)
        spent = failure(PROVIDER, "spent", 401, {}, envelope("Maximum credits exceeded"))
        spent.retry_after = 86_399.0  # type: ignore[attr-defined]

        why = outcome.noted(spent, report, claim)

    assert isinstance(why, ProviderThrottled)
    assert not isinstance(why, ThrottledTooLong)
    assert report.pause == 86_399.0


def test_a_refusals_text_is_not_repeated() -> None:
    """It may quote an address."""
    wrong = failure(PROVIDER, "credentials", 403, {}, envelope("canary@example.org is not verified"))
    assert isinstance(wrong, CredentialsRefused)
    assert "canary" not in str(wrong)


def test_a_request_shows_nothing_of_the_mail() -> None:
    """Neither when it is printed."""
    request: Request = replace(mail(["canary@example.org"], "c@example.org", "canary", text="canary"))
    assert "canary" not in repr(request)
