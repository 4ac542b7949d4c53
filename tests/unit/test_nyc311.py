"""NYC 311: what callers may say, what the City is sent, how its answers read."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import ProviderSettings
from tasks.city311 import Base311Adapter, steps
from tasks.city311.fields import mapped, placed, value_at
from tasks.city311.service_request import Contact
from tasks.nyc311 import APIM, HANDBOOK, PROVIDER, check_service_request, submit_service_request
from tests.driver import Driver
from worker.errors import (
    ArgumentsInvalid,
    CallError,
    CallInDoubt,
    ConfigurationError,
    ResourceMissing,
    ResponseUnreadable,
)
from worker.http.verdict import failure
from worker.overrides import overridden
from worker.provider import Auth
from worker.redaction import excerpt, masked
from worker.request import Answer, Request
from worker.submissions.submission import Accepted

CANARY = "canary"
PAYLOAD: dict[str, Any] = {
    "agency": "dot",
    "complaint_type": "Street Condition",
    "descriptor": "Pothole",
    "description": f"{CANARY} in front of the house",
    "location": {
        "address": "1 Centre Street",
        "borough": "manhattan",
        "zip": "10007-1234",
        "latitude": 40.713,
        "longitude": -74.004,
    },
    "contact": {"name": f"Ada {CANARY}", "phone": "(212) 555-0123", "email": f"{CANARY}@example.org"},
    "observed_at": "2026-11-20T08:30:00",
}
CHECKED: dict[str, Any] = {
    **PAYLOAD,
    "agency": "DOT",
    "location": {**PAYLOAD["location"], "borough": "MANHATTAN", "zip": "10007"},
    "contact": {**PAYLOAD["contact"], "phone": "+12125550123"},
    "observed_at": "2026-11-20T08:30:00-05:00",
}
contract = pytest.mark.parametrize("adapter", [HANDBOOK, APIM], ids=lambda adapter: adapter.contract)


def checked(payload: object) -> dict[str, Any]:
    """The payload as it goes on the wire."""
    (found,), _ = submit_service_request.operation.checked((payload,), {})
    assert isinstance(found, dict)
    return found


def changed(path: str, value: object) -> dict[str, Any]:
    """The good payload with another value at *path*; None takes it out."""
    made = deepcopy(PAYLOAD)
    *above, last = path.split(".")
    inner = value_at(made, ".".join(above))
    inner[last] = value
    if value is None:
        del inner[last]
    return made


def refusal(payload: object) -> str:
    """What the caller hears."""
    with pytest.raises(ArgumentsInvalid) as refused:
        checked(payload)
    return str(refused.value)


def answering(*data: Any, status: int = 200) -> Driver:
    """A city that gives these answers in turn, the last one for good; an error is raised."""
    left = list(data)

    def answer(_: Request) -> Answer | CallError:
        said = left.pop(0) if len(left) > 1 else left[0]
        return said if isinstance(said, CallError) else Answer(status=status, data=said)

    return Driver(answer=answer)


def test_a_service_request_is_normalised_where_it_is_enqueued() -> None:
    """One spelling of each on the wire: E.164, five digits, the City's own names and offset."""
    assert checked(PAYLOAD) == CHECKED


