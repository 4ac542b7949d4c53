"""The rows that others recorded, in the shape SODA serves them.

Exports write a row otherwise than the API does: the columns' printed names,
dates as MM/DD/YYYY, empty text for null.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.sandbox.soda.datasets import DOB_VIOLATIONS, HPD_VIOLATIONS, PERMITS, SERVICE_REQUESTS

__all__ = ["load_recorded"]

Row = dict[str, Any]

_SAMPLES = {
    DOB_VIOLATIONS: (
        "dob_legacy/sample_3h2n-5cm9.json",
        "dob_legacy/query_3h2n-5cm9_bin1006014_positive.json",
    ),
    HPD_VIOLATIONS: ("sample_wvxf-dwi5_hpd_violation.json",),
    SERVICE_REQUESTS: ("sample_erm2-nwe9_with_bbl.json", "sample_erm2-nwe9_without_bbl.json"),
    PERMITS: ("dob_legacy/sample_ipu4-2q9a.json", "sample_ipu4-2q9a_no_bbl.json"),
}
_HPD_NAMES = {"borough": "boro", "postcode": "zip"}
_EXPORTED_DATE = re.compile(r"(\d\d)/(\d\d)/(\d{4})")


def load_recorded(contracts: Path) -> dict[str, list[Row]]:
    """Rows by dataset id, out of *contracts* (the folder that holds ``recorded/``)."""
    folder = contracts / "recorded" / "socrata"
    found = {
        dataset: [row for name in names for row in json.loads((folder / name).read_text("utf-8"))]
        for dataset, names in _SAMPLES.items()
    }
    exports = folder / "nycdb_csv"
    found[DOB_VIOLATIONS] += _export(exports / "dob_violations.csv", _dob)
    known = {row["violationid"] for row in found[HPD_VIOLATIONS]}
    violations = _export(exports / "hpd_violations.csv", _hpd)
    found[HPD_VIOLATIONS] += [row for row in violations if row["violationid"] not in known]
    return found


def _export(path: Path, named: Callable[[str, str], tuple[str, str]]) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        for exported in csv.DictReader(lines):
            yield dict(named(name, value) for name, value in exported.items() if value)


def _dob(name: str, value: str) -> tuple[str, str]:
    return name.lower(), value


def _hpd(name: str, value: str) -> tuple[str, str]:
    column = name.lower()
    if column.endswith("date") and (date := _EXPORTED_DATE.fullmatch(value)):
        value = f"{date[3]}-{date[1]}-{date[2]}T00:00:00.000"
    return _HPD_NAMES.get(column, column), value
