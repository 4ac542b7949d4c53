"""Twilio: what callers may say, what it is sent, how its answers read, and which message is which."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from config.settings import ProviderSettings
from tasks import twilio_search as search
from tasks.twilio import AFTER, PROVIDER, send_sms
from tasks.twilio_likeness import Sent
from tasks.twilio_likeness import chosen as likest
from tasks.twilio_message import message, path_of, receipt
from tasks.twilio_search import Message
from tests.driver import Driver
from worker.choice import Choice, chosen
from worker.errors import ArgumentsInvalid, CallError, CallInDoubt, ConfigurationError, ResponseUnreadable
from worker.http.verdict import verdict
from worker.overrides import overridden
from worker.provider import Auth, Provider
from worker.redaction import excerpt
from worker.request import Answer, Request

OPERATION = send_sms.operation
ACCOUNT = "AC" + "0f" * 16
SERVICE = "MG" + "0f" * 16
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
TO, FROM = "+12125550123", "+12125550100"
SENT_AT = 1_432_000_000.0
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def checked(*args: Any, **named: Any) -> dict[str, Any]:
    """The arguments as they go on the wire."""
    args, named = OPERATION.checked(args, named)  # type: ignore[assignment]
    return dict(OPERATION.signature.bind(*args, **named).arguments)


def here(credential: str = f"{ACCOUNT}:secret", **options: str) -> Choice:
    """What settings choose."""
    return chosen(PROVIDER, ProviderSettings(api_key=SecretStr(credential), options=options))


# --- arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["+12125550123", "+442071838750", "+4915112345678"])
def test_a_number_of_any_country_may_be_written_to(number: str) -> None:
    """As it is."""
    assert checked(number, "Hello")["to"] == number


@pytest.mark.parametrize(
    "wrong",
    ["2125550199", "+1 212 555 0199", "+02125550199", "+1212555019x", "+12125550199\n", "+1", "",
     "+" + "1" * 16, 12125550199, None, ["+12125550199"], "whatsapp:+12125550199", "+١٢١٢٥٥٥٠١٩٩"],
)  # fmt: skip
def test_what_is_no_number_is_refused_and_not_repeated(wrong: object) -> None:
    """Nothing is put right: a guess writes to a stranger."""
    with pytest.raises(ArgumentsInvalid) as refused:
        checked(wrong, "Hello")
    assert str(refused.value) == (
        "send_sms: to: takes a telephone number with its country's, as E.164 has it: +12125550123"
    )


@pytest.mark.parametrize("wrong", ["", " \n", "\ud800", "x" * 1601, None, 7])
def test_a_text_is_neither_empty_nor_endless(wrong: object) -> None:
    """1600 characters are what Twilio takes."""
    with pytest.raises(ArgumentsInvalid, match="send_sms: body: takes a text of 1 to 1600 characters"):
        checked(TO, wrong)


@pytest.mark.parametrize("sender", [FROM, "12345", "CITY-311", "NYC 311"])
def test_a_message_is_from_a_number_a_short_code_or_a_name(sender: str) -> None:
    """Whichever the account has."""
    assert checked(TO, "Hello", from_number=sender)["from_number"] == sender


@pytest.mark.parametrize("wrong", ["", "twelve letters", "12", "+", "CITY\n", "a" * 12, "Sëñder", 5])
def test_a_sender_that_can_be_none_is_refused(wrong: object) -> None:
    """With what it takes."""
    with pytest.raises(ArgumentsInvalid, match="send_sms: from_number: takes a telephone number"):
        checked(TO, "Hello", from_number=wrong)


@pytest.mark.parametrize(
    "wrong",
    ["example.org/a.jpg", "ftp://example.org/a", "https://user:pw@example.org/a", "https:///a",
     "https://a b/c", "https://example.org/a\r\nX: y", "https://example.org:99999/",
     f"https://example.org/{'a' * 2048}", 7, "http://["],
)  # fmt: skip
def test_a_picture_has_an_address_on_the_web(wrong: object) -> None:
    """That anybody can fetch."""
    with pytest.raises(ArgumentsInvalid, match="send_sms: media_url: takes a web address"):
        checked(TO, "Hello", media_url=wrong)


def test_of_a_message_nothing_is_shown() -> None:
    """Neither whom it goes to nor what it says."""
    seen = excerpt(OPERATION, (TO, "canary"), {"media_url": "https://example.org/canary"})
    assert "canary" not in seen
    assert "5550123" not in seen


# --- requests ---------------------------------------------------------------------------------------


def test_a_message_is_a_form() -> None:
    """JSON is answered "A 'To' phone number is required"."""
    request = message(here(from_number=FROM), TO, "Hello", "https://example.org/a.jpg", None)
    assert request.path == PATH
    assert request.data is None
    assert request.form == {
        "To": TO,
        "Body": "Hello",
        "From": FROM,
        "MediaUrl": "https://example.org/a.jpg",
    }
    assert request.recipient == TO
    assert not request.repeatable


@pytest.mark.parametrize(
    ("options", "given", "expected"),
    [
        ({"from_number": FROM}, None, {"From": FROM}),
        ({"from_number": FROM}, "12345", {"From": "12345"}),
        ({"messaging_service_sid": SERVICE}, None, {"MessagingServiceSid": SERVICE}),
        ({"messaging_service_sid": SERVICE, "from_number": FROM}, None, {"MessagingServiceSid": SERVICE}),
        ({"messaging_service_sid": SERVICE}, "12345", {"From": "12345"}),
    ],
)
def test_the_caller_says_whom_it_is_from_or_else_the_deployment(
    options: dict[str, str], given: str | None, expected: dict[str, str]
) -> None:
    """A service before a number."""
    assert message(here(**options), TO, "Hello", None, given).form == {"To": TO, "Body": "Hello", **expected}


def test_nobody_to_be_from_names_the_variable() -> None:
    """A number is what most have."""
    with pytest.raises(
        ConfigurationError, match="NARROWS_PROVIDERS__TWILIO__OPTIONS__FROM_NUMBER is not set"
    ):
        message(here(), TO, "Hello", None, None)


def test_the_account_is_the_credentials_own_unless_it_is_chosen() -> None:
    """An API key does not say whose it is."""
    assert path_of(here()) == PATH
    assert path_of(here("SK1:secret", account_sid=ACCOUNT)) == PATH
    with pytest.raises(ConfigurationError, match="OPTIONS__ACCOUNT_SID is not set, and the credential"):
        path_of(here("SK1:secret"))


def test_credentials_of_two_accounts_stop_the_process_unless_one_is_chosen() -> None:
    """A path names one account, and the gate chooses the credential: the second's went to the first's."""
    other = "AC" + "1f" * 16
    two = (SecretStr(f"{ACCOUNT}:secret"), SecretStr(f"{other}:secret"))
    same = (SecretStr(f"{ACCOUNT}:secret"), SecretStr(f"{ACCOUNT}:older"))

    with pytest.raises(ConfigurationError) as refused:
        overridden(PROVIDER, ProviderSettings(api_keys=two))

    assert str(refused.value) == (
        "NARROWS_PROVIDERS__TWILIO__API_KEYS: all have to be of one account, "
        "or NARROWS_PROVIDERS__TWILIO__OPTIONS__ACCOUNT_SID has to name it"
    )
    assert path_of(chosen(PROVIDER, ProviderSettings(api_keys=same))) == PATH
    named = ProviderSettings(api_keys=two, options={"account_sid": ACCOUNT})
    assert path_of(chosen(PROVIDER, named)) == PATH


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("account_sid", "AC1"),
        ("account_sid", SERVICE),
        ("messaging_service_sid", ACCOUNT),
        ("from_number", "+1"),
    ],
)
def test_a_wrong_option_stops_the_process(option: str, wrong: str) -> None:
    """And is named."""
    with pytest.raises(ConfigurationError, match=f"OPTIONS__{option.upper()}: takes"):
        here(**{option: wrong})


def test_only_the_first_part_of_a_basic_credential_is_known_outside() -> None:
    """All of one without a colon may be secret, and so may another kind's."""
    keyed = Provider(name="keyed", base_url="https://example.org", auth=Auth(header="X-Key"))
    assert here("user:secret").user == "user"
    assert here("canary").user == ""
    assert chosen(keyed, ProviderSettings(api_key=SecretStr("user:secret"))).user == ""
    assert chosen(PROVIDER, None).user == ""


