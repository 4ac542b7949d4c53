"""Every task that a service may call: ``from tasks import fetch_bbl``."""

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
