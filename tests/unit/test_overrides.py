"""What a deployment may change about a provider, and that it changes nothing else."""

from __future__ import annotations

import pytest

from config.settings import Settings
from worker.overrides import overridden
from worker.provider import Breaker, Caching, Provider, Quota, Rate, Retry, Timeouts

DECLARED = Provider(
    name="acme",
    base_url="https://acme.example",
    rate=Rate(calls=1000, per=60, burst=50),
    quota=Quota(limit=10, zone="UTC"),
    caching=Caching(memory=300, redis=3600, stale_if_error=86400),
)


def with_settings(**given: str) -> Provider:
    """The provider under ``NARROWS_PROVIDERS__ACME__<NAME>``."""
    env = {f"NARROWS_PROVIDERS__ACME__{name.upper()}": value for name, value in given.items()}
    return overridden(DECLARED, Settings.load(env).providers.get("acme"))


def test_a_provider_without_settings_is_as_declared() -> None:
    """The very same object."""
    assert with_settings() is DECLARED


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("base_url", "http://127.0.0.1:1/x", "base_url", "http://127.0.0.1:1/x"),
        ("rate", "2.5", "rate", Rate(calls=2.5, burst=50)),
        ("burst", "7", "rate", Rate(calls=1000 / 60, burst=7)),
        ("daily_quota", "99", "quota", Quota(limit=99, zone="UTC")),
        ("total_timeout", "9", "timeouts", Timeouts(total=9)),
        ("breaker_reset_after", "5", "breaker", Breaker(reset_after=5)),
        ("retry_attempts", "2", "retry", Retry(attempts=2)),
        ("cache_seconds", "60", "caching", Caching(memory=60, redis=60, stale_if_error=86400)),
        ("stale_if_error", "0", "caching", Caching(memory=300, redis=3600, stale_if_error=0)),
        ("max_concurrency", "4", "max_concurrency", 4),
        ("max_body", "1000", "max_body", 1000),
        ("quota_spent", "fail", "quota", Quota(limit=10, zone="UTC", spent="fail")),
        ("retry_budget", "0.5", "retry", Retry(budget=0.5)),
        ("retry_budget", "0", "retry", Retry(budget=0.0)),
        ("retry_floor", "0", "retry", Retry(floor=0)),
        ("cooldown", "7", "cooldown", 7.0),
        ("max_cooldown", "60", "max_cooldown", 60.0),
        ("too_long", "wait", "too_long", "wait"),
    ],
)
def test_a_setting_replaces_what_it_names(name: str, value: str, field: str, expected: object) -> None:
    """And nothing beside it."""
    changed = with_settings(**{name: value})

    assert getattr(changed, field) == expected
    others = set(Provider.__dataclass_fields__) - {field}
    assert all(getattr(changed, other) == getattr(DECLARED, other) for other in others)


def test_a_quota_may_be_given_to_a_provider_that_declares_none() -> None:
    """What becomes of calls when it is spent is a setting too, and none of a provider without a quota."""
    bare = Provider(name="acme", base_url="https://acme.example")
    env = {
        "NARROWS_PROVIDERS__ACME__DAILY_QUOTA": "5",
        "NARROWS_PROVIDERS__ACME__QUOTA_SPENT": "fail",
        "NARROWS_PROVIDERS__OTHER__QUOTA_SPENT": "fail",
    }
    settings = Settings.load(env).providers

    assert overridden(bare, settings["acme"]).quota == Quota(limit=5, spent="fail")
    assert overridden(bare, settings["other"]).quota is None
