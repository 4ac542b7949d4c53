"""``make audit`` finds what is there, and does not take silence for an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


PLANTS = {
    f"aws:\n  access_key_id: {AWS}\n": "AWS Access Key",
    "key: |\n  -----BEGIN " + "RSA PRIVATE KEY-----\n": "Private Key",
    "env:\n  STATE_PASSWORD: " + "Tr0ub4dor-and-3-horses\n": "Secret Keyword",
    "env:\n  url: redis://:" + "Sup3rGeheim99@state:6379/0\n": "Address",
    "password: " + "Tr0ub4dor-and-3-horses  # pragma: allowlist " + "secret\n": "Secret Keyword",
    'secret: "narrows, ' + 'Zq81kd01kd8"\n': "Secret Keyword",
}
"""What somebody may leave in a YAML, and as what it is found."""


def test_what_is_left_in_a_yaml_is_found_whatever_is_said_beside_it(tmp_path: Path) -> None:
    """Each kind in a file of its own; no remark excuses a line, no example hides what follows it."""
    for number, text in enumerate(PLANTS):
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")

    looked, places = leaks.found(tmp_path)

    assert looked == len(PLANTS)
    for number, kind in enumerate(PLANTS.values()):
        assert [each for each in places if each.startswith(f"{number}.yaml:") and each.endswith(kind)], number


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


@contextmanager
def reporting(*flawed: str) -> Iterator[str]:
    """The address of a service of the OSV kind that knows a flaw of each of the packages *flawed*."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            flaw = {"id": "PYSEC-2014-8", "details": "It leaks.", "affected": []}
            body = json.dumps({"vulns": [flaw]} if asked in flawed else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("flawed", "code", "word"),
    [
        (("jinja2", "requests"), 1, "requests 2.0.0: PYSEC-2014-8"),
        (("jinja2",), 0, "flaws: 0 in 2 packages, says osv"),
        ((), 3, "NOT ASKED"),
    ],
    ids=["a flaw", "none", "nobody knows"],
)
def test_the_real_pip_audit_fails_on_a_flaw_and_on_nothing_else(
    flawed: tuple[str, ...], code: int, word: str, tmp_path: Path
) -> None:
    """Asked of a service on this machine, as where a registry answers."""
    (tmp_path / "requirements").mkdir()
    pins = "".join(f"{pin} --hash=sha256:{'0' * 64}\n" for pin in ("idna==3.10", "requests==2.0.0"))
    (tmp_path / "requirements" / "some.lock").write_text(pins, encoding="utf-8")
    command = [sys.executable, "-m", "tests.audit", str(tmp_path), "--only", "flaws", "--service", "osv"]

    with reporting(*flawed) as address:
        env = {**os.environ, "PIP_AUDIT_OSV_URL": address, "no_proxy": "127.0.0.1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env)

    assert (done.returncode, done.stderr) == (code, "")
    assert word in done.stdout
