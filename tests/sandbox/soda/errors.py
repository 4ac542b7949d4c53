"""The ways in which SODA refuses a query, in its own two envelopes.

Recorded: ``query.soql.no-such-column`` (with these keys) and ``internal-error``.
Quoted by others, never recorded: ``dataset.missing``, ``permission_denied``,
``query.compiler.malformed``, the ``data`` of a type mismatch, and every 429.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from tests.sandbox.message import Reply, json_reply

__all__ = [
    "CastFailed",
    "Clause",
    "QueryRefused",
    "dataset_missing",
    "failure",
    "internal_error",
    "malformed",
    "mismatch",
    "no_such_column",
    "no_such_function",
    "not_grouped",
    "permission_denied",
]


class CastFailed(Exception):
    """A row's value does not take a cast; Socrata answers 500, each time anew (recorded)."""


class QueryRefused(Exception):
    """The query cannot be run; ``body`` is the answer's, ``status`` its status."""

    def __init__(self, body: Mapping[str, Any], *, status: int = 400) -> None:
        super().__init__(str(body.get("message", "")))
        self.body = body
        self.status = status

    def reply(self) -> Reply:
        """The refusal as an answer."""
        return json_reply(self.body, status=self.status)


class Clause:
    """A piece of SoQL and what stands before it, so that errors can point into it."""

    def __init__(self, text: str, *, before: str, dataset: str) -> None:
        self.text = text
        self.before = before
        self.dataset = dataset

    def position(self, at: int) -> dict[str, Any]:
        """Row, column and the marked line for the character *at* of the text."""
        column = len(self.before) + at
        return {"row": 1, "column": column + 1, "line": f"{self.before}{self.text}\n{' ' * column}^"}


def no_such_column(name: str, clause: Clause, at: int) -> QueryRefused:
    """The dataset has no column of that name."""
    return _query_layer("no-such-column", f"No such column: {name}", clause, at, column=name)


def no_such_function(name: str, clause: Clause, at: int) -> QueryRefused:
    """SoQL has no function of that name."""
    return _query_layer("no-such-function", f"No such function: {name}", clause, at, function=name)


def mismatch(function: str, kind: str, clause: Clause, at: int) -> QueryRefused:
    """*function* does not take an argument of *kind*."""
    message = f"Type mismatch for {function}, is {kind}"
    return _query_layer("type-mismatch", message, clause, at, function=function, type=kind)


def not_grouped(name: str, clause: Clause, at: int) -> QueryRefused:
    """A selected column is neither grouped nor aggregated."""
    return _query_layer(
        "column-not-in-group-bys", f"Column not in group bys: {name}", clause, at, column=name
    )


def malformed(reason: str, clause: Clause, at: int) -> QueryRefused:
    """The text is no SoQL."""
    line = clause.position(at)["line"]
    message = f"Could not parse SoQL query at line 1 character {at + 1}: {reason}"
    return QueryRefused(
        {"code": "query.compiler.malformed", "error": True, "message": message, "data": {"query": line}}
    )


def dataset_missing(dataset_id: str) -> Reply:
    """404: no dataset of that id."""
    body = {"code": "dataset.missing", "error": True, "message": "Not found", "data": {"id": dataset_id}}
    return json_reply(body, status=404)


def permission_denied() -> Reply:
    """403: an app token that is not known. No token at all is fine."""
    body = {"code": "permission_denied", "error": True, "message": "Invalid app_token specified"}
    return json_reply(body, status=403)


def internal_error(about: str) -> Reply:
    """500, with a tag that the same question brings again."""
    tag = str(uuid.uuid5(uuid.NAMESPACE_URL, about))
    message = f"Internal error: please include code {tag} if you report the error"
    return json_reply({"message": message, "errorCode": "internal-error", "data": {"tag": tag}}, status=500)


def failure(status: int) -> Reply:
    """What a fault of *status* looks like: nginx's page where the gateway would speak, JSON elsewhere."""
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return internal_error("fault")
    if status == HTTPStatus.FORBIDDEN:
        return permission_denied()
    if status == HTTPStatus.NOT_FOUND:
        return dataset_missing("")
    if status == HTTPStatus.ACCEPTED:
        return json_reply({}, status=status)
    return page(status)


def page(status: int) -> Reply:
    """A gateway's page for *status*, without headers that say when to come back."""
    title = f"{status} {HTTPStatus(status).phrase}"
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>nginx</body></html>\n"
    return Reply(status=status, headers={"Server": "nginx", "Content-Type": "text/html"}, body=body.encode())


def _query_layer(code: str, message: str, clause: Clause, at: int, **data: Any) -> QueryRefused:
    position = clause.position(at)
    line = position["line"].replace("\n", "\\n")
    where = f'Map(row -> 1, column -> {position["column"]}, line -> "{line}")'
    return QueryRefused(
        {
            "message": f"Query coordinator error: query.soql.{code}; {message}; position: {where}",
            "errorCode": f"query.soql.{code}",
            "data": {**data, "dataset": clause.dataset, "position": position},
        }
    )
