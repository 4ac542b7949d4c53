"""A data set of as many rows as are wanted, none of which is kept: each is made when it is asked for.

It answers what an import asks and nothing else: a count, and pages by ``:id``.
"""

from __future__ import annotations

import re

from tests.sandbox.message import JSON_TYPE, Reply, Request, json_reply
from tests.sandbox.soda import errors

__all__ = ["EndlessPlayer"]

CHANGED = "2026-11-20T17:40:22.000Z"
_AFTER = re.compile(r":id > 'row-(\d{9})'")


class EndlessPlayer:
    """Plays NYC Open Data with *total* rows in every data set."""

    name = "nyc_open_data"

    def __init__(self, total: int) -> None:
        self.total = total

    async def answer(self, request: Request) -> Reply:
        if "count(*)" in request.params.get("$select", ""):
            return json_reply([{"total": str(self.total), "newest": CHANGED}])
        after = _AFTER.search(request.params.get("$where", ""))
        first = int(after[1]) + 1 if after else 0
        last = min(self.total, first + int(request.params["$limit"]))
        body = "[" + "\n,".join(map(_row, range(first, last))) + "]\n"
        return Reply(headers={"Content-Type": JSON_TYPE}, body=body.encode())

    def failure(self, status: int) -> Reply:
        return errors.failure(status)


def _row(number: int) -> str:
    return (
        f'{{":id":"row-{number:09}",":version":"rv-{number:09}",":created_at":"{CHANGED}",'
        f'":updated_at":"{CHANGED}","unique_key":"{number}","agency":"HPD","status":"Open",'
        '"descriptor":"No hot water in the whole building, for the third day","borough":"BRONX"}'
    )
