"""What is told of providers comes from their modules: docs/providers.md and ``narrows providers``."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import tasks
from tests.sandbox import TOKEN
from worker.auth.pieces import Auth, Basic, ClientCredentials, Login, Pair
from worker.cli import provider_words as words
from worker.cli.provider_source import FIELDS, Source, said
from worker.cli.root import run
from worker.provider import Breaker, Caching, Option, Provider, Quota, Rate, Retry, Signs

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "providers.md"
DESIGN = {
    "benefits",
    "geoclient",
    "lastfm",
    "mapbox",
    "musicbrainz",
    "nyc311",
    "nyc_open_data",
    "openweather",
    "sendgrid",
    "spotify",
    "storage",
    "twilio",
}


@cache
def printed(*args: str) -> str:
    """What ``narrows providers`` prints in a process of its own, which knows our providers and no others.

    A key is set there, which must not be seen.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    return subprocess.run(
        [sys.executable, "-c", "from worker.cli import main; main()", "providers", *args],
        cwd=ROOT,
        env={**env, "NARROWS_PROVIDERS__NYC311__API_KEY": TOKEN},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout


def listed() -> dict[str, dict[str, Any]]:
    """Every provider as ``--json`` has it, by name."""
    return {each["name"]: each for each in json.loads(printed("--json"))}


def test_the_page_is_what_the_modules_say() -> None:
    """``make docs`` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == printed("--markdown"), "docs/providers.md is old: make docs"


def test_every_provider_of_the_design_is_there() -> None:
    """All twelve."""
    assert set(listed()) >= DESIGN


def test_every_public_task_is_told() -> None:
    """In the page's tables, by name and parameters."""
    told = set(re.findall(r"^\| `(\w+)\(", PAGE.read_text(encoding="utf-8"), re.MULTILINE))

    assert set(tasks.__all__) <= told


def test_the_readme_names_every_provider_and_its_tasks() -> None:
    """In its table."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## The providers")[2].partition("\n## ")[0]

    assert {*DESIGN, *tasks.__all__} <= set(re.findall(r"`(\w+)`", table))


@pytest.mark.parametrize("name", sorted(DESIGN))
def test_every_provider_says_where_it_was_read_and_what_is_unverified(name: str) -> None:
    """In the docstring of its module; the day is a day."""
    each = listed()[name]

    assert [title for field, title in FIELDS.items() if field != "kept" and not each[field]] == []
    assert date.fromisoformat(each["read_on"].partition(",")[0]) <= date.today()  # noqa: DTZ011
    assert each["about"]
    assert all(task["does"] for task in each["tasks"])


@pytest.mark.parametrize("name", sorted(DESIGN))
def test_what_a_request_keeps_in_its_own_way_is_told(name: str) -> None:
    """Each ``Caching`` of a provider's module beside the provider's, in the same words."""
    module = importlib.import_module(f"tasks.{name}")
    own = [each for each in vars(module).values() if isinstance(each, Caching)]

    assert [each for each in own if words.caching(each).partition(",")[0] not in listed()[name]["kept"]] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mapbox", "; nothing at all unless the option `permanent` is true |"),
        ("nyc_open_data", "; no page of an import |"),
        ("spotify", "; a track by its id 30 d in Redis |"),
        ("musicbrainz", "; what a search found 1 d in Redis |"),
    ],
)
def test_what_is_kept_otherwise_stands_beside_what_is_kept(name: str, expected: str) -> None:
    """On the page, in the provider's own table and in the one of all."""
    page = printed("--markdown")
    row = next(line for line in page.splitlines() if line.startswith(f"| [`{name}`]"))
    table = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]

    assert expected in row
    assert re.search(rf"^\| kept \|.*{re.escape(expected)}$", table, re.MULTILINE)


def test_no_credential_is_told() -> None:
    """Neither on the page nor for programs: what they are is said, not what is set."""
    assert TOKEN not in printed("--markdown") + printed("--json") + printed("nyc311")


def test_one_provider_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """Its tasks, its limits in words, and what is unverified."""
    assert run(["providers", "nyc311"]) == 0

    shown = capsys.readouterr().out
    assert "submit_service_request" in shown
    assert re.search(r"quota +100,000 a day and credential \(America/New_York\)", shown)
    assert re.search(r"contract +handbook; to be chosen: apim", shown)
    assert re.search(r"unverified +\w", shown)


def test_all_are_listed_with_their_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each."""
    assert run(["providers"]) == 0

    shown = capsys.readouterr().out
    assert re.search(r"nyc_open_data +1000 in 60 s, 50 at once +- +5 failures in a row +1 h in Redis", shown)


def test_a_provider_that_there_is_not_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """As everywhere."""
    assert run(["providers", "nyc_311"]) == 2
    assert "nyc311" in capsys.readouterr().err


HEAD = """City library: books.

