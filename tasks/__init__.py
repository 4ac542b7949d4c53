"""Every task that a service may call: ``from tasks import fetch_bbl``."""

import tasks.letters
import tasks.upkeep  # noqa: F401 - what beat starts is known by its name only
from tasks.benefits import screen_household
from tasks.cities import load_cities
from tasks.dataset_import import import_dataset
from tasks.enrichment import enrich_track
from tasks.geocoding import geocode
from tasks.lastfm import get_track_tags
from tasks.mapbox import geocode_mapbox
from tasks.musicbrainz import lookup_isrc, search_recording
from tasks.nyc311 import check_service_request, submit_service_request
from tasks.nyc_open_data import (
    fetch_311_complaints,
    fetch_bbl,
    fetch_bbls,
    fetch_dob_violations,
    fetch_hpd_violations,
    fetch_permits,
)
from tasks.openweather import current_weather
from tasks.polling import poll_service_requests
from tasks.sendgrid import send_email
from tasks.spotify import get_track, search_track
from tasks.storage import get_watermark, update_watermark
from tasks.twilio import send_sms

__all__ = [
    "check_service_request",
    "current_weather",
    "enrich_track",
    "fetch_311_complaints",
    "fetch_bbl",
    "fetch_bbls",
    "fetch_dob_violations",
    "fetch_hpd_violations",
    "fetch_permits",
    "geocode",
    "geocode_mapbox",
    "get_track",
    "get_track_tags",
    "get_watermark",
    "import_dataset",
    "lookup_isrc",
    "poll_service_requests",
    "screen_household",
    "search_recording",
    "search_track",
    "send_email",
    "send_sms",
    "submit_service_request",
    "update_watermark",
]

load_cities()