def test_what_is_normalised_stays_as_it_is() -> None:
    """The worker checks again, and a second submission of the same is the same."""
    assert checked(CHECKED) == CHECKED


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("agency", None, "payload.agency: Field required"),
        ("agency", "DTO", "did you mean DOT?"),
        ("complaint_type", " ", "payload.complaint_type: String should have at least 1 character"),
        ("location", None, "payload.location: Field required"),
        ("location.zip", "90210", "payload.location.zip: takes a zip of New York City"),
        ("location.zip", "1000", "payload.location.zip: takes a zip of five digits"),
        ("location.zip", 10007, 'payload.location.zip: takes a text, for example "10007"'),
        ("location.latitude", 42.36, "payload.location.latitude: takes a latitude in New York City, from"),
        ("location.latitude", -74.0, "payload.location.latitude: takes a latitude"),
        ("location.longitude", 40.7, "payload.location.longitude: takes a longitude in New York City, from"),
        ("location.longitude", float("nan"), "payload.location.longitude: Input should be a finite number"),
        ("location.longitude", None, "payload.location: takes latitude and longitude together"),
        ("location.borough", "Hoboken", "payload.location.borough: takes a borough of the city: MANHATTAN"),
        ("contact.phone", "555-0123", "payload.contact.phone: takes a US telephone number of ten digits"),
        ("contact.phone", "+442071234567", "payload.contact.phone: takes a US telephone number"),
        ("contact.email", "ada@", "payload.contact.email: takes an e-mail address"),
        ("contact", "Ada", "payload.contact: takes a dictionary with the fields name, phone, email"),
        ("contact", {"phon": ""}, "payload.contact.phon: is not one of its fields"),
        ("contact.phone", 2125550123, 'payload.contact.phone: takes a text, for example "+12125550123"'),
        ("contact.phone", "212-555-0123 x", "payload.contact.phone: takes a US telephone number"),
        ("complaint_type", 7, "payload.complaint_type: takes a text"),
        ("observed_at", "yesterday", "payload.observed_at: takes a time as ISO 8601"),
        ("observed_at", "1970-01-01T00:00:00", "payload.observed_at: takes a time as ISO 8601"),
        ("observed_at", "1999-12-31T23:59:59", "31T08:30:00, of the years 2000 to 2099"),
        ("observed_at", "2000-01-01T00:00:00Z", "of the years 2000 to 2099"),
        ("observed_at", "0001-01-01T00:00:00+14:00", "payload.observed_at: takes a time as ISO 8601"),
        ("contact.phon", "1", "payload.contact.phon: is not one of its fields, which are name, phone, email"),
        (
            "location.city",
            "x",
            "payload.location.city: is not one of its fields, which are address, borough, zip, latitude,",
        ),
        (
            "complaintType",
            "x",
            "payload.…: is not one of its fields, which are agency, complaint_type, descriptor, descripti",
        ),
        ("description", "x" * 5001, "payload.description: String should have at most 5000 characters"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(path: str, value: object, said: str) -> None:
    """With what it takes."""
    assert said in refusal(changed(path, value))


def test_every_wrong_field_is_named_at_once() -> None:
    """A form shows all of its errors, not one after the other."""
    wrong = {
        "complaint_type": "Noise",
        "location": {"zip": f"{CANARY}", "latitude": 1.0, "longitude": 2.0},
        "contact": {"phone": CANARY},
        "observed_at": CANARY,
        f"{CANARY} 555": CANARY,
    }

    said = refusal(wrong)

    for part in ("agency", "location.zip", "location.latitude", "location.longitude", "contact.phone"):
        assert f"payload.{part}: " in said
    assert "payload.observed_at: " in said
    assert CANARY not in said


@pytest.mark.parametrize("payload", [None, "pothole", [1], 7])
def test_what_is_no_service_request_at_all_is_refused(payload: object) -> None:
    """In words that name no class of ours, and not with a crash."""
    assert refusal(payload) == (
        "submit_service_request: payload: takes a dictionary with the fields agency, complaint_type, "
        "descriptor, description, location, contact, observed_at"
    )


def test_without_a_contact_the_request_is_anonymous() -> None:
    """Nobody is named, and each interface is told so in its own way."""
    anonymous = checked(changed("contact", None))

    assert HANDBOOK.body(anonymous)["anonymous"] is True
    assert APIM.body(anonymous)["anonymousRequired"] == "Yes"
    assert "contact" not in HANDBOOK.body(anonymous)


def test_empty_fields_of_a_form_count_as_left_out() -> None:
    """Forms send empty texts for what nobody filled in."""
    assert "email" not in checked(changed("contact.email", ""))["contact"]
    for blank in ({"name": "", "phone": " ", "email": None}, {}, "", Contact()):
        assert "contact" not in checked(changed("contact", blank))


def test_a_place_on_the_map_does_without_an_address() -> None:
    """A pothole has none."""
    only = {"agency": "DOT", "complaint_type": "x", "location": {"latitude": 40.7, "longitude": -74.0}}

    assert APIM.body(checked(only))["locationDetails"] == "40.7, -74.0"
    assert refusal({**only, "location": {"zip": "10007"}}).endswith(
        "payload.location: takes an address, or latitude and longitude"
    )


@pytest.mark.parametrize(
    "phone",
    [
        "212-555-0123",
        "+1 212.555.0123",
        "1 (212) 555 0123",
        "2125550123",
        "+12125550123",
        "212\u2013555\u20130123",
        "212\u00a0555\u20110123",
        "212/555-0123",
        "tel:+1-212-555-0123",
        "Tel: 212 555 0123",
    ],
)
def test_a_telephone_number_may_be_written_as_people_do(phone: str) -> None:
    """And is one number all the same."""
    assert checked(changed("contact.phone", phone))["contact"]["phone"] == "+12125550123"


@pytest.mark.parametrize(
    "phone", ["212-555-0123 x45", "(212) 555-0123, ext. 45", "+12125550123;ext=45", "2125550123 Extension 45"]
)
def test_an_extension_is_kept(phone: str) -> None:
    """Without it nobody is reached; what was normalised stays as it is."""
    once = checked(changed("contact.phone", phone))

    assert once["contact"]["phone"] == "+12125550123 ext. 45"
    assert checked(once) == once


@pytest.mark.parametrize("year", ["2000", "2099"])
def test_the_first_and_the_last_year_are_years_too(year: str) -> None:
    """As the refusal of others says."""
    assert checked(changed("observed_at", f"{year}-01-01T00:00:00"))["observed_at"].startswith(year)


def test_a_time_with_an_offset_is_told_in_the_citys_own() -> None:
    """The same moment; the API management's interface is told no offset."""
    found = checked(changed("observed_at", "2026-07-01T12:00:00Z"))

    assert found["observed_at"] == "2026-07-01T08:00:00-04:00"
    assert APIM.body(found)["dateTimeObserved"] == "2026-07-01T08:00:00"


def test_nothing_of_the_payload_is_ever_shown() -> None:
    """Flower, logs and letters show its shape at most."""
    operation = submit_service_request.operation
    shown = "".join([*masked(operation, [CHECKED], {}), excerpt(operation, [CHECKED], {})])

    assert CANARY not in shown
    assert "555" not in shown
    assert operation.shown == ()


def test_what_may_be_seen_of_a_submission_is_its_agency() -> None:
    """The ledger and the task's result hold no more of it."""
    submits = submit_service_request.operation.submission

    assert submits is not None
    assert submits.resend == "never"
    assert submits.details(CHECKED, idempotency_key="k") == {"agency": "DOT"}


def test_the_handbooks_interface_is_spoken_by_default() -> None:
    """One POST that is never repeated; its number and status come back."""
    city = answering({"trackingNumber": "311-1", "status": "Open"}, status=201)

    taken = city.run(submit_service_request.operation.steps((PAYLOAD,), {}))

    (sent,) = city.requests
    assert (sent.method, sent.path, sent.repeatable) == ("POST", "/service-requests", False)
    assert sent.data["contact"]["phone"] == "+12125550123"
    assert taken == Accepted(external_id="311-1", external_status="open", settled=False)


def test_the_api_managements_interface_has_names_of_its_own() -> None:
    """200 and an SRNumber; it tells no status yet."""
    city = answering({"SRNumber": "311-10865100", "SLALanguage": "…"})

    taken = city.run(steps.submit(APIM, CHECKED))

    (sent,) = city.requests
    assert sent.path == "/create-sr/api/CreateServiceRequest"
    assert sent.data["problem"] == "Street Condition"
    assert sent.data["fullAddress"] == "1 Centre Street, MANHATTAN, 10007"
    assert taken == Accepted(external_id="311-10865100", external_status=None, settled=False)


@contract
@pytest.mark.parametrize(
    "said", [None, {}, [], "OK", {"SLALanguage": "…"}, {"trackingNumber": "", "SRNumber": None}, [{}, {}]]
)
def test_an_answer_without_a_number_is_no_acceptance(adapter: Base311Adapter, said: object) -> None:
    """Nor a refusal: the City may have the request, and a person has to look."""
    with pytest.raises(CallInDoubt) as doubt:
        answering(said).run(steps.submit(adapter, CHECKED))

    assert CANARY not in str(doubt.value)


@pytest.mark.parametrize("number", [True, {"a": 1}, "x" * 256, "a\nb", 1.5, "..", "#"])
def test_a_number_is_a_short_text(number: object) -> None:
    """Whatever else stands there is none."""
    assert HANDBOOK.number({"trackingNumber": number}) is None


@pytest.mark.parametrize("number", ["№ 311-77", "(311) 42", "311+5", "a@b", "#5", "Ä-5", "3" * 255])
def test_whatever_number_the_city_gives_can_be_asked_about(number: str) -> None:
    """Or its submission would stay open for ever, and each round would count it as failed."""
    taken = HANDBOOK.number({"trackingNumber": f" {number} "})

    assert taken == number
    assert check_service_request.operation.checked((taken,), {}) == ([number], {})


@pytest.mark.parametrize(
    ("code", "word", "closed"),
    [
        ("614110000", "cancelled", True),
        ("614110001", "open", False),
        (614110002, "in_progress", False),
        ("614110003", "closed", True),
        ("614110009", "614110009", False),
    ],
)
def test_statuses_are_numbers_and_become_words(code: object, word: str, closed: bool) -> None:  # noqa: FBT001
    """An unknown one stays as it is, and is asked about further."""
    said = {"SRNumber": "311-1", "Status": code, "Agency": "Department of Sanitation"}

    report = answering(said).run(steps.check(APIM, "311-1"))

    assert report == {
        "external_id": "311-1",
        "external_status": word,
        "agency": "Department of Sanitation",
        "closed": closed,
        "updated_at": None,
    }


def test_a_number_stands_in_the_path_or_in_the_query() -> None:
    """And can break out of neither."""
    city = answering({"trackingNumber": "a/../b?c", "status": "Closed"})

    city.run(steps.check(HANDBOOK, "a/../b?c"))

    assert city.requests[0].path == "/service-requests/a%2F..%2Fb%3Fc"
    assert APIM.check.request("311-1", label="check").params == {"srnumber": "311-1"}


@contract
@pytest.mark.parametrize("said", [None, {}, [], {"trackingNumber": "311-2", "SRNumber": "311-2"}])
def test_an_answer_that_does_not_speak_of_the_number_means_that_it_is_not_known(
    adapter: Base311Adapter, said: object
) -> None:
    """New numbers are found after a while; another's status is never taken for ours."""
    with pytest.raises(ResourceMissing):
        answering(said).run(steps.check(adapter, "311-1"))


@contract
def test_a_status_that_is_missing_makes_an_answer_unreadable(adapter: Base311Adapter) -> None:
    """No status is not the status nothing."""
    with pytest.raises(ResponseUnreadable):
        answering({"trackingNumber": "311-1", "SRNumber": "311-1"}).run(steps.check(adapter, "311-1"))


@pytest.mark.parametrize("number", ["", "  ", 7, None, "x" * 256, "311-1\n2", ".", "..", "/", "\ud800"])
def test_what_can_be_no_number_is_not_asked_for(number: object) -> None:
    """The caller hears it at once."""
    with pytest.raises(ArgumentsInvalid, match="external_id: takes the number that the city gave"):
        check_service_request.operation.checked((number,), {})


def test_the_contract_is_chosen_by_the_deployment() -> None:
    """With the address and the header of its key; what else is set holds for it too."""
    plain, chosen = (
        overridden(PROVIDER, None),
        overridden(PROVIDER, ProviderSettings(contract="apim", rate=3)),
    )

    assert (plain.contract, chosen.contract) == ("handbook", "apim")
    assert plain.auth == Auth(header="X-Api-Key")
    assert chosen.auth == Auth(header="Ocp-Apim-Subscription-Key")
    assert chosen.base_url == "https://api.nyc.gov"
    assert chosen.rate is not None
    assert chosen.rate.per_second == 3
    assert overridden(PROVIDER, ProviderSettings(contract="handbook")).base_url == plain.base_url


def test_an_unknown_contract_is_refused_with_those_that_there_are() -> None:
    """At start, and not with the first call."""
    with pytest.raises(ConfigurationError) as refused:
        overridden(PROVIDER, ProviderSettings(contract="v3"))

    assert str(refused.value) == "NARROWS_PROVIDERS__NYC311__CONTRACT: nyc311 speaks apim, handbook"


def test_the_provider_is_guarded_as_the_handbook_says() -> None:
    """Ten calls a second, 100,000 a day, half of the last twenty; GETs are tried for five minutes."""
    assert PROVIDER.rate is not None
    assert PROVIDER.quota is not None
    assert (PROVIDER.rate.per_second, PROVIDER.quota.limit) == (10.0, 100_000)
    assert (PROVIDER.breaker.failures, PROVIDER.breaker.ratio, PROVIDER.breaker.window) == (None, 0.5, 20)
    assert PROVIDER.retry.within == 300.0


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, {"SRNumber": "311-1"}, None),
        (200, {"Error": None, "SRNumber": "311-1"}, None),
        (200, {"Error": {"Code": "BadRequest", "Message": CANARY}}, "rejected"),
        (200, {"Error": {"Code": "InternalServerError"}}, "unavailable"),
        (200, {"Error": "text"}, "unavailable"),
        (200, {"statusCode": 401, "message": "…"}, "credentials"),
        (200, {"statusCode": 422, "message": "…"}, "rejected"),
        (200, {"statusCode": 503, "message": "…"}, "unavailable"),
        (200, {"statusCode": 200}, None),
        (400, {"Error": {"Code": "BadRequest"}}, None),
        (403, {"statusCode": 403, "message": "Out of call volume quota. Try in 01:02:03."}, "throttled"),
        (403, {"statusCode": 403, "message": "Forbidden"}, None),
        (500, {"Error": {"Code": "BadRequest"}}, None),
        (200, [1], None),
        (200, None, None),
    ],
)  # fmt: skip
def test_either_envelope_tells_what_a_status_hides(status: int, body: object, meaning: str | None) -> None:
    """An error in a 200 is an error; a spent quota is no wrong key."""
    assert PROVIDER.judge(status, {}, body) == meaning


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(), min_size=1),
    st.permutations([f"x.{letter}" for letter in "abcdef"]),
)
def test_what_is_mapped_can_be_read_back_by_the_same_map(ours: dict[str, int], theirs: list[str]) -> None:
    """One map, both ways."""
    field_map = dict(zip("abcdef", theirs, strict=True))

    made = mapped(ours, field_map)

    assert {name: value_at(made, field_map[name]) for name in ours} == ours


