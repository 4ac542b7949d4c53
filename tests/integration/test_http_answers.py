"""What goes out on the wire, and what each answer comes back as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tasks import openweather
from tests.integration.raw_peer import Peer, http, says
from worker.errors import (
    CallError,
    CallFailed,
    ConfigurationError,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    RequestInvalid,
    ResourceMissing,
    ResponseUnreadable,
)
from worker.http.client import HttpClient
from worker.provider import Auth, Provider, Retry, Timeouts, Verdict
from worker.request import Request

CANARY = "canary-7f3a"
GET = Request(path="/rows", params={"q": "canary-query"})


def client(peer: Peer, *, credential: str | None = None, **declared: Any) -> HttpClient:
    """A client of a provider that declares so much."""
    provider = Provider(name="city", base_url=peer.url, **declared)
    return HttpClient(provider, base_url=peer.url, credential=credential, timeouts=Timeouts(total=10))


def refused(response: bytes, **declared: Any) -> CallError:
    """The error that *response* is."""
    with Peer(says(response)) as peer, pytest.raises(CallError) as caught:
        client(peer, **declared).send(GET)
    return caught.value


def test_an_answer_holds_the_parsed_body_and_only_the_headers_that_the_engine_keeps() -> None:
    """Cookies and the rest stay behind; names are lower-case."""
    headers = {
        "ETag": '"v1"',
        "Set-Cookie": "a=b",
        "X-SODA2-Fields": '["bbl"]',
        "X-RateLimit-Remaining": "9",
        "Server": "x",
    }
    with Peer(says(http([{"bbl": "1"}], headers=headers))) as peer:
        answer = client(peer).send(GET)

    assert (answer.status, answer.data, answer.source) == (200, [{"bbl": "1"}], "live")
    expected = {"content-type", "etag", "x-soda2-fields", "x-ratelimit-remaining"}
    assert expected == set(answer.headers)


def test_a_request_carries_its_parameters_its_provider_s_headers_and_who_we_are() -> None:
    """Names are matched whatever their case; the later word wins."""
    request = Request(path="/a b", params={"$where": "x > 1"}, headers={"accept": "text/csv"})
    with Peer(says(http([]))) as peer:
        client(peer, headers={"X-Client": "narrows"}).send(request, extra_headers={"If-None-Match": '"v1"'})
        line, headers, _ = peer.parsed()

    assert line == "GET /a%20b?%24where=x+%3E+1 HTTP/1.1"
    assert headers["user-agent"] == "Narrows/0.1"
    assert (headers["x-client"], headers["accept"], headers["if-none-match"]) == (
        "narrows",
        "text/csv",
        '"v1"',
    )
    assert headers["accept-encoding"] == "gzip, deflate"


def test_a_submission_carries_json() -> None:
    """With its type and its length."""
    with Peer(says(http({"id": 1}, status=201))) as peer:
        answer = client(peer).send(Request(path="/requests", method="POST", data={"name": "Zoë"}))
        line, headers, body = peer.parsed()

    assert (answer.status, line, body) == (201, "POST /requests HTTP/1.1", {"name": "Zoë"})
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("auth", "header", "line"),
    [
        (Auth(header="X-App-Token"), ("x-app-token", CANARY), "GET /rows?q=canary-query HTTP/1.1"),
        (
            Auth(header="Authorization", scheme="Bearer"),
            ("authorization", f"Bearer {CANARY}"),
            "GET /rows?q=canary-query HTTP/1.1",
        ),
        (Auth(query="appid"), ("host", None), f"GET /rows?q=canary-query&appid={CANARY} HTTP/1.1"),
    ],
)
def test_the_credential_is_added_on_the_wire_alone(
    auth: Auth, header: tuple[str, str | None], line: str
) -> None:
    """In the header or the parameter that the provider declares; not in a repr."""
    with Peer(says(http([]))) as peer:
        asking = client(peer, credential=CANARY, auth=auth)
        asking.send(GET)
        said, headers, _ = peer.parsed()

    assert said == line
    assert header[1] in {None, headers[header[0]]}
    assert CANARY not in repr(
        (asking, asking._keys, asking._keys[0].wire, asking._keys[0].auth, asking._keys[0].wire.ready(GET))
    )


def test_a_required_credential_that_is_missing_stops_the_call_before_it_leaves() -> None:
    """An optional one does not."""
    with Peer(says(http([]))) as peer:
        with pytest.raises(CredentialsRefused, match="needs a credential and has none") as caught:
            client(peer, auth=Auth(header="X-Key")).send(GET)
        assert not caught.value.sent
        assert peer.requests == []

        assert client(peer, auth=Auth(header="X-Key", required=False)).send(GET).data == []
        assert "x-key" not in peer.parsed()[1]


def test_a_credential_with_a_line_break_is_refused_at_the_start_without_showing_it() -> None:
    """It would split the header; most come from a file read without stripping."""
    with Peer(says(http([]))) as peer, pytest.raises(ConfigurationError) as caught:
        client(peer, credential=f"{CANARY}\n", auth=Auth(header="X-Key"))
    assert CANARY not in str(caught.value)


def test_a_header_with_a_line_break_is_refused_and_nothing_leaves() -> None:
    """Whoever put it there, it never becomes a second header."""
    with Peer(says(http([]))) as peer:
        with pytest.raises(RequestInvalid) as caught:
            client(peer).send(Request(path="/", headers={"X-A": f"1\r\nX-B: {CANARY}"}))
        assert peer.requests == []
    assert not caught.value.sent
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, RequestInvalid, "upstream_rejected"),
        (401, CredentialsRefused, "upstream_rejected"),
        (403, CredentialsRefused, "upstream_rejected"),
        (404, ResourceMissing, "upstream_rejected"),
        (408, ProviderUnavailable, "upstream_error"),
        (409, RequestInvalid, "upstream_rejected"),
        (425, ProviderUnavailable, "upstream_error"),
        (429, ProviderThrottled, "rate_limited"),
        (500, ProviderUnavailable, "upstream_error"),
        (503, ProviderUnavailable, "upstream_error"),
        (300, ResponseUnreadable, "upstream_rejected"),
    ],
)
def test_a_status_without_the_provider_s_opinion_means_the_same_everywhere(
    status: int, kind: type[CallError], code: str
) -> None:
    """One table, in the engine."""
    error = refused(http({"message": "canary text"}, status=status))
    assert (type(error), error.code, getattr(error, "status", None)) == (kind, code, status)
    assert str(error).startswith(f"city answered {status}")
    assert "canary" not in str(error)
    assert error.sent


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"errorCode": "query.soql.no-such-column", "message": "canary"}, " (query.soql.no-such-column)"),
        ({"code": 20003, "message": "canary"}, " (20003)"),
        ({"error": {"status": 400, "code": "bad_id", "message": "canary"}}, " (bad_id)"),
        ({"errors": [{"code": "max-length", "message": "canary"}]}, " (max-length)"),
        ({"error": "no such canary here"}, ""),
        ({"code": "1012650001"}, ""),
        ({"code": f"bad-{CANARY}"}, ""),
        ({"code": True}, ""),
        (["canary"], ""),
        ("canary", ""),
    ],
)
def test_an_error_shows_the_provider_s_short_code_and_no_word_of_its_text(body: object, shown: str) -> None:
    """Free text quotes what was asked; a code does not, unless it is long, a number or our own secret."""
    with Peer(says(http(body, status=400))) as peer, pytest.raises(RequestInvalid) as caught:
        client(peer, credential=CANARY, auth=Auth(header="X-Key")).send(GET)
    assert str(caught.value) == f"city answered 400{shown}"


def test_the_provider_s_own_judgement_of_the_body_comes_before_the_status() -> None:
    """Last.fm says error 29 in a 200: too often."""

    def judge(_status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:
        assert headers["content-type"] == "application/json"
        return "throttled" if isinstance(body, dict) and body.get("error") == 29 else None

    error = refused(http({"error": 29}, headers={"Retry-After": "7"}), judge=judge)
    assert isinstance(error, ProviderThrottled)
    assert error.retry_after == 7.0


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        ("missing", ResourceMissing),
        ("rejected", RequestInvalid),
        ("credentials", CredentialsRefused),
        ("throttled", ProviderThrottled),
        ("unavailable", ProviderUnavailable),
    ],
)
def test_each_verdict_has_its_error(verdict: Verdict, kind: type[CallError]) -> None:
    """Whatever the status was."""
    assert type(refused(http({}), judge=lambda _status, _headers, _body: verdict)) is kind


def test_an_error_status_can_be_an_answer_if_the_provider_says_so() -> None:
    """A 404 with a body that reads "nothing found" is a result for some."""
    with Peer(says(http({"found": []}, status=404))) as peer:
        answer = client(peer, judge=lambda status, _headers, _body: "ok" if status == 404 else None).send(GET)
    assert (answer.status, answer.data) == (404, {"found": []})


def test_a_page_of_html_is_no_answer_even_where_an_empty_one_is() -> None:
    """A wrong address has a 404 too; OpenWeather's own may be empty, and says that there is no weather."""
    with Peer(says(http(status=404, raw=b""))) as peer:
        assert client(peer, judge=openweather.judge).send(GET).empty

    assert type(refused(http(status=404, raw=b"<html>"), judge=openweather.judge)) is ResponseUnreadable


