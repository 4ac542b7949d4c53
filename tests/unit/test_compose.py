"""docker-compose.yml, the image and the servers' files, as far as they can be checked without Docker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from ruamel.yaml import YAML

from config.settings import Settings, SettingsError
from worker.stack.embedded import EmbeddedValkey

ROOT = Path(__file__).resolve().parents[2]
OURS = ("worker", "beat", "flower")
VARIABLES = {"STATE_PASSWORD": "hunter2", "CACHE_PASSWORD": "hunter3", "FLOWER_BASIC_AUTH": "ada:hunter4"}


@pytest.fixture(scope="module")
def services() -> Mapping[str, Any]:
    """The services, with anchors resolved."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    found: dict[str, Any] = loaded["services"]
    return found


def environment(service: Mapping[str, Any], **variables: str) -> dict[str, str]:
    """What the service's process sees when .env holds *variables*."""
    found = {}
    for name, value in service["environment"].items():
        for variable, given in variables.items():
            for form in (f"${{{variable}:-}}", f"${{{variable}:?set {variable} in .env}}"):
                value = value.replace(form, given)  # noqa: PLW2901 - one variable after the other
        found[name] = value
    return found


def directives(name: str) -> dict[str, str]:
    """The settings in one of the servers' files."""
    lines = (ROOT / "config" / "redis" / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def test_the_file_fits_the_published_compose_schema() -> None:
    """The schema comes with check-jsonschema, so nothing is fetched."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]

    checked = subprocess.run(
        [*command, str(ROOT / "docker-compose.yml")], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", OURS)
def test_our_settings_accept_what_each_service_is_given(services: Mapping[str, Any], name: str) -> None:
    """In production, with nothing but the passwords of .env."""
    settings = Settings.load(environment(services[name], **VARIABLES))

    assert settings.in_production
    assert settings.runs_flower == (name == "flower")


def test_flower_does_not_start_without_its_password(services: Mapping[str, Any]) -> None:
    """It is in a profile, so the variable may be missing; then its own settings refuse."""
    given = environment(services["flower"], **{**VARIABLES, "FLOWER_BASIC_AUTH": ""})

    assert services["flower"]["profiles"] == ["flower"]
    with pytest.raises(SettingsError, match="NARROWS_FLOWER_BASIC_AUTH"):
        Settings.load(given)


def test_everything_is_started_again_limited_and_given_time_to_end(services: Mapping[str, Any]) -> None:
    """A worker may exit with its broker; a stop must let running calls end."""
    for name, service in services.items():
        assert service["restart"] == "always", name
        assert service["stop_grace_period"] == "60s", name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name


def test_every_service_has_a_health_check(services: Mapping[str, Any]) -> None:
    """The worker's is the image's own."""
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    assert "HEALTHCHECK" in image
    assert [name for name, service in services.items() if "healthcheck" not in service] == ["worker"]


def test_only_flower_is_published_and_on_loopback_only(services: Mapping[str, Any]) -> None:
    """Neither Redis nor metrics leave the stack's network."""
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {"flower": ["127.0.0.1:5555:5555"]}


def test_the_image_runs_as_nobody_from_the_hashed_lock() -> None:
    """And what is copied into it is listed, so no secret of a checkout is."""
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert "USER 10001:10001" in image
    assert "--require-hashes --requirement /tmp/runtime.lock" in image
    assert ignored[1] == "*"


def test_the_state_server_keeps_and_the_cache_server_evicts() -> None:
    """The two roles contradict each other; that is why there are two servers."""
    state, cache = directives("state.conf"), directives("cache.conf")

    assert (state["maxmemory-policy"], state["appendonly"], state["appendfsync"]) == (
        "noeviction",
        "yes",
        "always",
    )
    assert (cache["maxmemory-policy"], cache["appendonly"]) == ("allkeys-lru", "no")


@pytest.mark.parametrize("name", ["state.conf", "cache.conf"])
def test_a_real_server_takes_each_of_its_directives(name: str) -> None:
    """An unknown or misspelt one would stop it at start."""
    fixed_at_start = {"bind", "port", "dir", "protected-mode"}

    with EmbeddedValkey() as valkey, Redis.from_url(valkey.url) as client:
        for directive, value in directives(name).items():
            if directive not in fixed_at_start:
                assert client.config_set(directive, value.strip('"'))
            assert client.config_get(directive)
