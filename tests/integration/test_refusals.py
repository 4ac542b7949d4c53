"""Every process refuses, at its start, settings that are unsafe in production: by name, all at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.deployment import CHECKOUT

CELERY = ("-m", "celery", "--app", "worker")
NARROWS = ("-c", "from worker.cli import main; main()")

UNSAFE = {
    "PATH": "/usr/bin:/bin",
    "NARROWS_ENVIRONMENT": "production",
    "NARROWS_STATE_URL": "redis://:canary@127.0.0.1:1/0",
    "NARROWS_BROKER_URL": "redis://127.0.0.1:1/0",
    "NARROWS_EXPORTER_HOST": "0.0.0.0",  # noqa: S104 - to be refused
}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ((*CELERY, "worker", "--concurrency=1"), 1),
        ((*CELERY, "beat", "--pidfile="), 1),
        ((*CELERY, "flower", "--port=0"), 1),
        ((*NARROWS, "exporter", "--port=0"), 2),
        ((*NARROWS, "doctor"), 2),
        ((*NARROWS, "up"), 2),
    ],
    ids=["worker", "beat", "flower", "exporter", "doctor", "up"],
)
def test_nothing_starts_on_settings_that_are_unsafe(command: tuple[str, ...], code: int) -> None:
    """Its supervisor sees the exit code, and its operator what to set; no value is repeated."""
    ended = subprocess.run(
        [sys.executable, *command], env=UNSAFE, cwd=CHECKOUT, capture_output=True, text=True, timeout=90,
        check=False,
    )  # fmt: skip

    said = ended.stdout + ended.stderr
    assert ended.returncode == code
    assert "NARROWS_BROKER_URL has no password" in said
    assert "NARROWS_CACHE_URL is not set" in said
    assert "NARROWS_EXPORTER_HOST is not this machine's own" in said
    assert "canary" not in said
