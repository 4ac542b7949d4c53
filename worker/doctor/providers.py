"""What ``narrows doctor`` finds of the providers: their settings, and whether they are there."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from worker import registry
from worker.clients import open_clients, trusted
from worker.doctor.checks import Ailment, Finding
from worker.overrides import overridden
from worker.redaction import mask_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.settings import Settings
    from worker.provider import Provider

__all__ = ["live", "provider"]

SKEWED = 5.0
"""Seconds: a header tells whole ones, and the way takes some; what a Retry-After of a date is read by."""


def provider(settings: Settings, name: str) -> Iterator[Finding]:
    """Its address, and whether it has what it needs to be let in, unless nothing of it is set.

    Raises:
        ConfigurationError: No call could be made so.
    """
    own = settings.providers.get(name)
    chosen = overridden(registry.provider(name), own)
    open_clients(chosen, own)
    label, at = f"provider {name}", mask_url(chosen.base_url)
    keys, cure = len(own.credentials) if own else 0, ""
    if chosen.auth is None:
        key = "needs no key"
    elif keys:
        key = "key set" if keys == 1 else f"{keys} keys set"
    elif chosen.auth.required:
        key, cure = "no key", f"to use it, set NARROWS_PROVIDERS__{name.upper()}__API_KEY"
        if own is not None:
            raise Ailment(f"{at}, {key}", cure)
    else:
        key = "no key, which is optional"
    cures = [cure, *_unsigned(settings, chosen)]
    yield Finding(name=label, ok=True, detail=f"{at}, {key}", advice="; ".join(filter(None, cures)))


def live(settings: Settings, name: str) -> Iterator[Finding]:
    """Whether its address answers at all, and how its clock differs from ours; one HEAD, past the gate."""
    import requests

    own = settings.providers.get(name)
    url = overridden(registry.provider(name), own).base_url
    try:
        answer = requests.head(url, timeout=(3.05, 4.0), allow_redirects=False, verify=trusted(name, own))
    except requests.RequestException as why:
        raise Ailment(f"does not answer: {type(why).__name__}", f"is {mask_url(url)} right?") from None
    took = answer.elapsed.total_seconds() * 1000
    skew = _skew(answer.headers.get("Date", ""))
    clock, cure = "", ""
    if skew is not None and abs(skew) > SKEWED:
        clock = f", its clock {skew:+.0f} s from this machine's"
        cure = "set this machine's clock by NTP; if it is right, theirs is wrong, and so are their dates"
    said = f"answered {answer.status_code} in {took:.0f} ms{clock}"
    yield Finding(name=f"{name} live", ok=True, detail=said, advice=cure)


def _skew(date: str) -> float | None:
    """Seconds that the clock behind a Date header is ahead of ours; None when it tells none."""
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError, OSError):
        return None


def _unsigned(settings: Settings, chosen: Provider) -> Iterator[str]:
    """What to do where a provider wants to know whom to write to, and nobody says."""
    if chosen.identifies and not settings.contact:
        yield "set NARROWS_CONTACT to your address: it slows down callers that it cannot write to"
