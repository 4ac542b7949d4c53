"""What is installed against what was locked."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from worker.doctor.pins import unlike


def test_only_what_differs_is_named(tmp_path: Path) -> None:
    """With both versions; what is not installed here was locked for another system."""
    lock = tmp_path / "runtime.lock"
    lock.write_text(
        f"redis=={metadata.version('redis')} \\\n    --hash=sha256:00\n"
        "celery==0.0.1 \\\n    --hash=sha256:00\n"
        "no-such-package==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n",
        encoding="utf-8",
    )

    assert unlike(lock) == [f"celery {metadata.version('celery')} instead of 0.0.1"]


def test_a_package_with_a_pin_for_each_python_may_have_any_of_them(tmp_path: Path) -> None:
    """A universal lock names several."""
    here = metadata.version("redis")
    lock = tmp_path / "runtime.lock"
    lock.write_text(
        f"redis==0.1 ; python_full_version < '3.12'\nredis=={here} ; python_full_version >= '3.12'\n",
        encoding="utf-8",
    )

    assert unlike(lock) == []


def test_a_missing_lock_is_told(tmp_path: Path) -> None:
    """Silence would read as agreement."""
    with pytest.raises(FileNotFoundError):
        unlike(tmp_path / "none.lock")
