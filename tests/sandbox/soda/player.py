"""NYC Open Data, mounted at ``/nyc_open_data``: ``/resource/<4x4>.json`` as Socrata answers it.

Read on  2026-11-21, from PROVIDERS.md section 1 and the recordings that it names
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import random
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from tests.sandbox.message import JSON_TYPE, Reply, Request
from tests.sandbox.soda import errors
from tests.sandbox.soda.datasets import DATASETS
from tests.sandbox.soda.errors import CastFailed, QueryRefused
from tests.sandbox.soda.expressions import Row
from tests.sandbox.soda.query import Query
from tests.sandbox.soda.table import Table
from tests.sandbox.soda.values import instant

__all__ = ["MAX_TARGET", "POISON", "SodaPlayer"]

MAX_TARGET = 8192
"""Characters of path and query; longer ones are answered 414."""

POISON = "sandbox-500"
"""A query with this text anywhere in its parameters is answered 500, however often it is asked."""

_RESOURCE = re.compile(r"/resource/(\w{4}-\w{4})(\.\w+)?")
_KEPT = 64

Rows = Mapping[str, Iterable[Mapping[str, Any]]]


class SodaPlayer:
    """Plays NYC Open Data over *rows* (dataset id to rows).

    Attributes:
        tokens: App tokens that are known; others are refused, none at all is fine.
        out_of_date: Whether a stale replica answers, which knows what there was before the last change.
    """

    name = "nyc_open_data"

    def __init__(self, rows: Rows, *, today: date, tokens: Iterable[str], seed: int = 0) -> None:
        self.tokens = set(tokens)
        self.out_of_date = False
        self._seed = seed
        self._served = itertools.count()
        self._modified = datetime.combine(today - timedelta(days=1), time(17, 40, 22), UTC)
        self._rows: Rows = {}
        self._tables: dict[str, Table] = {}
        self._older = self._modified, self._tables
        self._known: OrderedDict[Any, list[Row]] = OrderedDict()
        self.load(rows)

    @contextmanager
    def serving(self, rows: Rows) -> Iterator[None]:
        """:meth:`load` *rows*, and at the end those that there were before."""
        before = self._rows
        self.load(rows)
        try:
            yield
        finally:
            self.load(before)

    def load(self, rows: Rows) -> None:
        """Replace the rows of every dataset; answers carry a later modification time from now on.

        None of the rows changed after it.
        """
        self._older = self._modified, self._tables
        self._rows = {id_: list(found) for id_, found in rows.items()}
        later = self._modified + timedelta(minutes=1)
        said = [row[":updated_at"] for found in self._rows.values() for row in found if ":updated_at" in row]
        self._modified = max([later, *(datetime.fromisoformat(instant(each)) for each in set(said))])
        stamp = self._modified.strftime("%Y-%m-%dT%H:%M:%S.000")
        if unknown := sorted(set(rows) - set(DATASETS)):
            raise ValueError(f"no datasets {', '.join(unknown)}")
        self._tables = {
            id_: Table(dataset, self._rows.get(id_, ()), modified=stamp) for id_, dataset in DATASETS.items()
        }

    async def answer(self, request: Request) -> Reply:
        if len(request.target) > MAX_TARGET:
            return errors.page(414)
        token = request.headers.get("x-app-token", request.params.get("$$app_token"))
        if token is not None and token not in self.tokens:
            return errors.permission_denied()
        match = _RESOURCE.fullmatch(request.path)
        if match is None or match[1] not in self._tables:
            return errors.dataset_missing(match[1] if match else request.path.strip("/"))
        if request.method not in {"GET", "HEAD"}:
            return errors.page(405)
        if match[2] != ".json":
            return errors.page(406)
        tables = self._older[1] if self.out_of_date else self._tables
        return self._resource(tables[match[1]], request)

    def failure(self, status: int) -> Reply:
        return errors.failure(status)

    def _resource(self, table: Table, request: Request) -> Reply:
        if any(POISON in value for value in request.params.values()):
            return errors.internal_error(request.query)
        try:
            query, matching = self._matching(table, request.params)
            texts = self._texts(table, query, matching)
        except QueryRefused as refusal:
            return refusal.reply()
        except CastFailed:
            return errors.internal_error(request.query)
        return self._reply(table, query, texts, request)

    def _matching(self, table: Table, params: Mapping[str, str]) -> tuple[Query, list[Row]]:
        """The query and its rows; those of recent queries are kept, or deep pages would be slow."""
        query = Query(params, table.columns, dataset=table.dataset.code)
        asked = frozenset(each for each in params.items() if each[0] not in {"$limit", "$offset"})
        key = (table.dataset.id, table.version, asked)
        if (rows := self._known.get(key)) is None:
            rows = self._known[key] = query.matching(table.rows)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return query, rows

    def _texts(self, table: Table, query: Query, matching: Sequence[Row]) -> list[str]:
        if query.aggregated:
            return [_json(row) for row in self._page(query, query.answer(matching))]
        page = self._page(query, matching)
        if query.outputs is None:
            return [table.text(row) for row in page]
        return [_json(row) for row in query.answer(page)]

    def _page(self, query: Query, rows: Sequence[Any]) -> Sequence[Any]:
        """The rows asked for; shuffled anew each time when no order was asked for."""
        if not query.ordered:
            chance = random.Random(f"{self._seed}:{next(self._served)}")
            rows = chance.sample(rows, min(len(rows), query.offset + query.limit))
        return rows[query.offset : query.offset + query.limit]

    def _reply(self, table: Table, query: Query, texts: Sequence[str], request: Request) -> Reply:
        headers = self._headers(table, query, request)
        if self._unchanged(headers["ETag"], request):
            return Reply(status=304, headers=headers)
        body = ("[" + "\n,".join(texts) + "]\n").encode()
        if len(body) > 1024 and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Reply(headers=headers, body=body, chunked=True)

    def _headers(self, table: Table, query: Query, request: Request) -> dict[str, str]:
        known = self._older[0] if self.out_of_date else self._modified
        truth, modified = (format_datetime(each, usegmt=True) for each in (self._modified, known))
        about = f"{table.version}{known}{sorted(request.params.items())}"
        digest = hashlib.sha256(about.encode()).hexdigest()
        kinds = _shown_columns(table, query)
        return {
            "Server": "nginx",
            "Date": format_datetime(datetime.now(UTC), usegmt=True),
            "Content-Type": JSON_TYPE,
            "Access-Control-Allow-Origin": "*",
            "ETag": f'W/"{digest[:40]}--gzi{digest[40:56]}---gzip"',
            "X-SODA2-Fields": _json(list(kinds)),
            "X-SODA2-Types": _json(list(kinds.values())),
            "X-SODA2-Data-Out-Of-Date": str(self.out_of_date).lower(),
            "X-SODA2-Truth-Last-Modified": truth,
            "X-SODA2-Secondary-Last-Modified": modified,
            "Last-Modified": modified,
            "Vary": "Accept-Encoding",
            "X-Socrata-Region": "sandbox",
            "X-Socrata-RequestId": f"{self._seed:08x}{next(self._served):024x}",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        }

    def _unchanged(self, etag: str, request: Request) -> bool:
        """Whether the client's copy still holds (RFC 9110, 13.2.2: the ETag counts before the date)."""
        if (known := request.headers.get("if-none-match")) is not None:
            return known.strip() == "*" or etag in [each.strip() for each in known.split(",")]
        if (since := request.headers.get("if-modified-since")) is not None:
            try:
                return parsedate_to_datetime(since) >= self._modified
            except (TypeError, ValueError):
                return False
        return False


def _shown_columns(table: Table, query: Query) -> dict[str, str]:
    if query.outputs is None:
        return dict(table.dataset.columns)
    return {output.name: output.kind or "text" for output in query.outputs}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
