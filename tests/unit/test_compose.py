"""docker-compose.yml, the image and the servers' files, as far as they can be checked without Docker."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from ruamel.yaml import YAML

import tasks  # noqa: F401 - the real providers make themselves known
from config.settings import Settings, SettingsError
from tests.command_lines import misused
from tests.fleet import until
from tests.sandbox import TOKEN
from tests.sandbox.settings import settings as sandbox_settings
from tests.unit.composed import INTEGRATION, LIVE, ROOT, VARIABLES, composed, environment, filled
from worker import registry
from worker.stack.embedded import EmbeddedValkey, _binary, free_port

OURS = ("worker", "beat", "exporter", "flower")
SERVERS = ("state", "cache")
MONITORS = ("prometheus", "alertmanager", "grafana")
FOREIGN = (*SERVERS, *MONITORS)

SETTINGS = pytest.mark.parametrize("files", [LIVE, INTEGRATION], ids=["live", "integration"])


@pytest.fixture(scope="module")
def services() -> Mapping[str, Any]:
    """The services, with anchors resolved."""
    found: dict[str, Any] = composed(*LIVE)["services"]
    return found


def directives(name: str) -> dict[str, str]:
    """The settings in one of the servers' files."""
    lines = (ROOT / "config" / "redis" / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def test_the_files_fit_the_published_compose_schema() -> None:
    """The schema comes with check-jsonschema, so nothing is fetched."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]

    checked = subprocess.run(
        [*command, *(str(ROOT / name) for name in INTEGRATION)], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


@SETTINGS
@pytest.mark.parametrize("name", OURS)
def test_our_settings_accept_what_each_service_is_given(files: tuple[str, ...], name: str) -> None:
    """With nothing but the passwords of .env; all that needs a live host is there in both."""
    settings = Settings.load(environment(composed(*files)["services"][name]))

    settings.check_providers(registry.names())
    assert settings.in_production == (files == LIVE)
    assert settings.runs_flower == (name == "flower")


def test_flower_does_not_start_without_its_password(services: Mapping[str, Any]) -> None:
    """It is in a profile, so the variable may be missing; then its own settings refuse."""
    given = environment(services["flower"], {**VARIABLES, "FLOWER_BASIC_AUTH": ""})

    assert services["flower"]["profiles"] == ["flower"]
    with pytest.raises(SettingsError, match="NARROWS_FLOWER_BASIC_AUTH"):
        Settings.load(given)


@SETTINGS
def test_everything_is_started_again_limited_closed_and_given_time_to_end(files: tuple[str, ...]) -> None:
    """A worker may exit with its broker; a stop must let running calls end; nobody gains rights."""
    for name, service in composed(*files)["services"].items():
        assert service["restart"] == "always", name
        assert service["stop_grace_period"] == "60s", name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert service["read_only"], name
        assert (service["cap_drop"], service.get("cap_add", [])) == (["ALL"], []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name


@SETTINGS
def test_every_service_has_a_health_check(files: tuple[str, ...]) -> None:
    """The worker's is the image's own."""
    found = composed(*files)["services"]

    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert [name for name, service in found.items() if "healthcheck" not in service] == ["worker"]


@SETTINGS
def test_only_pages_with_a_door_are_published_and_on_loopback_only(files: tuple[str, ...]) -> None:
    """Neither Redis nor metrics nor the sandbox leave the stack's network."""
    found = composed(*files)["services"]
    published = {name: service["ports"] for name, service in found.items() if "ports" in service}

    assert set(published) == {"flower", "prometheus", "alertmanager", "grafana"}
    assert [each for ports in published.values() for each in ports if not each.startswith("127.0.0.1:")] == []


@SETTINGS
def test_every_image_is_pinned_to_a_version_or_built_here(files: tuple[str, ...]) -> None:
    """A tag that moves would change a deployment without a commit."""
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    for name, service in composed(*files)["services"].items():
        if name in FOREIGN:
            assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), name
        else:
            assert f"AS {service['build']['target']}\n" in image
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-", image, re.MULTILINE)


