"""An operation called as a function: guarded, and without a record."""

from __future__ import annotations

from tasks import fetch_bbl
from tests.fleet import Ground


def test_an_operation_called_directly_answers_without_a_worker_or_a_record(clean: Ground) -> None:
    """For scripts and notebooks: through gate and cache, here and now."""
    report = fetch_bbl("1012650001")

    assert report["bbl"] == "1012650001"
    assert report["dob_violations"]
    assert {source["from"] for source in report["sources"].values()} == {"live"}
    assert clean.sandbox.control.counts("nyc_open_data")["count"] == 4
    with clean.client() as state:
        assert not state.keys("narrows:*:call:*")


def test_a_second_direct_call_is_answered_from_the_cache(clean: Ground) -> None:
    """The same cache as the workers'."""
    fetch_bbl("1008350041")
    before = clean.sandbox.control.counts("nyc_open_data")["count"]

    report = fetch_bbl("1008350041")

    assert {source["from"] for source in report["sources"].values()} == {"cache"}
    assert clean.sandbox.control.counts("nyc_open_data")["count"] == before
