"""The numbers of docs/scaling.md, held against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import capacity
from tests.fleet import Ground

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
LIKE = {"a call in line": "waiting_call_bytes", "a dead letter": "dead_letter_bytes"}


def told(what: str) -> float:
    """Bytes, by the page's table."""
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {what}"))
    return float(row.split("|")[2])


@pytest.fixture(scope="module")
def memory() -> dict[str, float]:
    """What is measured, of fewer calls than the bench has."""
    with Ground() as ground:
        return capacity.memory(ground, waiting=2000)


@pytest.mark.parametrize("what", LIKE)
def test_memory_is_what_the_page_says(memory: dict[str, float], what: str) -> None:
    """Within a quarter: a server's tables grow in steps."""
    assert memory[LIKE[what]] == pytest.approx(told(what), rel=0.25)


def test_the_example_follows_from_the_formula() -> None:
    """Whoever changes one of them has to change the other."""
    line, letters, submissions, results = 200_000 * 1700, 5_000 * 500, 30 * 1000 * 1000, 500_000 * 2150
    worked_out = (1.5 * (line + letters + submissions + results) + 50e6) / 1e9

    (shown,) = re.findall(r"≈ \*\*([\d.]+) GB\*\*", PAGE)

    assert float(shown) == pytest.approx(worked_out, abs=0.05)