@pytest.mark.parametrize(("headers", "wait"), [({}, 1.0), ({"Retry-After": "3"}, 3.0)])
def test_an_accepted_request_that_is_not_ready_asks_for_patience_and_hurts_nobody(
    headers: dict[str, str], wait: float
) -> None:
    """Socrata's 202: the same request again, soon; the breaker must not count it."""
    error = refused(
        http(None, status=202, headers=headers),
        judge=lambda status, _headers, _body: "pending" if status == 202 else None,
    )
    assert isinstance(error, ProviderUnavailable)
    assert (error.neutral, error.retry_after, error.patience) == (True, wait, Retry().within)


def test_a_server_error_is_not_neutral_and_keeps_the_wait_it_names() -> None:
    """503 with Retry-After is a maintenance window."""
    error = refused(http(status=503, headers={"Retry-After": "120"}, raw=b"<html>"))
    assert isinstance(error, CallFailed)
    assert (error.neutral, error.retry_after) == (False, 120.0)


def test_not_modified_is_an_answer_without_a_body() -> None:
    """The cached one is good again."""
    with Peer(says(b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n')) as peer:
        asking = client(peer)
        answers = [asking.send(GET, extra_headers={"If-None-Match": '"v1"'}) for _ in range(2)]
        assert peer.connections == 1
    assert [(answer.status, answer.data, answer.headers["etag"]) for answer in answers] == [
        (304, None, '"v1"')
    ] * 2


def test_an_empty_success_is_an_answer_of_none() -> None:
    """SendGrid's 202 and every 204."""
    with Peer(says(http(status=202, raw=b""))) as peer:
        assert client(peer).send(GET).data is None


def test_a_charset_that_is_told_truly_is_honoured_and_a_mark_before_the_body_forgiven() -> None:
    """ISO 8859-1 bytes that say so, and UTF-8 after a byte order mark."""
    latin = http(
        raw='["Café"]'.encode("latin-1"), headers={"Content-Type": "application/json; charset=iso-8859-1"}
    )
    marked = http(raw=b'\xef\xbb\xbf["Caf\xc3\xa9"]')
    with Peer(says(latin, marked)) as peer:
        asking = client(peer)
        assert [asking.send(GET).data, asking.send(GET).data] == [["Café"], ["Café"]]


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "127.0.0.1:80", "http://user:canary@127.0.0.1", "http://127.0.0.1/?canary=1"]
)
def test_a_base_address_that_is_no_place_is_refused_at_the_start(url: str) -> None:
    """Credentials do not belong in it, and the message does not repeat them."""
    with pytest.raises(ConfigurationError) as caught:
        HttpClient(Provider(name="city", base_url=url), base_url=url, credential=None, timeouts=Timeouts())
    assert "canary" not in str(caught.value)
