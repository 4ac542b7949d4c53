"""What a provider's owner publishes, as a judge over what we send and over what the sandbox says.

The documents lie in the folder ``shared/contracts`` beside the checkout; where it is absent, tests that ask
for one are skipped and say so. A document's own mistakes are corrected openly: :mod:`tests.contract.errata`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.paths.datatypes import PathOperationServer
from openapi_core.templating.paths.finders import APICallPathFinder

from tests.conftest import CONTRACTS
from tests.contract.document import document, origin, published
from tests.contract.exchange import FORM, JSON, Reply, Sent, sent
from worker.provider import Provider
from worker.request import Request

__all__ = ["Owner", "recorded"]


class Owner:
    """One published OpenAPI document. :meth:`of` reads it, once in a run."""

    def __init__(self, published_document: Mapping[str, Any]) -> None:
        self._document = published_document
        self._servers = published(published_document)
        self._judges: dict[str, OpenAPI] = {}

    @classmethod
    def of(cls, name: str) -> Owner:
        """The document ``contracts/specs/<name>``; skips the test where there is none to judge by."""
        path = CONTRACTS / "specs" / name
        if not path.is_file():
            pytest.skip("the published specs are not beside this checkout")
        return _read(name)

    def allows(
        self, request: Request, *, base: str = "", provider: Provider | None = None, signed: bool = True
    ) -> None:
        """Nothing, when *request* is one that the owner documents.

        What it does not document is refused too: a query parameter, a field of a body, a lack of credentials.

        Args:
            request: As an operation yields it.
            base: The owner's address that the document's paths stand below; its first server when left out.
            provider: Whose base address, headers and auth go with it, as on the wire.
            signed: Whether it carries a credential; one that asks for a token brings its own.

        Raises:
            AssertionError: It is not, and why.
        """
        base = self._base(base)
        wire = sent(request, base=base, provider=provider, signed=signed)
        complaints = [*_said(self._judge(base).iter_request_errors(wire))]
        complaints = complaints or [*self._undeclared(base, wire, request)]
        assert not complaints, _told(
            f"{wire.method.upper()} {wire.path} is not what the owner documents", complaints
        )

    def promises(
        self,
        request: Request,
        *,
        status: int = 200,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        base: str = "",
        provider: Provider | None = None,
    ) -> None:
        """Nothing, when the owner documents that answer to *request*.

        A field that it does not document is refused: a sandbox could say anything there, and we lean on it.
        Owners do add fields: those that a recording or their prose has stand among the errata.

        Args:
            request: What was asked.
            status: That of the answer.
            data: Its body, parsed; None is an empty one.
            headers: Its headers; without a Content-Type it is JSON.
            base: As for :meth:`allows`.
            provider: The same.

        Raises:
            AssertionError: It does not, and why.
        """
        base = self._base(base)
        wire = sent(request, base=base, provider=provider)
        body = b"" if data is None else json.dumps(data).encode()
        reply = Reply.of(status, body, {"Content-Type": JSON, **(headers or {})})
        complaints = [*_said(self._judge(base).iter_response_errors(wire, reply))]
        assert not complaints, _told(f"{wire.path} is not documented to answer {status} so", complaints)

    def answers(self, request: Request, *, base: str = "", provider: Provider | None = None) -> set[int]:
        """The statuses that the owner documents for *request*; what else it answers cannot be judged by."""
        base = self._base(base)
        wire = sent(request, base=base, provider=provider)
        operation = self._operation(base, wire).operation
        return {int(each) for each in (operation / "responses").read_value() if str(each).isdecimal()}

    def _base(self, base: str) -> str:
        base = (base or self._servers[0]).rstrip("/")
        assert origin(base) in map(origin, self._servers), (
            f"{base} is none of the owner's servers {self._servers}"
        )
        return base

    def _judge(self, base: str) -> OpenAPI:
        """The document as it stands below *base*; it knows no fields but those it names."""
        if base not in self._judges:
            config = Config(
                spec_validator_cls=None,  # the owners' documents are what they are
                additional_properties_default_policy="forbid",
            )
            placed = {**self._document, "servers": [{"url": base}]}
            self._judges[base] = OpenAPI.from_dict(placed, config=config)
        return self._judges[base]

    def _operation(self, base: str, wire: Sent) -> PathOperationServer:
        spec = self._judge(base).spec
        return APICallPathFinder(spec).find(wire.method, wire.host_url + wire.path)

    def _undeclared(self, base: str, wire: Sent, request: Request) -> Iterator[str]:
        """What openapi-core lets pass: of queries and forms it reads what it knows, and nothing else."""
        found = self._operation(base, wire)
        schemes = (self._document.get("components") or {}).get("securitySchemes") or {}
        known = {each["name"] for each in schemes.values() if each.get("in") == "query"}
        known |= {*_queries(found.path), *_queries(found.operation)}
        for name in sorted(set(wire.parameters.query) - known):
            yield f"it has no query parameter {name!r}"
        for name in sorted(set(request.form or ()) - _fields(found.operation)):
            yield f"its form has no field {name!r}"


def recorded(path: str) -> Any:
    """The parsed JSON of ``contracts/recorded/<path>``; the test is skipped where the folder is absent."""
    folder = CONTRACTS / "recorded"
    if not folder.is_dir():
        pytest.skip("the recorded contracts are not beside this checkout")
    return json.loads((folder / path).read_text(encoding="utf-8"))


@cache
def _read(name: str) -> Owner:
    return Owner(document(CONTRACTS / "specs" / name))


def _queries(place: Any) -> Iterator[str]:
    """The names of the query parameters that a path or an operation declares."""
    if "parameters" in place:
        for parameter in place / "parameters":
            if (parameter / "in").read_value() == "query":
                yield (parameter / "name").read_value()


def _fields(operation: Any) -> set[str]:
    """The fields of a form that an operation takes."""
    at = ("requestBody", "content", FORM, "schema", "properties")
    for name in at:
        if name not in operation:
            return set()
        operation = operation / name
    return set(operation.read_value())


def _said(errors: Any) -> Iterator[str]:
    """Each complaint in one line, those of a schema by the place in the body."""
    try:
        for error in errors:
            yield from _lines(error)
    except OpenAPIError as error:  # some are raised where others are yielded
        yield from _lines(error)


def _lines(error: BaseException) -> Iterator[str]:
    cause: BaseException | None = error
    while cause is not None:
        for each in (schema_errors := list(getattr(cause, "schema_errors", ()))):
            yield f"at {'.'.join(map(str, each.absolute_path)) or 'its top'}: {each.message[:300]}"
        if schema_errors:
            return
        cause = cause.__cause__
    inner = f" ({error.__cause__})" if error.__cause__ else ""
    yield f"{type(error).__name__}: {error}{inner}"


def _told(head: str, complaints: list[str]) -> str:
    return "\n  ".join([head + ":", *complaints[:20]])
