"""NYC Open Data: violations, complaints and permits of a tax lot.

Docs     https://dev.socrata.com/docs/  https://data.cityofnewyork.us/d/3h2n-5cm9 (wvxf-dwi5,
         erm2-nwe9, ipu4-2q9a)
Limits   https://dev.socrata.com/docs/app-tokens.html
         none published with an application token, a shared pool by address without;
         1000 calls in 60 s is our own politeness
Kept     no page of an import
Quirks   1000 rows unless asked for more; pages overlap without an order; a throttled answer names
         no wait; a bad token is refused where none would be served; 202 means "ask again"; some
         500s are for ever; numbers are text; absent columns are null (tasks/datasets.py for each)
Unverified  what a 429 looks like, and a 202 for a read; the columns of wvxf-dwi5 and erm2-nwe9, of which
         rows were recorded and no inventory
Read on  2026-11-21
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from tasks import soql
from tasks.arguments import IsoDate, several, some_of, whole_number
from tasks.arguments.bbl import BBL, BBLText
from tasks.datasets import COMPLAINTS_311, DATASETS, DOB_VIOLATIONS, HPD_VIOLATIONS, PERMITS, Dataset
from tasks.importing.options import OPTIONS
from tasks.query import MOST, Query, Row, is_rows, read
from worker.errors import CallError
from worker.operation import Progress, Steps, operation
from worker.provider import Auth, Breaker, Caching, Provider, Rate, Retry, Verdict

__all__ = [
    "PROVIDER",
    "fetch_311_complaints",
    "fetch_bbl",
    "fetch_bbls",
    "fetch_dob_violations",
    "fetch_hpd_violations",
    "fetch_permits",
]

BBLTexts = Annotated[list[BBLText], several(10_000, example="1012650001")]
Days = Annotated[int, whole_number(1, 3650, example=30)]
Include = Annotated[tuple[str, ...], some_of(tuple(DATASETS))]
Limit = Annotated[int, whole_number(1, MOST, example=1000)]
Report = dict[str, Any]

ALL = tuple(DATASETS)
GOOD = 2


def judge(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:  # noqa: ARG001
    """What the status alone does not say. A 500 stays what it is: retries are few, and end."""
    code = body.get("code") if isinstance(body, dict) else None
    match status, code:
        case 202, _:
            return "pending"
        case _ if status // 100 == GOOD and not is_rows(body):
            return "unreadable"
        case ((401 | 403), _):
            return "credentials"
        case 404, "dataset.missing":
            return "rejected"
        case _:
            return None


PROVIDER = Provider(
    name="nyc_open_data",
    base_url="https://data.cityofnewyork.us",
    # A worker's 32 slots may start together with room for a dozen more; a burst of a whole
    # minute's 1000 would let 2000 through in the first one.
    rate=Rate(calls=1000, per=60.0, burst=50),
    breaker=Breaker(failures=5, reset_after=60.0),
    retry=Retry(attempts=3, first=1.0, most=10.0),
    caching=Caching(memory=300.0, redis=3600.0, stale_if_error=86_400.0),
    auth=Auth(header="X-App-Token", required=False),
    judge=judge,
    options=OPTIONS,
)


@operation(PROVIDER, shown=("bbl", "limit"))
def fetch_dob_violations(bbl: BBLText, limit: Limit = 1000) -> Steps[list[Row]]:
    """Violations that the Department of Buildings issued for a lot, as the API gives them."""
    return (yield from _records(DOB_VIOLATIONS, bbl, limit))


@operation(PROVIDER, shown=("bbl", "limit"))
def fetch_hpd_violations(bbl: BBLText, limit: Limit = 1000) -> Steps[list[Row]]:
    """Housing violations of a lot, as the API gives them."""
    return (yield from _records(HPD_VIOLATIONS, bbl, limit))


@operation(PROVIDER, shown=("bbl", "days", "limit", "as_of_date"))
def fetch_311_complaints(
    bbl: BBLText, days: Days = 30, limit: Limit = 1000, as_of_date: IsoDate = None
) -> Steps[list[Row]]:
    """Complaints to 311 about a lot in the *days* up to the end of *as_of_date* (today in New York)."""
    day = date.fromisoformat(as_of_date) if as_of_date else today()
    return (yield from _records(COMPLAINTS_311, bbl, limit, window(days, day)))


@operation(PROVIDER, shown=("bbl", "limit"))
def fetch_permits(bbl: BBLText, limit: Limit = 1000) -> Steps[list[Row]]:
    """Building permits of a lot, as the API gives them."""
    return (yield from _records(PERMITS, bbl, limit))


@operation(PROVIDER, shown=("bbl", "include", "days_311", "use_cache"))
def fetch_bbl(
    bbl: BBLText,
    include: Include = ALL,
    days_311: Days = 30,
    use_cache: bool = True,  # noqa: FBT001, FBT002 - callers by bare name pass arguments by place
) -> Steps[Report]:
    """All that is known of a lot: ``{"bbl", <each data set>: [row, ...], "sources": {...}}``.

    ``sources[name]`` is ``{"from": "live" | "cache" | "stale", "age": seconds}``, or
    ``{"error": code}`` for a data set that could not be had: its list is then empty. One that was
    not included has an empty list and no source. When all failed, the first error is raised.
    """
    lot = BBL.parse(bbl)
    reports = yield from _reports(_queries([lot], include, days_311), fresh=not use_cache)
    return reports[lot]


@operation(PROVIDER, shown=("bbls", "include", "days_311", "use_cache"))
def fetch_bbls(
    bbls: BBLTexts,
    include: Include = ALL,
    days_311: Days = 30,
    use_cache: bool = True,  # noqa: FBT001, FBT002 - as above
) -> Steps[dict[str, Report]]:
    """What :func:`fetch_bbl` says of each lot, by BBL, in few requests: two for 100 lots and data set.

    Progress counts these queries. All are shared, so what fails is missing for all lots of its query.
    """
    lots = list(dict.fromkeys(map(BBL.parse, bbls)))
    queries = [part for query in _queries(lots, include, days_311) for part in query.fitting()]
    reports = yield from _reports(queries, fresh=not use_cache, progress=True)
    return {str(lot): reports[lot] for lot in lots}


def today(now: datetime | None = None) -> date:
    """The day in New York, which 311 keeps time by."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("America/New_York")
    return (now.astimezone(zone) if now else datetime.now(zone)).date()


