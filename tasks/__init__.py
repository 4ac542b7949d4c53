"""Every task that a service may call: ``from tasks import fetch_bbl``."""

import tasks.letters
import tasks.upkeep  # noqa: F401 - what beat starts is known by its name only
from tasks.cities import load_cities
from tasks.nyc311 import check_service_request, submit_service_request
from tasks.nyc_open_data import (
    fetch_311_complaints,
    fetch_bbl,
    fetch_bbls,
    fetch_dob_violations,
    fetch_hpd_violations,
    fetch_permits,
)
from tasks.polling import poll_service_requests

__all__ = [
    "check_service_request",
    "fetch_311_complaints",
    "fetch_bbl",
    "fetch_bbls",
    "fetch_dob_violations",
    "fetch_hpd_violations",
    "fetch_permits",
    "poll_service_requests",
    "submit_service_request",
]

load_cities()