@SETTINGS
def test_every_command_is_one_that_its_program_takes(files: tuple[str, ...]) -> None:
    """Commands and health checks of ours, by Celery's, Flower's and our own parsers."""
    found = composed(*files)["services"]
    lines = [found[name]["command"] for name in OURS]
    lines += [each["healthcheck"]["test"][1:] for each in found.values() if "healthcheck" in each]

    assert [wrong for words in lines if (wrong := misused(" ".join(map(str, words))))] == []


@SETTINGS
def test_every_file_that_is_mounted_is_there(files: tuple[str, ...]) -> None:
    """All but the secrets, which lie in a folder that git does not look at."""
    whole = composed(*files)
    mounted = [
        volume.split(":")[0] for each in whole["services"].values() for volume in each.get("volumes", ())
    ]
    secret = {name for each in whole["services"].values() for name in each.get("secrets", ())}

    assert [name for name in mounted if name.startswith("./") and not (ROOT / name).exists()] == []
    assert {name for name in mounted if not name.startswith("./")} == set(whole["volumes"])
    assert set(whole["secrets"]) == secret
    assert {each["file"].split("/")[1] for each in whole["secrets"].values()} == {"secrets"}
    assert "secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_prometheus_asks_services_that_are_there_at_the_ports_that_they_have(
    services: Mapping[str, Any],
) -> None:
    """Its file is the same elsewhere; here its names are the services'."""
    text = (ROOT / "config" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    settings = Settings.load({})

    assert str(settings.metrics_port) in services["worker"]["expose"]
    assert str(settings.exporter_port) in services["exporter"]["expose"]
    for name, port in {"worker": settings.metrics_port, "exporter": settings.exporter_port}.items():
        assert re.search(rf"\b{name}:{port}\b", text) or re.search(rf"names:.*\b{name}\b", text), name
    assert re.search(r"\balertmanager:9093\b", text)


def test_secrets_lie_where_the_configurations_look_for_them(services: Mapping[str, Any]) -> None:
    """Alertmanager's and Grafana's, by the paths at which compose shows them."""
    routing = (ROOT / "config" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"/run/secrets/(\w+)", routing))
    grafana = services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"]

    assert named == set(services["alertmanager"]["secrets"])
    assert grafana == "/run/secrets/" + services["grafana"]["secrets"][0]


def test_grafana_finds_its_source_and_its_dashboard(services: Mapping[str, Any]) -> None:
    """Where the provisioning says that they are."""
    folder = ROOT / "config" / "grafana"
    read = YAML(typ="safe", pure=True).load
    source = read((folder / "datasource.yml").read_text(encoding="utf-8"))["datasources"][0]
    provider = read((folder / "dashboards.yml").read_text(encoding="utf-8"))["providers"][0]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]

    assert urlsplit(source["url"]).hostname in services
    assert any(place.startswith(provider["options"]["path"]) for place in mounted)


def test_the_integration_asks_the_sandbox_in_place_of_every_provider() -> None:
    """With the settings that the sandbox itself gives, and with no other of a provider."""
    found = composed(*INTEGRATION)["services"]
    expected = sandbox_settings("http://sandbox:8080", TOKEN)
    hosts = {urlsplit(value).hostname for name, value in expected.items() if name.endswith("_URL")}

    assert {name.split("__")[1].lower() for name in expected} == set(registry.names())
    assert hosts == {found["sandbox"]["hostname"]} == {"sandbox"}
    assert found["sandbox"]["expose"] == ["8080"]
    for name in OURS:
        given = environment(found[name])
        assert {key: value for key, value in given.items() if "PROVIDERS" in key} == expected, name