# --- answers ----------------------------------------------------------------------------------------


def test_the_sid_is_the_messages_name() -> None:
    """And its status says how far it is."""
    told = receipt(Answer(status=201, data={"sid": "SM1", "status": "queued"}))
    assert (told.external_id, told.external_status, told.settled) == ("SM1", "queued", True)


@given(data=JSON | st.fixed_dictionaries({"sid": JSON, "status": JSON}))
def test_whatever_it_answers_there_is_a_receipt_or_a_doubt(data: Any) -> None:
    """No other error."""
    with suppress(CallInDoubt):
        assert receipt(Answer(status=201, data=data)).external_id


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, 20003, "credentials"),
        (403, 20003, "credentials"),
        (400, 21610, "suppressed"),
        (400, 21211, "rejected"),
        (403, 21408, "rejected"),
        (400, 21606, "rejected"),
        (400, 21614, "rejected"),
        (429, 20429, "throttled"),
        (500, 20500, "unavailable"),
        (400, 29999, "rejected"),
        (429, 29999, "throttled"),
        (503, None, "unavailable"),
        (404, 20404, "missing"),
        (201, None, "ok"),
    ],
)
def test_codes_mean_what_twilio_means_and_others_what_their_status_does(
    status: int, code: int | None, expected: str
) -> None:
    """They change, as Twilio warns."""
    assert verdict(PROVIDER, status, {}, {"code": code, "message": "x", "status": status}) == expected


