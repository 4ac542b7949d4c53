"""Celery's settings: every name exists, and what was decided stands in them."""

from __future__ import annotations

import ssl
import subprocess
import sys
from typing import Any

import pytest
from celery import Celery
from celery.app.defaults import NAMESPACES, flatten
from kombu.transport.redis import Channel, SentinelChannel
from redbeat.schedulers import RedBeatConfig, get_redis

from config.celery import celery_settings
from config.queues import queues, route
from config.schedule import schedule
from config.settings import Settings


def made(**env: str) -> dict[str, Any]:
    """Celery's settings in an environment of these ``NARROWS_…``."""
    return celery_settings(Settings.load({f"NARROWS_{name}": value for name, value in env.items()}))


def application(**env: str) -> Celery:
    """An application with these settings, which has opened nothing."""
    app = Celery("test", set_as_current=False)
    app.conf.update(made(**env))
    return app


def _unknown(settings: dict[str, Any], channel: type[Channel]) -> set[str]:
    # The restore interval and throttle, too, are among these since kombu 5.7.
    return set(settings["broker_transport_options"]) - set(channel.from_transport_options)


def test_celery_knows_every_setting() -> None:
    """A name that Celery does not know would be ignored in silence; redbeat's are checked below."""
    known = dict(flatten(NAMESPACES))

    assert [key for key in made() if key not in known and not key.startswith("redbeat_")] == []


def test_kombu_knows_every_transport_option() -> None:
    """The same holds for the transport's options."""
    alone, sentinel = made(), made(BROKER_URL="sentinel://a:26379/0")

    assert _unknown(alone, Channel) == _unknown(sentinel, SentinelChannel) == set()


def test_redbeat_reads_its_settings() -> None:
    """With a lock that a standby takes over in seconds, and keys among ours."""
    app = application(STATE_URL="redis://u:p%40@127.0.0.1:1/3")
    config = RedBeatConfig(app)
    connected = get_redis(app).connection_pool.connection_kwargs

    expected = {"host": "127.0.0.1", "port": 1, "db": 3, "username": "u", "password": "p@"}
    assert {name: connected[name] for name in expected} == expected
    assert config.lock_timeout == 15
    assert config.lock_key == "narrows:{upkeep}:beat:lock"


@pytest.mark.parametrize("where", ["redis://canary:sesame@h:1/0", "sentinel://canary:sesame@h:1/0"])
def test_who_inspects_a_worker_reads_no_password_of_redis(where: str) -> None:
    """Celery answers ``inspect conf`` and ``report`` with this table; Flower shows it to its readers."""
    app = application(BROKER_URL=where, RESULT_URL=where, STATE_URL=where, SENTINEL__PASSWORD="sesame")

    shown = repr(app.conf.table(with_defaults=True))

    assert "redbeat_redis_url" in shown
    assert "sesame" not in shown


def test_nothing_but_json_is_ever_read() -> None:
    """Pickle runs what it reads."""
    settings = made()

    assert settings["accept_content"] == settings["result_accept_content"] == ["json"]
    assert settings["task_serializer"] == settings["result_serializer"] == "json"


def test_messages_are_acknowledged_early_and_never_hoarded() -> None:
    """The record does what late acknowledgement cannot; a kill loses only what was held."""
    settings = made()

    assert not settings["task_acks_late"]
    assert settings["worker_disable_prefetch"]
    assert settings["worker_pool"] == "threads"


def test_a_publisher_gives_up_within_seconds() -> None:
    """The record stands already, so there is nothing to wait for."""
    policy = made()["task_publish_retry_policy"]

    assert policy["max_retries"] * policy["interval_max"] <= 2.0
    assert made()["broker_transport_options"]["socket_timeout"] == 3.0


