"""The page about logging: its examples run, and its line is one of ours."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.records import CONTEXT, FIELDS
from tests.unit.test_logging import _logging_as_before  # noqa: F401 - what is set up is put back
from worker.logs import get_logger, setup_logging

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

AND_THEN = """
import asyncio
assert price("o-17") == 3
assert asyncio.run(suggestions("u-7")) == ()
"""


def test_the_page_s_programs_run_one_after_the_other(tmp_path: Path) -> None:
    """In a service's own process; what they say is in the files that they asked for."""
    program = tmp_path / "api.py"
    program.write_text("\n".join([*PROGRAMS, AND_THEN]), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    written = [json.loads(line) for line in (tmp_path / "logs" / "app.log").read_text().splitlines()]
    assert [line["message"] for line in written] == ["order taken", "function timed", "function failed"]
    assert [json.loads(line) for line in done.stderr.splitlines()] == written


def test_the_page_s_line_has_the_keys_of_a_real_one() -> None:
    """In their order."""
    stream = io.StringIO()
    setup_logging(stream=stream)
    get_logger("orders.api").info("order taken", extra={"order_id": "o-17", "items": 3})

    (shown,) = LINES
    assert list(json.loads(shown)) == list(json.loads(stream.getvalue()))


def test_the_page_names_each_key_that_every_line_has() -> None:
    """And calls none of them so that some lines lack."""
    rows = re.findall(r"^\| (.*) \| every line \|", PAGE, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert told == {*FIELDS.values(), *CONTEXT}


@pytest.mark.parametrize("name", ["app", "error", "api", "model"])
def test_the_page_names_each_file(name: str) -> None:
    """With what is in it."""
    assert f"| `{name}.log` |" in PAGE
