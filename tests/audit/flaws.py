"""Known flaws of what the locks hold, by pip-audit; "nobody could be asked" is not "none".

pip-audit ends well when its service knows none of the packages, as a mirror of an index does that keeps no
reports. So the service is first asked about a release whose flaws have been published for years: whoever does
not know those knows none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["SERVICES", "Answer", "asked"]

SERVICES = ("pypi", "osv")
AUDIT = (sys.executable, "-m", "pip_audit")
CONTROL = f"jinja2==2.4.1 --hash=sha256:{'0' * 64}\n"
"""Flawed: PYSEC-2014-8, PYSEC-2014-82, PYSEC-2019-217. The hash is for pip-audit, which wants one."""

WITHIN = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known.

    Attributes:
        flaws: One line for each.
        unknown: Why nothing could be learnt, of all packages or of some; "" when all were asked about.
        told: How many were asked about, and whom.
    """

    flaws: tuple[str, ...] = ()
    unknown: str = ""
    told: str = ""


@dataclass(slots=True, kw_only=True)
class _Report:
    """What one run of pip-audit said."""

    flaws: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    failed: str = ""


def asked(
    locks: Iterable[Path], *, services: Sequence[str] = SERVICES, command: Sequence[str] = AUDIT
) -> Answer:
    """What the first of *services* that knows anything says of *locks*.

    Args:
        locks: Files of pins with hashes.
        services: Of pip-audit, in the order in which they are tried.
        command: pip-audit's.
    """
    reasons = []
    for service in services:
        control = _control(service, command)
        if control.flaws:
            return _answer([_run(lock, service, command) for lock in locks], service)
        reasons.append(f"{service}: {control.failed or 'it does not know even long-known flaws'}")
    return Answer(unknown="; ".join(reasons))


def _control(service: str, command: Sequence[str]) -> _Report:
    with tempfile.TemporaryDirectory(prefix="narrows-audit-") as folder:
        lock = Path(folder) / "control.lock"
        lock.write_text(CONTROL, encoding="utf-8")
        return _run(lock, service, command)


def _answer(reports: list[_Report], service: str) -> Answer:
    flaws = sorted(set().union(*(report.flaws for report in reports)))
    known = set().union(*(report.known for report in reports))
    skipped = sorted(set().union(*(report.skipped for report in reports)) - known)
    reasons = [report.failed for report in reports if report.failed]
    if skipped:
        reasons.append(f"{service} does not know {', '.join(skipped)}")
    told = f"flaws: {len(flaws)} in {len(known)} packages, says {service}"
    return Answer(flaws=tuple(flaws), unknown="; ".join(reasons), told=told)


def _run(lock: Path, service: str, command: Sequence[str]) -> _Report:
    """What it says of one lock; it ends with 1 when it has found something, and when it could not ask."""
    options = [
        "--requirement",
        str(lock),
        "--disable-pip",
        "--require-hashes",
        "--vulnerability-service",
        service,
    ]
    try:
        done = subprocess.run(
            [*command, *options, "--format", "json", "--progress-spinner", "off", "--timeout", "15"],
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN,
        )
        said: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return _Report(failed=f"no answer within {WITHIN:g} s")
    except ValueError:
        return _Report(failed=_reason(done.stderr))
    report = _Report()
    for package in said["dependencies"]:
        pin = f"{package['name']} {package.get('version', '')}".strip()
        if "skip_reason" in package:
            report.skipped.add(pin)
            continue
        report.known.add(pin)
        for flaw in package["vulns"]:
            cure = f", mended in {', '.join(flaw['fix_versions'])}" if flaw["fix_versions"] else ""
            report.flaws.add(f"{pin}: {flaw['id']}{cure}")
    return report


def _reason(words: str) -> str:
    """The kind of its last error: what stands there may hold addresses."""
    last = words.strip().splitlines()[-1:] or ["it said nothing"]
    return last[0].partition(":")[0].rpartition(".")[2]