def test_a_plain_connection_has_no_tls_and_a_tls_one_verifies() -> None:
    """The files that operators mount are handed to broker, results and beat alike."""
    plain, safe = made(), made(
        BROKER_URL="rediss://:pw@h:1/0",
        RESULT_URL="rediss://:pw@h:1/0",
        STATE_URL="rediss://:pw@h:1/0",
        TLS__CA_FILE="/ca.pem",
    )  # fmt: skip

    assert plain["broker_use_ssl"] is None
    for key in ("broker_use_ssl", "redis_backend_use_ssl", "redbeat_redis_use_ssl"):
        assert safe[key] == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "/ca.pem"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://u:p@h:1/2", {"host": "h", "port": 1, "db": 2, "username": "u", "password": "p"}),
        ("rediss://u:p@h:1/2", {"host": "h", "port": 1, "db": 2, "ssl_cert_reqs": ssl.CERT_REQUIRED}),
        ("unix://:p%40@/run/v.sock?db=2", {"path": "/run/v.sock", "db": 2, "password": "p@"}),
    ],
)
def test_celery_understands_each_kind_of_address(url: str, expected: dict[str, Any]) -> None:
    """Asked of Celery's own broker channel and result backend, which open nothing here."""
    app = application(BROKER_URL=url, RESULT_URL=url, STATE_URL=url)

    with app.connection_for_write() as connection:
        transport = connection.transport
        channel = transport.Channel.__new__(transport.Channel)
        channel.connection = transport
        for name in channel.from_transport_options:
            if name in connection.transport_options:
                setattr(channel, name, connection.transport_options[name])
        broker = channel._connparams()

    results = app.backend.connparams
    assert {key: broker[key] for key in expected} == expected
    assert {key: type(value)(results[key]) for key, value in expected.items()} == expected


def test_sentinel_addresses_reach_broker_results_and_beat() -> None:
    """Which primary, and the Sentinels' own password, come from settings of their own."""
    url = "sentinel://u:p@a:26379/2;sentinel://u:p@b:26380/2"
    env = {"SENTINEL__PRIMARY": "main", "SENTINEL__PASSWORD": "s"}
    app = application(BROKER_URL=url, RESULT_URL=url, STATE_URL=url, **env)

    for options in (app.conf.broker_transport_options, app.conf.result_backend_transport_options):
        assert options["master_name"] == "main"
        assert options["sentinel_kwargs"] == {"password": "s", "socket_timeout": 3.0}
    assert type(app.backend).__name__ == "SentinelBackend"
    pool = get_redis(app).connection_pool
    assert pool.service_name == "main"
    assert (pool.connection_kwargs["db"], pool.connection_kwargs["password"]) == (2, "p")


def test_every_provider_has_a_queue_and_upkeep_has_one() -> None:
    """One slow provider never stands before the others."""
    assert [queue.name for queue in queues(["a", "b"])] == ["upkeep", "a", "b"]


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("nyc_open_data.fetch_bbl", "nyc_open_data"),
        ("upkeep.check_health", None),
        ("celery.chord_unlock", None),
        ("fetch_bbl", None),
    ],
)
def test_a_task_goes_to_the_queue_of_its_provider(task: str, queue: str | None) -> None:
    """The rest goes to the default queue, which is upkeep."""
    routed = route(task)

    assert (routed or {}).get("queue") == queue


def test_a_task_that_calls_no_provider_stays_in_upkeep_whatever_its_name() -> None:
    """A plain task may have a dot in its name."""

    class Plain:
        guarded = False

    assert route("reports.daily", task=Plain()) is None


def test_beats_messages_expire_before_the_next_tick() -> None:
    """Beat that was away must not leave a pile of ticks."""
    for entry in schedule().values():
        assert entry["options"]["expires"] < entry["schedule"]


def test_importing_the_settings_of_celery_loads_neither_pydantic_nor_celery() -> None:
    """Producers pay for this import."""
    code = "import config.celery, sys; print({'celery', 'kombu', 'pydantic', 'redis'} & set(sys.modules))"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == "set()"