def test_twilio_is_heard_out_and_asked_after_all_is_over() -> None:
    """It answers within 26 s; whatever else may pass for the message has been answered when it is asked."""
    assert PROVIDER.timeouts.read > 26
    latest = PROVIDER.timeouts.total + search.SKEW
    assert latest + PROVIDER.timeouts.total < AFTER


# --- the search -------------------------------------------------------------------------------------


def listed(sid: str, *, made: str = "Tue, 19 May 2015 01:46:41 +0000", **changed: Any) -> dict[str, Any]:
    """A message as lists have it; made a second after it was sent."""
    return {
        "sid": sid,
        "body": "Hello",
        "date_created": made,
        "direction": "outbound-api",
        "status": "sent",
        **changed,
    }


def page(*messages: dict[str, Any], later: str | None = None) -> Answer:
    """A page of a list."""
    return Answer(status=200, data={"messages": list(messages), "next_page_uri": later})


def searched(*answers: Answer | CallError) -> tuple[list[str], list[Request]]:
    """The sids that are found, and what was asked for them."""
    pages = iter(answers)
    driver = Driver(answer=lambda _: next(pages))
    found = driver.run(search.since(PATH, TO, SENT_AT - search.SKEW))
    return [each.sid for each in found], driver.requests


def test_all_messages_to_a_number_are_looked_at_and_those_sent_by_us_are_found() -> None:
    """Not by the date on which they were sent: those that are queued have none."""
    found, (asked,) = searched(
        page(
            listed("SM1"),
            listed("SM2", direction="inbound"),
            listed("SM3", direction="outbound-reply"),
            listed("SM4", made="Tue, 19 May 2015 01:45:00 +0000"),
            listed("SM5", made="nonsense"),
        )
    )
    assert found == ["SM1", "SM5"]
    assert (asked.path, dict(asked.params), asked.method) == (PATH, {"To": TO, "PageSize": "200"}, "GET")
    assert asked.fresh


def test_pages_are_read_until_they_are_too_old() -> None:
    """The next one's address is relative, and has parameters of its own."""
    old = listed("SM3", made="Mon, 18 May 2015 01:46:41 +0000")
    later = f"{PATH}?To=%2B12125550123&PageSize=200&Page=1&PageToken=PASM1"
    found, asked = searched(page(listed("SM1"), later=later), page(old, later=later))
    assert found == ["SM1"]
    assert dict(asked[1].params) == {"To": TO, "PageSize": "200", "Page": "1", "PageToken": "PASM1"}


@pytest.mark.parametrize(
    "later",
    ["https://example.org/x", "//example.org/x", "/2010-04-01/Accounts/other", 7, ["x"], {}, "http://["],
)
def test_a_next_page_elsewhere_is_not_asked_for(later: Any) -> None:
    """What it says of the message is unclear then."""
    with pytest.raises(ResponseUnreadable):
        searched(page(listed("SM1"), later=later))


def test_a_list_without_an_end_is_given_up() -> None:
    """A page that leads to itself."""
    driver = Driver(answer=lambda _: page(listed("SM1"), later=f"{PATH}?Page=1"))
    with pytest.raises(ResponseUnreadable, match="more than 20 pages"):
        driver.run(search.since(PATH, TO, SENT_AT))
    assert len(driver.requests) == 20


@given(data=JSON | st.fixed_dictionaries({"messages": st.lists(JSON) | JSON, "next_page_uri": JSON}))
def test_whatever_it_lists_there_are_messages_or_an_error_of_ours(data: Any) -> None:
    """A garbled list says nothing about the message: it stays in doubt."""
    driver = Driver(answer=lambda _: Answer(status=200, data=data))
    with suppress(ResponseUnreadable):
        assert isinstance(driver.run(search.since(PATH, TO, SENT_AT)), list)


def made(sid: str, body: str = "Hello", at: float | None = SENT_AT + 1, **changed: Any) -> Message:
    """A message that is no other submission's."""
    return Message(**{"sid": sid, "body": body, "made": at, "sender": FROM, "pictures": 0, **changed})


LATEST = SENT_AT + 100.0
OTHER, OTHER_SERVICE = "+12125550199", "MG" + "0e" * 16
OURS = Sent(body="Hello", sender=FROM)
NAMED = Sent(body="Hello", sender=FROM, named=True)
SERVED = Sent(body="Hello", service=SERVICE)
PICTURED = Sent(body="Hello", sender=FROM, picture=True)


