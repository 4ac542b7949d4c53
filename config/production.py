"""What production refuses: settings that work on one machine and harm on a network."""

from __future__ import annotations

from collections.abc import Container, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING

from config import tracing, urls

if TYPE_CHECKING:
    from config.settings import Settings

__all__ = ["shown", "unsafe"]

ROLES = ("broker_url", "state_url", "cache_url", "result_url")


def unsafe(settings: Settings, given: Container[str]) -> list[str]:
    """One line for each setting that is unsafe, with its cure; *given* names what was not left to default."""
    if not settings.in_production:
        return []
    return [
        *_redis(settings, given),
        *_providers(settings),
        *_flower(settings),
        *_metrics(settings),
        *_tracing(settings),
    ]


def _redis(settings: Settings, given: Container[str]) -> Iterator[str]:
    addresses = {role: getattr(settings, role).get_secret_value() for role in ROLES}
    for role, url in addresses.items():
        if role not in given:
            yield f"NARROWS_{role.upper()} is not set: production needs its address and password"
        elif not urls.has_password(url):
            yield f"NARROWS_{role.upper()} has no password: production needs one, {_with_password(url)}"
    if not settings.tls.verify and any(map(urls.is_tls, addresses.values())):
        yield (
            "NARROWS_TLS__VERIFY is false: production needs a server that it can verify; "
            "set NARROWS_TLS__CA_FILE instead"
        )
    lasting = {urls.server(addresses[role]) for role in ROLES if role != "cache_url"}
    if "cache_url" in given and urls.server(addresses["cache_url"]) in lasting:
        yield (
            "NARROWS_CACHE_URL is a server that also holds queue, state or results: "
            "a cache evicts and they must not be evicted; give the cache a server of its own"
        )


def _with_password(url: str) -> str:
    """What an address of that kind looks like with one."""
    if urls.is_rabbit(url):
        return "and another than guest, amqps://USER:PASSWORD@host:5671//"
    return "redis://:PASSWORD@host:6379/0"


def _providers(settings: Settings) -> Iterator[str]:
    for name, provider in sorted(settings.providers.items()):
        prefix = f"NARROWS_PROVIDERS__{name.upper()}__"
        if provider.verify_tls is False:
            yield f"{prefix}VERIFY_TLS is false: production verifies certificates; remove it"
        if (provider.base_url or "").startswith("http://"):
            yield f"{prefix}BASE_URL is plain http: production calls providers over https"
        if (provider.token_url or "").startswith("http://"):
            yield f"{prefix}TOKEN_URL is plain http: production buys tokens over https"


def _flower(settings: Settings) -> Iterator[str]:
    auth = settings.flower_basic_auth
    user, _, password = (auth.get_secret_value() if auth else "").partition(":")
    if settings.runs_flower and not (user and password):
        yield (
            "NARROWS_FLOWER_BASIC_AUTH is not user:password: production shows Flower to nobody else; "
            "set it, or NARROWS_FLOWER_ENABLED=false"
        )


def _metrics(settings: Settings) -> Iterator[str]:
    for name in ("metrics_host", "exporter_host"):
        yield from shown(settings, f"NARROWS_{name.upper()}", getattr(settings, name))


def shown(settings: Settings, name: str, host: str) -> Iterator[str]:
    """What is wrong with showing metrics at *host*, which *name* chose, to whoever can reach it."""
    closed = settings.metrics_token or settings.metrics_open or not settings.in_production
    if not (closed or _is_loopback(host)):
        yield (
            f"{name} is not this machine's own: production shows metrics to nobody without "
            "NARROWS_METRICS_TOKEN; NARROWS_METRICS_OPEN=true says that the network around is trusted"
        )


def _tracing(settings: Settings) -> Iterator[str]:
    address = settings.tracing_endpoint
    if address and not tracing.is_tls(address) and not tracing.is_near(address):
        yield (
            "NARROWS_TRACING_ENDPOINT is plain http to another network: "
            "production sends spans there over https"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
