"""The judge of the contract tests can say no: to requests, answers, and corrections that correct nothing."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.document import document
from tests.contract.errata import ERRATA, Erratum
from tests.contract.owner import Owner, recorded
from tests.contract.tally import COLUMNS
from worker.auth.pieces import Auth, Basic, ClientCredentials
from worker.provider import Provider
from worker.request import Request

ROOT = Path(__file__).resolve().parents[2]
BOOKS = Provider(name="books", base_url="https://books.example/v1", auth=Auth(header="X-Api-Key"))
ERROR = {"type": "object", "required": ["code"], "properties": {"code": {"type": "integer"}}}
PUBLISHED: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Books", "version": "1"},
    "servers": [{"url": "http://books.example/v1/"}, {"url": "https://test.books.example"}],
    "security": [{"key": []}],
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}},
    "paths": {
        "/books/{isbn}": {
            "get": {
                "parameters": [
                    {"name": "isbn", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "pages", "in": "query", "schema": {"type": "integer", "maximum": 10}},
                ],
                "responses": {
                    "200": {
                        "description": "The book",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "required": ["title"],
                                    "properties": {"title": {"type": "string"}, "more": {"type": "object"}},
                                }
                            }
                        },
                    },
                    "404": {"description": "None", "content": {"application/json": {"schema": ERROR}}},
                },
            }
        },
        "/orders": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["isbn"],
                                "properties": {"isbn": {"type": "string"}, "marks": {"type": "object"}},
                            }
                        },
                        "application/x-www-form-urlencoded": {
                            "schema": {"type": "object", "properties": {"isbn": {"type": "string"}}}
                        },
                    },
                },
                "responses": {"201": {"description": "Taken"}},
            }
        },
    },
}


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    """One that publishes the document above."""
    return Owner(document(published(tmp_path, PUBLISHED)))


def published(folder: Path, found: Mapping[str, Any], name: str = "books.json") -> Path:
    """The file of a published document."""
    path = folder / name
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def book(isbn: str = "9780140283297", **params: str) -> Request:
    """A question for a book."""
    return Request(path=f"/books/{isbn}", params=params)


def order(data: Any = None, form: Mapping[str, str] | None = None) -> Request:
    """An order for one."""
    return Request(path="/orders", method="POST", data=data, form=form)


def test_what_the_owner_documents_is_allowed(owner: Owner) -> None:
    """A query, a body, a form; an object without named fields takes any; http there is https here."""
    for request in (
        book(),
        book(pages="3"),
        order({"isbn": "1", "marks": {"gift": True}}),
        order(form={"isbn": "1"}),
    ):
        owner.allows(request, provider=BOOKS)
        owner.allows(request, base="https://books.example/v1", provider=BOOKS)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(path="/book/1"), "Path not found"),
        (Request(path="/books/1", method="DELETE"), "Operation delete not found"),
        (book(pages="eleven"), "pages"),
        (book(pages="11"), "greater than the maximum"),
        (book(page="1"), "no query parameter 'page'"),
        (order({"isbn": 9780140283297}), "at isbn: 9780140283297 is not of type"),
        (order({}), "'isbn' is a required property"),
        (order({"isbn": "1", "colour": "red"}), "'colour' was unexpected"),
        (order(form={"isbn": "1", "color": "red"}), "its form has no field 'color'"),
        (order(), "required"),
    ],
)
def test_what_the_owner_does_not_document_is_refused(owner: Owner, request_: Request, said: str) -> None:
    """By the words that lead to the mistake."""
    with pytest.raises(AssertionError, match=said):
        owner.allows(request_, provider=BOOKS)


@pytest.mark.parametrize("auth", [None, Basic(), Auth(query="key"), Auth(header="X-Key")])
def test_a_request_without_the_credential_in_its_place_is_refused(
    owner: Owner, auth: Auth | Basic | None
) -> None:
    """No other header will do, and no query."""
    other = Provider(name="books", base_url=BOOKS.base_url, auth=auth)

    with pytest.raises(AssertionError, match="Security not found"):
        owner.allows(book(), provider=other)
    with pytest.raises(AssertionError, match="Security not found"):
        owner.allows(book(), provider=BOOKS, signed=False)


def test_an_access_token_stands_where_oauth_wants_it(tmp_path: Path) -> None:
    """The document names a flow; what we send is the bearer's token that it ends in."""
    found = copy.deepcopy(PUBLISHED)
    found["components"]["securitySchemes"]["key"] = {"type": "oauth2", "flows": {}}
    owner = Owner(document(published(tmp_path, found)))
    bearer = Provider(name="books", base_url=BOOKS.base_url, auth=ClientCredentials(url="/token"))

    owner.allows(book(), provider=bearer)
    with pytest.raises(AssertionError, match="Security not found"):
        owner.allows(book(), provider=BOOKS)


def test_an_address_that_is_not_the_owners_is_refused(owner: Owner) -> None:
    """Whether the test names it or the provider has it."""
    elsewhere = Provider(name="books", base_url="https://books.example/v2", auth=BOOKS.auth)

    with pytest.raises(AssertionError, match="none of the owner's servers"):
        owner.allows(book(), base="https://books.example/v2", provider=BOOKS)
    with pytest.raises(AssertionError, match="not found"):
        owner.allows(book(), provider=elsewhere)


def test_an_answer_that_the_owner_documents_is_promised(owner: Owner) -> None:
    """An object without named fields may hold any."""
    owner.promises(book(), data={"title": "On the Road", "more": {"pages": 320}}, provider=BOOKS)
    owner.promises(book(), status=404, data={"code": 6}, provider=BOOKS)
    owner.promises(order({"isbn": "1"}), status=201, provider=BOOKS)
    assert owner.answers(book(), provider=BOOKS) == {200, 404}


