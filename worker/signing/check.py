"""What ``narrows doctor`` says of signed messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from worker.doctor.checks import Finding

if TYPE_CHECKING:
    from config.settings import Settings

__all__ = ["signing_finding"]

SOON = 30.0
"""Days before its end at which a certificate is worth a warning."""


def signing_finding(settings: Settings) -> Iterator[Finding]:
    """Whether messages are signed here, and for how long what we sign will be taken.

    Raises:
        ConfigurationError: The certificate cannot be read.
    """
    if not settings.signing.wanted:
        yield Finding(name="signing", ok=True, detail="off")
        return
    from worker.signing.signer import days_left

    left = days_left(settings) or 0.0
    cure = "make a new key and certificate, and trust both for a while" if left < SOON else ""
    yield Finding(name="signing", ok=left > 0, detail=f"certificate ends in {left:.0f} days", advice=cure)
