"""The storms as tests: ``make chaos``, or ``make chaos CHAOS=short`` as CI runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 300.0


@pytest.mark.chaos
@pytest.mark.parametrize("storm", ["running", "waiting", "submitting", "replaying"])
def test_whatever_is_killed_every_call_ends_once(storm: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In a result or a dead letter, and no submission arrives twice; a table shows what became of them."""
    short = ["--short"] if os.environ.get("CHAOS") == "short" else []
    with capfd.disabled():
        done = subprocess.run(
            [sys.executable, "-m", "tests.chaos", storm, *short], cwd=ROOT, timeout=LONGEST, check=False
        )

    assert done.returncode == 0