def window(days: int, day: date) -> str:
    """True for complaints of the *days* before *day* and of that day."""
    return soql.during(COMPLAINTS_311.created, day - timedelta(days), day + timedelta(1))


def _records(dataset: Dataset, bbl: str, limit: int, window: str = "") -> Steps[list[Row]]:
    lot = BBL.parse(bbl)
    found = yield from read(Query(dataset=dataset, bbls=(lot,), window=window), limit=limit)
    return found.rows[lot][:limit]


def _queries(lots: list[BBL], include: tuple[str, ...], days_311: int) -> list[Query]:
    recent = window(days_311, today())
    chosen = [DATASETS[name] for name in include]
    return [Query(dataset=each, bbls=tuple(lots), window=recent if each.created else "") for each in chosen]


def _reports(queries: list[Query], *, fresh: bool, progress: bool = False) -> Steps[dict[BBL, Report]]:
    reports: dict[BBL, Report] = {}
    failed: list[CallError] = []
    for done, query in enumerate(queries, 1):
        try:
            found = yield from read(query, fresh=fresh)
            rows, source = found.rows, found.source
        except CallError as error:
            if error.passing:
                raise
            failed.append(error)
            rows, source = {}, {"error": error.code}
        for lot in query.bbls:
            report = reports.setdefault(lot, _empty(lot))
            report[query.dataset.name] = rows.get(lot, [])
            report["sources"][query.dataset.name] = dict(source)
        if progress:
            yield Progress(done=done, total=len(queries))
    if len(failed) == len(queries):
        raise failed[0]
    return reports


def _empty(lot: BBL) -> Report:
    return {"bbl": str(lot), **{name: [] for name in DATASETS}, "sources": {}}
