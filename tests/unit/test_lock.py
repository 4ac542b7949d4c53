"""The locks: every package pinned and hashed, no address in them, and they fit pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("runtime.lock", "develop.lock")


def entries(name: str) -> list[str]:
    """One string for each requirement of a lock, with its hashes."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def pins(name: str) -> dict[str, set[str]]:
    """The versions of each package; more than one when Python versions need different ones."""
    found: dict[str, set[str]] = {}
    for entry in entries(name):
        package, version = re.split(r"[ ;]", entry, maxsplit=1)[0].split("==")
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


def wanted(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = (one for extra in extras for one in project["optional-dependencies"][extra])
    return [Requirement(text) for text in (*project["dependencies"], *optional)]


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    """Pip then installs these files and no others."""
    for entry in entries(name):
        assert re.match(r"^[a-z0-9-]+==[^ ]+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


@pytest.mark.parametrize("name", LOCKS)
def test_no_address_and_no_path_is_in_it(name: str) -> None:
    """Where packages come from is the machine's own business."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")

    assert not re.search(r"https?:|file:|--index|--extra-index|--find-links|/", text)


@pytest.mark.parametrize(("name", "extras"), [("runtime.lock", ()), ("develop.lock", ("dev",))])
def test_it_holds_what_pyproject_asks_for(name: str, extras: tuple[str, ...]) -> None:
    """A dependency that was added without ``make lock`` is found here."""
    locked = pins(name)

    for requirement in wanted(*extras):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in {name}: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_what_runs_is_what_was_tested() -> None:
    """The image's lock is part of the checkout's."""
    tested = pins("develop.lock")

    assert {package: tested.get(package) for package in pins("runtime.lock")} == pins("runtime.lock")


def test_celery_and_kombu_are_the_versions_that_were_measured() -> None:
    """How they fail differs from one to the next."""
    exact = {one.name: str(one.specifier) for one in wanted() if one.name in {"celery", "kombu"}}

    assert exact == {"celery": "==5.7.0", "kombu": "==5.7.0"}
