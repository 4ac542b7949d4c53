"""``make audit`` finds what is there, and does not take silence for an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.audit import flaws, leaks

ROOT = Path(__file__).resolve().parents[2]
AWS = "AKIA" + "J7Q2M4XN8RT5WK3B"
"""Of the form of a real one; put together so that this file holds none."""


def answering(folder: Path, packages: list[dict[str, Any]], *, knows: bool = True) -> list[str]:
    """A pip-audit whose service says that of *packages*, and *knows* the old flaws or does not."""
    told = {"vulns": [{"id": "PYSEC-2014-8", "fix_versions": ["2.7.2"]}]} if knows else {"skip_reason": "no"}
    control = [{"name": "jinja2", "version": "2.4.1", **told}]
    program = folder / "pip_audit.py"
    program.write_text(
        "import sys\n"
        f"print({json.dumps({'dependencies': control})!r} if 'control.lock' in ' '.join(sys.argv)"
        f" else {json.dumps({'dependencies': packages})!r})\n",
        encoding="utf-8",
    )
    return [sys.executable, str(program)]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock of two packages."""
    place = tmp_path / "some.lock"
    place.write_text("idna==3.10\nrequests==2.0.0\n", encoding="utf-8")
    return place


def test_a_planted_key_is_found_by_its_place_and_not_shown(tmp_path: Path) -> None:
    """Among files of ours; without it nothing is found."""
    for name in ("config/settings.py", "docs/sealing.md", "tests/unit/test_logging.py"):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "tests.audit", str(tmp_path), "--only", "secrets"]

    clean = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    (tmp_path / "docs" / "sealing.md").write_text(f"# Sealing\n\nKEY = '{AWS}'\n", encoding="utf-8")
    dirty = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert (clean.returncode, clean.stdout) == (0, "secrets: 0 in 3 files\n")
    assert (dirty.returncode, dirty.stderr) == (1, "")
    assert "docs/sealing.md:3: AWS Access Key" in dirty.stdout
    assert AWS not in dirty.stdout


@pytest.mark.parametrize("value", [AWS, "hunter2hunter2", "Tr0ub4dor&3", "sandbox-token-of-production"])
def test_only_examples_are_examples(value: str) -> None:
    """A pattern that lets everything through would let a secret through."""
    assert not leaks.EXAMPLES.fullmatch(value)


def test_a_flaw_is_told_with_its_cure(lock: Path, tmp_path: Path) -> None:
    """One line, and all packages were asked about."""
    flaw = {"id": "CVE-2023-32681", "fix_versions": ["2.31.0"]}
    packages: list[dict[str, Any]] = [
        {"name": "idna", "version": "3.10", "vulns": []},
        {"name": "requests", "version": "2.0.0", "vulns": [flaw]},
    ]

    answer = flaws.asked([lock], services=["pypi"], command=answering(tmp_path, packages))

    assert answer.flaws == ("requests 2.0.0: CVE-2023-32681, mended in 2.31.0",)
    assert answer.unknown == ""
    assert answer.told == "flaws: 1 in 2 packages, says pypi"


def test_packages_that_the_service_does_not_know_are_no_clean_ones(lock: Path, tmp_path: Path) -> None:
    """pip-audit itself ends well there."""
    packages: list[dict[str, Any]] = [
        {"name": "idna", "version": "3.10", "vulns": []},
        {"name": "requests", "skip_reason": "not found"},
    ]

    answer = flaws.asked([lock], services=["pypi"], command=answering(tmp_path, packages))

    assert answer.flaws == ()
    assert answer.unknown == "pypi does not know requests"


def test_a_service_that_does_not_know_old_flaws_knows_none(lock: Path, tmp_path: Path) -> None:
    """As a mirror that keeps no reports: it is not asked further, and nothing is called clean."""
    packages: list[dict[str, Any]] = [{"name": "idna", "version": "3.10", "vulns": []}]

    answer = flaws.asked([lock], services=["pypi", "osv"], command=answering(tmp_path, packages, knows=False))

    assert answer.told == ""
    assert answer.unknown.count("it does not know even long-known flaws") == 2


def test_a_service_that_cannot_be_reached_is_told_without_its_address(lock: Path, tmp_path: Path) -> None:
    """By the kind of the error alone."""
    program = tmp_path / "broken.py"
    program.write_text(
        "raise ConnectionError('https://user:hunter2@index.example/simple')\n", encoding="utf-8"
    )

    answer = flaws.asked([lock], services=["osv"], command=[sys.executable, str(program)])

    assert answer == flaws.Answer(unknown="osv: ConnectionError")