@pytest.mark.parametrize(
    ("sent", "free", "expected"),
    [
        (OURS, [], None),
        (OURS, [made("SM1")], "SM1"),
        (OURS, [made("SM1", body="Hello ")], "SM1"),
        (OURS, [made("SM1"), made("SM2", body="another program's")], "SM1"),
        (OURS, [made("SM1", at=None)], "SM1"),
        (OURS, [made("SM1", body="another", at=LATEST + 1)], None),
        (OURS, [made("SM1", status="failed")], "SM1"),
        (OURS, [made("SM1"), made("SM2", sender=OTHER)], "SM1"),
        (OURS, [made("SM1", body="another", sender=OTHER)], None),
        (NAMED, [made("SM1"), made("SM2", sender=OTHER)], "SM1"),
        (NAMED, [made("SM1", sender=OTHER)], None),
        (NAMED, [made("SM1", sender=FROM.lstrip("+"))], "SM1"),
        (PICTURED, [made("SM1", pictures=1)], "SM1"),
        (PICTURED, [made("SM1", pictures=1), made("SM2")], "SM1"),
        (SERVED, [made("SM1", service=SERVICE)], "SM1"),
        (SERVED, [made("SM1", service=SERVICE, sender=None)], "SM1"),
        (SERVED, [made("SM1", body="another", service=OTHER_SERVICE)], None),
    ],
)
def test_the_one_that_is_the_same_at_that_time_is_it(
    sent: Sent, free: list[Message], expected: str | None
) -> None:
    """Whatever became of it there; and none is when nothing that may be it went to the number."""
    found = likest(free, sent, LATEST)
    assert (found.sid if found else None) == expected


@pytest.mark.parametrize(
    ("sent", "free"),
    [
        (OURS, [made("SM1"), made("SM2")]),
        (OURS, [made("SM1"), made("SM2", at=LATEST + 1)]),
        (OURS, [made("SM1", at=LATEST + 1)]),
        (OURS, [made("SM1", body="Sent from a trial account - Hello")]),
        (OURS, [made("SM1", body="")]),
        (OURS, [made("SM1", body="another", at=None)]),
        (OURS, [made("SM1", body="He llo")]),
        (Sent(body="Hello you", sender=FROM), [made("SM1", body="Hello\n you")]),
        (OURS, [made("SM1", sender=OTHER)]),
        (OURS, [made("SM1", sender=None)]),
        (NAMED, [made("SM1", sender=None)]),
        (OURS, [made("SM1", pictures=3)]),
        (OURS, [made("SM1", pictures=None)]),
        (PICTURED, [made("SM1")]),
        (SERVED, [made("SM1")]),
        (SERVED, [made("SM1", service=OTHER_SERVICE)]),
    ],
    ids=[
        "two", "one later", "later", "changed", "redacted", "undated", "other words", "spaced otherwise",
        "from our other number", "from nobody", "from nobody, named", "with pictures", "pictures unknown",
        "without its picture", "by no service", "by another service",
    ],
)  # fmt: skip
def test_what_may_be_it_or_not_stays_in_doubt(sent: Sent, free: list[Message]) -> None:
    """Neither is it taken for it, nor is the message sent again."""
    with pytest.raises(ResponseUnreadable, match="which it is is unclear"):
        likest(free, sent, LATEST)


@pytest.mark.parametrize(
    ("options", "arguments", "expected"),
    [
        ({"from_number": FROM}, (None, None), OURS),
        ({"from_number": OTHER}, (None, FROM), NAMED),
        ({"messaging_service_sid": SERVICE}, (None, None), SERVED),
        ({"from_number": FROM}, ("https://example.org/a.jpg", None), PICTURED),
    ],
)
def test_what_is_searched_for_is_what_was_sent(
    options: dict[str, str], arguments: tuple[str | None, str | None], expected: Sent
) -> None:
    """Read from the form itself."""
    form = message(here(**options), TO, "Hello", *arguments).form
    assert form is not None
    assert Sent.of(form, named=arguments[1] is not None) == expected


def test_a_listed_message_is_read_with_whom_it_is_from_and_its_pictures() -> None:
    """What is not as documented is unknown, which is never the same as ours."""
    lists = {"messages": [
        listed("SM1") | {"from": FROM, "num_media": "2", "messaging_service_sid": SERVICE},
        listed("SM2") | {"from": 7, "num_media": -1, "messaging_service_sid": None},
    ]}  # fmt: skip
    first, second = search.outbound(lists)
    assert (first.sender, first.pictures, first.service) == (FROM, 2, SERVICE)
    assert (second.sender, second.pictures, second.service) == (None, None, None)
