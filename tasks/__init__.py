"""Every task that a service may call: ``from tasks import fetch_bbl``."""

import tasks.upkeep  # noqa: F401 - what beat starts is known by its name only
from tasks.nyc_open_data import (
    fetch_311_complaints,
    fetch_bbl,
    fetch_bbls,
    fetch_dob_violations,
    fetch_hpd_violations,
    fetch_permits,
)

__all__ = [
    "fetch_311_complaints",
    "fetch_bbl",
    "fetch_bbls",
    "fetch_dob_violations",
    "fetch_hpd_violations",
    "fetch_permits",
]