@pytest.mark.parametrize(
    ("status", "data", "headers", "said"),
    [
        (200, {"name": "On the Road"}, {}, "'title' is a required property"),
        (200, {"title": "x", "new": 1}, {}, "'new' was unexpected"),
        (200, {"title": None}, {}, "at title: None is not of type 'string'"),
        (200, [], {}, "not of type 'object'"),
        (200, None, {}, "DataValidationError|MissingData"),
        (200, {"title": "x"}, {"Content-Type": "text/html"}, "text/html"),
        (404, {"code": "6"}, {}, "at code: '6' is not of type 'integer'"),
        (500, {"code": 6}, {}, "Unknown response http status: 500"),
    ],
)
def test_an_answer_that_the_owner_does_not_document_is_refused(
    owner: Owner, status: int, data: Any, headers: dict[str, str], said: str
) -> None:
    """Its status, its kind and its fields."""
    with pytest.raises(AssertionError, match=said):
        owner.promises(book(), status=status, data=data, headers=headers, provider=BOOKS)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"title": "x", "code": 1}, ""),
        ({"title": "x"}, "'code' is a required property"),
        ({"title": "x", "code": "1"}, "at code: '1' is not of type"),
        ({"title": "x", "code": 1, "new": 1}, "'new' was unexpected"),
    ],
)
def test_the_parts_of_an_all_of_are_judged_together(tmp_path: Path, data: Any, said: str) -> None:
    """One's fields are none that the other does not know; beyond both there are none."""
    found = copy.deepcopy(PUBLISHED)
    found["components"]["schemas"] = {
        "Error": ERROR,
        "Named": {"allOf": [{"$ref": "#/components/schemas/Error"}]},
    }
    at = found["paths"]["/books/{isbn}"]["get"]["responses"]["200"]["content"]["application/json"]
    at["schema"] = {"allOf": [{"$ref": "#/components/schemas/Named"}, at["schema"]]}
    owner = Owner(document(published(tmp_path, found)))

    if not said:
        owner.promises(book(), data=data, provider=BOOKS)
        return
    with pytest.raises(AssertionError, match=said):
        owner.promises(book(), data=data, provider=BOOKS)


def test_an_erratum_corrects_its_own_document_and_place(tmp_path: Path) -> None:
    """Every place that a star stands for; another document stays as it is; a lost place is a mistake."""
    erratum = Erratum(
        spec="books.json",
        at=("paths", "*", "*", "responses"),
        change={"500": {"description": ""}},
        why="seen",
    )
    lost = Erratum(spec="books.json", at=("paths", "/authors"), change={}, why="seen")

    right = Owner(document(published(tmp_path, PUBLISHED), (erratum,)))
    other = Owner(document(published(tmp_path, PUBLISHED, "other.json"), (erratum, lost)))

    right.promises(book(), status=500, provider=BOOKS)
    assert other.answers(book(), provider=BOOKS) == {200, 404}
    with pytest.raises(LookupError):
        document(published(tmp_path, PUBLISHED), (lost,))


def test_every_erratum_changes_what_was_published(contracts: Path) -> None:
    """One that changes nothing has been corrected by the owner, and goes."""
    for erratum in ERRATA:
        path = contracts / "specs" / erratum.spec
        assert document(path, ()) != document(path, (erratum,)), erratum


def test_an_absent_document_skips_the_test_and_says_so(contracts: Path) -> None:
    """So does one of a kind that openapi-core does not read."""
    assert contracts.is_dir()
    with pytest.raises(pytest.skip.Exception, match="not beside this checkout"):
        Owner.of("nothing.yml")
    with pytest.raises(pytest.skip.Exception, match="Swagger 2"):
        Owner.of("open311_georeport_v2-1.swagger.yaml")


def test_every_published_document_can_be_judged_by(contracts: Path) -> None:
    """All that are OpenAPI 3 are read, once, and their first operation has documented answers."""
    names = ["geoclient-openapi.yml", "sendgrid_tsg_mail_v3.json", "spotify-web-api.fixed-open-api.yml"]
    names += ["nyc-benefits-screening-api.yaml", "openweathermap-openapi.yaml"]
    names += ["twilio_api_v2010.messages.trimmed.json"]

    assert {*names} < {each.name for each in (contracts / "specs").iterdir()}
    for name in names:
        assert Owner.of(name) is Owner.of(name)


def test_recorded_answers_are_found(contracts: Path) -> None:
    """By their path in the folder; one that is not there is a mistake in the test."""
    assert contracts.is_dir()
    assert recorded("spotify/beets/missing_request.json")["tracks"]["items"] == []
    with pytest.raises(FileNotFoundError):
        recorded("spotify/nothing.json")


CONFTEST = """
from tests.contract.conftest import tally
from tests.contract.tally import pytest_terminal_summary
"""
COUNTING = """
import pytest
@pytest.mark.parametrize("n", range(4))
def test_counts(tally, n):
    tally.validated("books", 2)
    tally.parsed("songs")
    assert n < 3
def test_counts_nothing():
    pass
"""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_counts_of_passed_tests_are_printed_by_provider(tmp_path: Path, processes: str) -> None:
    """Also with -q and from several processes; a test that failed has proved nothing."""
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_counting.py").write_text(COUNTING, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:valkey", "-n", processes],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    ).stdout

    assert "1 failed, 4 passed" in shown
    assert [
        line.split()
        for line in shown.splitlines()
        if line.split()[:1] in (["books"], ["songs"], ["together"])
    ] == [
        ["books", "6", "0", "0"],
        ["songs", "0", "0", "3"],
        ["together", "6", "0", "3"],
    ]
    assert all(head in shown for head in COLUMNS.values())
