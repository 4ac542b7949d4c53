"""The sandbox's answers beside those that Socrata really sent.

Recorded: the missing column, the internal error, the headers and the older 403.
The envelopes of ``error_envelopes_documented.json`` are quotations, not recordings;
429 has neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.tally import Tally
from tests.sandbox import POISON, Sandbox, load_recorded
from tests.sandbox.soda.datasets import DATASETS


@pytest.fixture
def socrata(contracts: Path) -> Path:
    """The folder of recorded answers."""
    return contracts / "recorded" / "socrata"


@pytest.fixture
def base(contracts: Path) -> Iterator[str]:
    """The address of a sandbox that serves the recorded rows."""
    with Sandbox(load_recorded(contracts)) as sandbox:
        yield sandbox.base_url("nyc_open_data")


def ask(base: str, dataset: str, headers: dict[str, str] | None = None, **params: str) -> requests.Response:
    """One answer; ``__`` in a keyword stands for the dollar of ``$limit``."""
    named = {name.replace("__", "$"): value for name, value in params.items()}
    return requests.get(f"{base}/resource/{dataset}.json", params=named, headers=headers, timeout=10)


def shape(value: Any) -> Any:
    """*value* with its keys and the types of its leaves."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return type(value).__name__


def test_a_missing_column_is_refused_as_recorded(base: str, socrata: Path, tally: Tally) -> None:
    """Same keys, same types, same code, same first words, and the mark under the column."""
    recorded = json.loads((socrata / "dob_legacy" / "query_ipu4-2q9a_bad-column_http400.json").read_text())

    answer = ask(base, "ipu4-2q9a", __select="not_a_real_column", __limit="1")

    assert answer.status_code == 400
    assert shape(recorded) == shape(answer.json())
    for key in ("column", "dataset"):
        assert recorded["data"][key] == answer.json()["data"][key]
    assert recorded["message"].partition("position")[0] == answer.json()["message"].partition("position")[0]
    tally.played("nyc_open_data")


def test_a_short_query_is_refused_word_for_word(base: str, socrata: Path, tally: Tally) -> None:
    """PLUTO's recording names another dataset; all else is the same text."""
    wrapped = json.loads((socrata / "pluto" / "F13_schema_drift_no_such_column_400.json").read_text())
    recorded = json.loads(wrapped["response_body_raw"])

    said = ask(base, "ipu4-2q9a", __select="`nonexistent_col`").json()

    assert recorded["message"] == said["message"]
    assert recorded["data"]["position"] == said["data"]["position"]
    tally.played("nyc_open_data")


def test_an_internal_error_has_the_recorded_keys(base: str, socrata: Path, tally: Tally) -> None:
    """A tag, and a sentence that holds it."""
    probes = (socrata / "dob_legacy" / "query_log_key_probes.txt").read_text()
    recorded = json.loads(re.findall(r"HTTP: 500\n(.*)", probes)[0])

    answer = ask(base, "3h2n-5cm9", street=POISON)

    assert (answer.status_code, shape(recorded)) == (500, shape(answer.json()))
    tag = answer.json()["data"]["tag"]
    assert recorded["message"].replace(recorded["data"]["tag"], tag) == answer.json()["message"]
    tally.played("nyc_open_data")


@pytest.mark.parametrize("status", [403, 404])
def test_the_core_layers_refusals_are_those_that_others_quote(
    base: str, contracts: Path, status: int, tally: Tally
) -> None:
    """Quoted in public reports; the one recorded 403 is older and lacks the code."""
    documented = json.loads((contracts / "recorded" / "error_envelopes_documented.json").read_text())
    (quoted,) = [each for each in documented if (each["provider"], each["status"]) == ("socrata", status)]

    answer = ask(base, "zzzz-zzzz", headers={"X-App-Token": "revoked"} if status == 403 else None)

    assert (status, quoted["body_json"]) == (answer.status_code, answer.json())
    tally.played("nyc_open_data")


def test_an_answer_has_the_recorded_headers(base: str, socrata: Path, tally: Tally) -> None:
    """Every header that was recorded is there and the count's type is the same; no limit is announced."""
    lines = (socrata / "dob_legacy" / "response_headers_3h2n-5cm9_count.txt").read_text().splitlines()
    recorded = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    recorded.pop("", None)

    headers = {
        name.lower(): value
        for name, value in ask(base, "3h2n-5cm9", __select="count(*) as n").headers.items()
    }

    assert set(recorded) == set(headers)
    same = {"content-type", "transfer-encoding", "x-soda2-fields", "x-soda2-types", "vary", "server"}
    assert {name: recorded[name] for name in same} == {name: headers[name] for name in same}
    assert re.fullmatch(r'W/"[\w-]+---gzip"', headers["etag"])
    tally.played("nyc_open_data")


def test_a_body_is_laid_out_as_recorded(base: str, socrata: Path, tally: Tally) -> None:
    """Rows in the recorded order of keys, a comma before each line, nulls absent."""
    recorded = (socrata / "dob_legacy" / "sample_3h2n-5cm9.json").read_text()

    said = ask(base, "3h2n-5cm9", house_number="TEST", __order="isn_dob_bis_viol desc").text

    assert json.loads(recorded) == json.loads(said)
    assert recorded.strip().splitlines()[1][:2] == said.strip().splitlines()[1][:2] == ",{"
    tally.played("nyc_open_data")


def test_the_columns_are_those_of_the_recorded_metadata(socrata: Path) -> None:
    """Names in order, and types, of the two datasets whose metadata is recorded."""
    metadata = json.loads((socrata / "dob_legacy" / "views_metadata_extract_17_datasets.json").read_text())
    kinds = {"text": "text", "number": "number", "calendar_date": "floating_timestamp"}

    for id_ in ("3h2n-5cm9", "ipu4-2q9a"):
        view = metadata["datasets"][id_]
        columns = [(each["fieldName"], kinds[each["dataTypeName"]]) for each in view["columns"]]
        assert columns == list(DATASETS[id_].columns.items())