Docs     https://api.library.example/docs
         https://api.library.example/changes
Limits   none published
Kept     a shelf for a day
Unverified  what a
         ``429`` looks like
Read on  2026-11-21, in the rain
"""


def test_a_modules_head_is_read_by_its_fields() -> None:
    """What goes on in the next line belongs to it, what is missing is empty."""
    assert said(HEAD) == Source(
        about="City library: books.",
        docs="https://api.library.example/docs https://api.library.example/changes",
        limits="none published",
        kept="a shelf for a day",
        quirks="",
        unverified="what a `429` looks like",
        read_on="2026-11-21, in the rain",
    )
    assert said("") == Source()
    assert said("One line.") == Source(about="One line.")


@pytest.mark.parametrize(
    ("provider", "row", "expected"),
    [
        ({"rate": Rate(calls=40, burst=40)}, "rate", "40 a second, 40 at once"),
        ({"rate": Rate(calls=1000, per=60.0, burst=50)}, "rate", "1000 in 60 s, 50 at once"),
        ({"rate": None}, "rate", None),
        ({"quota": Quota(limit=1000, zone="UTC", spent="fail")}, "quota",
         "1,000 a day and credential (UTC); then calls fail"),
        ({"breaker": Breaker(failures=3, reset_after=30.0, successes=1)}, "breaker",
         "3 failures in a row; asks again after 30 s, closes after 1 success"),
        ({"breaker": Breaker(failures=None, ratio=0.5)}, "breaker",
         "50% of the last 20 calls; asks again after 60 s, closes after 2 successes"),
        ({"retry": Retry(attempts=1)}, "retries", "none"),
        ({"retry": Retry(attempts=3, first=1.0, most=10.0, budget=None)}, "retries",
         "3 attempts within 5 m, 1 s to 10 s apart"),
        ({"caching": Caching(memory=60.0, redis=3600.0, stale_if_error=86_400.0)}, "kept",
         "1 h in Redis, 60 s in each process, empty ones 5 m, 1 d where it is down"),
        ({"caching": Caching(memory=0.0, redis=60.0)}, "kept", "60 s in Redis"),
        ({"auth": None}, "credential", "none"),
        ({"auth": Auth(header="X-Api-Key", required=False)}, "credential",
         "a key in the header `X-Api-Key`; may be left out"),
        ({"auth": Auth(header="Authorization", scheme="Bearer")}, "credential",
         "a key in the header `Authorization`, behind `Bearer`"),
        ({"auth": Auth(query="appid")}, "credential", "a key in the query parameter `appid`"),
        ({"auth": Basic()}, "credential", "`user:password` in the header `Authorization` (Basic)"),
        ({"auth": Pair(query=("app_id", "app_key"))}, "credential",
         "`id:key`, in the query parameters `app_id` and `app_key`"),
        ({"auth": ClientCredentials(url="https://a.example/token")}, "credential",
         "`id:secret`, which buys an access token at `https://a.example/token`"),
        ({"auth": Login(url="/authToken")}, "credential",
         "`user:password`, which buys an access token at `/authToken`"),
        ({"fails_open": True}, "without state", "asked all the same, at this process's share of its rate"),
        ({"max_concurrency": 4}, "in flight", "4 at most"),
    ],
)  # fmt: skip
def test_what_is_declared_is_said_in_words(provider: dict[str, Any], row: str, expected: str | None) -> None:
    """Numbers with their units; what is not declared has no row."""
    declared = Provider(name="books", base_url="https://books.example", **provider)

    assert words.declared(declared).get(row) == expected


def test_signs_are_told_by_what_they_mean() -> None:
    """Codes, words and statuses of one verdict stand together."""
    signs = Signs(
        at="error.code",
        codes={"10": "credentials", "29": "throttled", "30": "throttled"},
        words={"too many": "throttled"},
        statuses={503: "throttled"},
    )

    assert words.meanings(signs) == {
        "credentials": "`error.code` is `10`",
        "throttled": "`error.code` is `29` or `30`; `message` holds “too many”; status 503",
    }


def test_an_option_is_told_with_its_default() -> None:
    """As it would be set; one without a default has to be."""
    required = Option(about="where mail comes from")
    several = Option(about="what is meant", default=("a", "b"))

    assert words.option(required) == "where mail comes from; has no default"
    assert words.option(several) == "what is meant; `a,b` unless set"
    assert words.option(Option(about="x", default=False)) == "x; `false` unless set"
    assert words.option(Option(about="x", default=3600.0)) == "x; `3600` unless set"
