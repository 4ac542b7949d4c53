"""RabbitMQ's address among the settings, and what Celery is told of it."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from config import urls
from config.celery import celery_settings
from config.queues import queues
from config.rabbit import QUEUE
from config.settings import Settings, SettingsError
from worker.redaction import mask_url

URL = "amqp://narrows:s3cret@rabbit.example.org:5672//"
ROLES = ("NARROWS_STATE_URL", "NARROWS_RESULT_URL", "NARROWS_CACHE_URL")


def celery(url: str, **more: str) -> dict[str, Any]:
    """What Celery is told when *url* is the broker's."""
    return celery_settings(Settings.load({"NARROWS_BROKER_URL": url, **more}))


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "amqps://narrows:s3cret@rabbit.example.org/vhost",
        "amqp://a:b@one;amqp://a:b@two:5673",
        "amqp://narrows:s3%2Fcret@[::1]:5672",
    ],
)
def test_addresses_of_rabbitmq_are_taken(url: str) -> None:
    """As kombu writes them; the result store stays Redis."""
    assert celery(url)["broker_url"] == url
    assert celery(url)["result_backend"].startswith("redis://")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp://", "must name a host and a port"),
        ("amqp://a:b@host:99999//", "must name a host and a port"),
        ("amqp://a:s3cret@host//?ssl=1", "takes nothing behind the virtual host"),
        ("amqp://a:b@host;redis://host", "the same for each server"),
        ("pyamqp://a:b@host//", "must start with redis://"),
    ],
)
def test_what_is_no_address_of_rabbitmq_is_refused_unshown(url: str, said: str) -> None:
    """With what is wrong, and without the address."""
    with pytest.raises(SettingsError, match=said) as refused:
        Settings.load({"NARROWS_BROKER_URL": url})

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("role", ROLES)
def test_only_the_broker_can_be_rabbitmq(role: str) -> None:
    """Records, results and answers need Redis."""
    with pytest.raises(SettingsError, match=f"{role}: must start with redis://"):
        Settings.load({role: URL})


@pytest.mark.parametrize("account", ["", "guest:guest@", "narrows@", "narrows:guest@"])
def test_production_wants_a_password_that_not_everybody_knows(account: str) -> None:
    """RabbitMQ comes with guest, whose password is guest."""
    with pytest.raises(SettingsError, match=r"NARROWS_BROKER_URL has no password: .* another than guest"):
        Settings.load(
            {"NARROWS_ENVIRONMENT": "production", "NARROWS_BROKER_URL": f"amqp://{account}rabbit//"}
        )


def test_production_wants_certificates_verified() -> None:
    """Of RabbitMQ as of Redis."""
    env = {"NARROWS_BROKER_URL": "amqps://a:b@rabbit//", "NARROWS_TLS__VERIFY": "false"}

    with pytest.raises(SettingsError, match="NARROWS_TLS__VERIFY is false"):
        Settings.load({"NARROWS_ENVIRONMENT": "production", **env})


def test_tls_verifies_the_servers_name() -> None:
    """py-amqp checks a name only where it is told one; None is the address's own."""
    plain, secured = celery(URL), celery("amqps://a:b@rabbit//", NARROWS_TLS__CA_FILE="/ca.pem")
    open_one = celery("amqps://a:b@rabbit//", NARROWS_TLS__VERIFY="false")

    assert plain["broker_use_ssl"] is None
    assert secured["broker_use_ssl"] == {
        "ca_certs": "/ca.pem",
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": None,
    }
    assert open_one["broker_use_ssl"] == {"cert_reqs": ssl.CERT_NONE}


def test_publishing_is_confirmed_and_bounded() -> None:
    """Enqueued means that the queue has it, and a broker that hangs holds nobody for long."""
    told = celery(URL, NARROWS_REDIS_TIMEOUT="2.5")

    assert told["broker_transport_options"] == {"confirm_publish": True, "write_timeout": 2.5}
    assert told["broker_connection_timeout"] == 2.0
    assert (told["worker_disable_prefetch"], told["task_create_missing_queue_type"]) == (False, "quorum")
    assert celery("redis://host/0")["worker_disable_prefetch"] is True


def test_queues_are_quorum_queues_for_rabbitmq_alone() -> None:
    """Redis knows no kinds of queues."""
    rabbits: list[Any] = [*queues(["nyc311"], arguments=QUEUE)]
    others: list[Any] = [*queues(["nyc311"])]

    assert [queue.queue_arguments for queue in rabbits] == [QUEUE, QUEUE]
    assert [queue.queue_arguments for queue in others] == [{}, {}]


def test_its_address_is_shown_without_the_account() -> None:
    """Of each of several servers."""
    shown = mask_url(f"{URL};{URL}")

    assert "s3cret" not in shown
    assert shown.count("rabbit.example.org") == 2


def test_servers_are_told_apart_by_their_port() -> None:
    """Each scheme has its own when none is named."""
    assert urls.server("amqp://a:b@host//") == "host:5672"
    assert urls.server("amqps://a:b@host//") == "host:5671"
    assert urls.is_tls("amqps://a:b@host//")
    assert not urls.is_tls("amqp://a:b@host//")