def test_placing_a_value_leaves_the_document_as_it_was() -> None:
    """Requests are shared, and frozen by agreement."""
    before = {"a": {"b": 1}}

    assert placed(before, "a.c", 2) == {"a": {"b": 1, "c": 2}}
    assert before == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("path", "found"),
    [("0.token", 1), ("1.token", None), ("0.token.deeper", None), ("x", None), ("0.x", None)],
)
def test_a_path_that_leads_nowhere_finds_nothing(path: str, found: object) -> None:
    """Through lists, too."""
    assert value_at([{"token": 1}], path) == found


def test_importing_the_tasks_loads_nothing_heavy() -> None:
    """Every producer pays for it."""
    code = (
        "import sys, tasks; heavy = {'pydantic', 'requests', 'pybreaker', 'prometheus_client'};"
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"


def test_a_report_waits_for_the_day_on_which_the_city_takes_it() -> None:
    """A quota that is spent in the morning is no reason to bury the day's reports."""
    said = {"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 08:12:01."}

    held = failure(PROVIDER, "throttled", 403, {}, said)

    assert held.retry_after == 8 * 3600 + 12 * 60 + 1  # type: ignore[attr-defined]
    assert (PROVIDER.max_cooldown, PROVIDER.too_long) == (86_400.0, "wait")