def test_the_integration_is_no_part_of_a_live_fleet() -> None:
    """Or the sandbox would answer live calls that wait; and .env opens no other way out."""
    live, apart = composed(*LIVE), composed(*INTEGRATION)
    elsewhere = ("NARROWS_EXPORT_TO", "NARROWS_IMPORT_TO", "NARROWS_TRACING_ENDPOINT")
    outside = dict.fromkeys(elsewhere, "https://storage.example.com")

    assert live["name"] != apart["name"]
    assert all(volume is None for volume in apart["volumes"].values())  # no name that both would share
    for name in OURS:
        settings = Settings.load(outside | environment(apart["services"][name]))
        assert (settings.export_to, settings.import_to, settings.tracing_endpoint) == (None, None, None), name


def test_a_stop_waits_longer_than_any_call_may_take() -> None:
    """A call ends within its provider's total time-out; 15 s more are for writing down what became of it."""
    longest = max(registry.provider(name).timeouts.total for name in registry.names())

    assert longest + 15 <= int(composed(*LIVE)["services"]["worker"]["stop_grace_period"].removesuffix("s"))


def test_the_sandbox_starts_from_what_is_copied_into_its_image(tmp_path: Path) -> None:
    """Its folder and nothing else of the tests; no package is wanted."""
    image = (
        (ROOT / "Dockerfile").read_text(encoding="utf-8").partition("AS sandbox\n")[2].partition("\n\n")[0]
    )
    for source, place in re.findall(r"^COPY (\S+) /app/(\S+)$", image, re.MULTILINE):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / place)
    command = re.findall(r'"([^"]+)"', image.partition("CMD")[2])
    told = [
        {"python": sys.executable, "sandbox": "localhost", "8080": "0"}.get(word, word) for word in command
    ]
    folder = {"PATH": os.defpath, "PYTHONPATH": str(tmp_path)}

    with subprocess.Popen(
        [*told[:1], "-S", *told[1:]], cwd=tmp_path, env=folder, stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None
        first = one.stdout.readline().decode()
        one.send_signal(signal.SIGTERM)

    assert re.fullmatch(r"sandbox http://localhost:\d+\n", first)


@pytest.fixture(params=SERVERS)
def served(request: pytest.FixtureRequest, services: Mapping[str, Any], tmp_path: Path) -> Iterator[str]:
    """The address of a server that the compose file's own command has started."""
    service = services[request.param]
    given, port = environment(service), free_port()
    mounted = service["volumes"][0].split(":")[0]
    conf = (ROOT / mounted).read_text(encoding="utf-8")
    for there, here in {
        "port 6379": f"port {port}",
        "dir /data": f'dir "{tmp_path}"',
        "* -::*": "127.0.0.1",
    }.items():
        assert there in conf
        conf = conf.replace(there, here)
    (tmp_path / "server.conf").write_text(conf, encoding="utf-8")
    command = [filled(word) for word in service["command"]]
    command[-1] = (
        command[-1].replace("/etc/narrows/", f"{tmp_path}/").replace("valkey-server", str(_binary()))
    )
    with subprocess.Popen(command, env={**os.environ, **given}, stdout=subprocess.DEVNULL) as running:
        try:
            yield f"redis://:{given['REDISCLI_AUTH']}@127.0.0.1:{port}/0"
        finally:
            running.terminate()
        assert running.wait(10) == 0, "TERM must reach the server itself, which ends well by it"


def test_the_servers_start_by_their_commands_with_the_password_nowhere_to_be_seen(served: str) -> None:
    """The password counts, neither a command line nor a file has it, and TERM ends the server itself."""
    password = urlsplit(served).password or ""
    with Redis.from_url(served) as client:
        until(lambda: _answers(client), 10.0)
        pid = client.info("server")["process_id"]
        shown = Path(f"/proc/{pid}/cmdline")

        assert client.config_get("requirepass") == {"requirepass": password}
        if shown.exists():
            assert password.encode() not in shown.read_bytes()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except OSError:
        return False
    except Exception:  # noqa: BLE001 - not yet
        return False


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
