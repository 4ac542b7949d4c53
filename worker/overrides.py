"""A provider as the deployment wants it: what its module declares, with what the settings replace."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from worker.choice import chosen
from worker.errors import ConfigurationError
from worker.provider import Caching, Provider, Quota, Rate

if TYPE_CHECKING:
    from config.settings import ProviderSettings

__all__ = ["kept_for", "overridden", "speaking"]

Part = TypeVar("Part")


def overridden(provider: Provider, settings: ProviderSettings | None) -> Provider:
    """*provider* with what ``NARROWS_PROVIDERS__<NAME>__…`` says otherwise.

    Raises:
        ConfigurationError: The settings choose a contract that it does not speak.
    """
    if settings is None:
        return provider
    provider = speaking(provider, settings.contract)
    chosen(provider, settings)
    changed = _with(provider, settings, leaves=("rate", "options"))
    return replace(
        changed,
        rate=_rate(provider.rate, settings),
        quota=_quota(provider.quota, settings),
        breaker=_with(provider.breaker, settings, "breaker_"),
        retry=_with(provider.retry, settings, "retry_"),
        timeouts=_with(provider.timeouts, settings, "", "_timeout"),
        caching=kept_for(provider.caching, settings),
        auth=_buying(provider.auth, settings),
    )


def speaking(provider: Provider, contract: str | None) -> Provider:
    """*provider* by another of its published interfaces, when one is chosen."""
    if contract in {None, provider.contract}:
        return provider
    if contract in provider.contracts:
        return provider.contracts[contract]
    known = ", ".join(sorted({provider.contract, *provider.contracts} - {""})) or "one contract only"
    where = f"NARROWS_PROVIDERS__{provider.name.upper()}__CONTRACT"
    raise ConfigurationError(f"{where}: {provider.name} speaks {known}")


def _with(
    part: Part, settings: ProviderSettings, before: str = "", after: str = "", leaves: tuple[str, ...] = ()
) -> Part:
    """*part* with each field but *leaves* that the settings know, under its name between the two."""
    given: dict[str, Any] = {
        field.name: value
        for field in fields(part)  # type: ignore[arg-type]
        if field.name not in leaves
        and (value := getattr(settings, f"{before}{field.name}{after}", None)) is not None
    }
    return replace(part, **given)  # type: ignore[type-var]


def _rate(declared: Rate | None, settings: ProviderSettings) -> Rate | None:
    if settings.rate is None and settings.burst is None:
        return declared
    declared = declared or Rate(calls=settings.rate or 1.0)
    return Rate(
        calls=declared.per_second if settings.rate is None else settings.rate,
        burst=declared.burst if settings.burst is None else settings.burst,
    )


def _quota(declared: Quota | None, settings: ProviderSettings) -> Quota | None:
    if settings.daily_quota is None and declared is None:
        return None
    changed = declared or Quota(limit=0)
    if settings.daily_quota is not None:
        changed = replace(changed, limit=settings.daily_quota)
    return _with(changed, settings, "quota_")


def _buying(auth: Any, settings: ProviderSettings) -> Any:
    """*auth* with its tokens bought where the settings say."""
    if settings.token_url is None:
        return auth
    if not hasattr(auth, "url"):
        raise ConfigurationError("TOKEN_URL is for providers whose credential buys a token")
    return replace(auth, url=settings.token_url)


def kept_for(declared: Caching | None, settings: ProviderSettings | None) -> Caching | None:
    """How long answers are kept that are declared to be good for so long."""
    if declared is None or settings is None:
        return declared
    fresh = declared.redis if settings.cache_seconds is None else settings.cache_seconds
    changed = replace(declared, redis=fresh, memory=min(declared.memory, fresh))
    return _with(changed, settings)
