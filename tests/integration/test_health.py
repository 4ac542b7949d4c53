"""Production asks a provider how it is before a worker starts."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

import tasks
from config.settings import ProviderSettings, Settings
from tests.integration.raw_peer import Peer, http, says
from tests.sandbox import Sandbox
from worker.claim import Claim
from worker.doctor.health import unwell
from worker.engine import Engine
from worker.errors import ConfigurationError
from worker.keys import keys
from worker.stack.embedded import EmbeddedValkey

CHECKOUT = Path(__file__).resolve().parents[2]
STORAGE = tasks.get_watermark.operation.provider.name
QUEUES = [STORAGE, "nyc_open_data", "upkeep", "a_queue_of_others"]


def engine(redis_url: str, **chosen: ProviderSettings) -> Engine:
    """A deployment with these providers' settings."""
    url = SecretStr(redis_url)
    return Engine(Settings(providers=chosen, broker_url=url, state_url=url, cache_url=url, result_url=url))


def at(url: str) -> ProviderSettings:
    """The storage service there."""
    return ProviderSettings(base_url=url)


def test_a_healthy_provider_is_nothing_to_tell(redis_url: str, sandbox: Sandbox) -> None:
    """It was asked once, without a credential that it does not need."""
    assert unwell(engine(redis_url, storage=at(sandbox.base_url(STORAGE))), QUEUES) == []
    assert [each["path"] for each in sandbox.control.journal(STORAGE)] == ["/health"]


def test_an_unhealthy_provider_is_told_by_name_and_answer(redis_url: str, sandbox: Sandbox) -> None:
    """Without its words: they are its own."""
    sandbox.storage.healthy = False

    assert unwell(engine(redis_url, storage=at(sandbox.base_url(STORAGE))), QUEUES) == [
        "storage is not healthy: storage answered 503"
    ]


def test_a_provider_that_cannot_be_reached_is_not_healthy(redis_url: str) -> None:
    """And neither its address nor an error of a library is told."""
    (told,) = unwell(engine(redis_url, storage=at("http://127.0.0.1:1")), QUEUES)

    assert told.startswith("storage is not healthy: ")
    assert "127.0.0.1" not in told


def test_a_page_of_some_proxy_is_not_health(redis_url: str) -> None:
    """A 200 alone proves nothing."""
    with Peer(says(http(raw=b"<html>hi</html>", headers={"Content-Type": "text/html"}))) as proxy:
        (told,) = unwell(engine(redis_url, storage=at(proxy.url)), QUEUES)

    assert "not JSON" in told


def test_only_providers_that_are_served_and_deployed_are_asked(redis_url: str, sandbox: Sandbox) -> None:
    """A worker for another provider's queue starts while the storage is down."""
    sandbox.storage.healthy = False
    base = sandbox.base_url(STORAGE)

    assert unwell(engine(redis_url, storage=at(base)), ["nyc_open_data"]) == []
    assert unwell(engine(redis_url), QUEUES) == []
    assert sandbox.control.counts(STORAGE)["count"] == 0


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    """A company's own certificate authority, and the file that says so."""
    made, file = trustme.CA(), tmp_path / "authority.pem"
    made.cert_pem.write_to_path(str(file))
    return made, file


@pytest.fixture
def sick(authority: tuple[trustme.CA, Path]) -> Iterator[Peer]:
    """A storage service that answers 503 over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("127.0.0.1").configure_cert(context)
    answer = http({"status": "unhealthy"}, status=503)
    with Peer(says(answer), tls=context) as peer:
        yield peer


def test_a_production_worker_does_not_start_while_the_storage_is_sick(
    authority: tuple[trustme.CA, Path], sick: Peer
) -> None:
    """It says which provider and why, once, and ends with an exit code that a supervisor sees."""
    with EmbeddedValkey() as state, EmbeddedValkey() as cache:
        env = {
            "PATH": "/usr/bin:/bin",
            "NARROWS_ENVIRONMENT": "production",
            **{f"NARROWS_{role}_URL": state.url for role in ("BROKER", "STATE", "RESULT")},
            "NARROWS_CACHE_URL": cache.url,
            "NARROWS_METRICS_PORT": "0",
            "NARROWS_PROVIDERS__STORAGE__BASE_URL": sick.url,
            "NARROWS_PROVIDERS__STORAGE__CA_FILE": str(authority[1]),
        }
        command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", STORAGE, "-c", "1"]
        ended = subprocess.run(
            command, env=env, cwd=CHECKOUT, capture_output=True, text=True, timeout=90, check=False
        )

    said = ended.stdout + ended.stderr
    assert ended.returncode not in {0, None}
    assert "not ready for production: storage is not healthy: storage answered 503" in said
    assert state.url not in said
    assert len(sick.requests) == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TWILIO__API_KEY", "canary-without-a-colon"),
        ("TWILIO__OPTIONS__FROM_NUMBR", "+12125550100"),
        ("GEOCLIENT__CONTRACT", "v3"),
    ],
)
def test_a_worker_does_not_start_with_settings_by_which_no_call_can_be_made(setting: str, value: str) -> None:
    """Its calls would fail where nobody looks; the settings are refused before there are any."""
    with EmbeddedValkey() as state:
        env = {
            "PATH": "/usr/bin:/bin",
            **{f"NARROWS_{role}_URL": state.url for role in ("BROKER", "STATE", "CACHE", "RESULT")},
            "NARROWS_METRICS_PORT": "0",
            f"NARROWS_PROVIDERS__{setting}": value,
        }
        command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", STORAGE, "-c", "1"]
        ended = subprocess.run(
            command, env=env, cwd=CHECKOUT, capture_output=True, text=True, timeout=90, check=False
        )

    said = ended.stdout + ended.stderr
    assert ended.returncode not in {0, None}
    assert setting.partition("__")[0].lower() in said.lower()
    assert "configuration_error" in said or "ConfigurationError" in said
    assert "canary" not in said


def test_a_call_whose_provider_cannot_be_asked_by_its_settings_has_its_letter(redis_url: str) -> None:
    """Its record ends with it: mended settings do not make a call whose caller was told that it failed."""
    here = engine(redis_url, twilio=ProviderSettings(api_key=SecretStr("no colon")))
    claim = Claim(home="twilio", task_id="t1", rebuild=lambda: "{}")

    with pytest.raises(ConfigurationError):
        here.gateway("twilio")
    gate = here.gate("twilio")
    gate.claim(claim)

    assert gate.finish(None, claim, "dead", letter="{}") == ("", "dead")
    assert here.state.llen("dlq:twilio") == 1
    assert here.state.hget(keys("twilio").call("t1"), "state") == b"ended"
