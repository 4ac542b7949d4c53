"""What the City's API management says in front of whatever stands behind it.

Docs     https://learn.microsoft.com/azure/api-management/rate-limit-by-key-policy  .../quota-by-key-policy
Unverified  its 429, and the 403 of a spent quota, as New York's gateway words them
Read on  2026-11-21
"""

from __future__ import annotations

__all__ = ["DAY", "WAITS"]

DAY = 86_400.0
"""Seconds after which a spent quota is back at the latest."""

WAITS = (r"in (\d+) seconds?", r"in (?:(\d+)\.)?(\d+):(\d\d):(\d\d)")
"""``Try again in 5 seconds``, ``replenished in 1.02:03:04``: days, hours, minutes and seconds."""
