"""A local HTTP server that plays every provider, for tests, ``make demo`` and benchmarks.

    with Sandbox() as sandbox:
        sandbox.control.fault("nyc_open_data", mode="reset", times=1)
        requests.get(sandbox.base_url("nyc_open_data") + "/resource/wvxf-dwi5.json")
        sandbox.control.journal("nyc_open_data")

A provider is a small module with a :class:`Player`; ``sandbox.py`` lists them.
"""

from tests.sandbox.city311 import CityPlayer
from tests.sandbox.control import ELSEWHERE, Control
from tests.sandbox.message import Reply, Request, json_reply
from tests.sandbox.player import Player
from tests.sandbox.sandbox import TOKEN, Sandbox
from tests.sandbox.soda import (
    BUSY_BBL,
    LOTS,
    POISON,
    bbls_in,
    generated_rows,
    load_recorded,
    service_requests,
)

__all__ = [
    "BUSY_BBL",
    "ELSEWHERE",
    "LOTS",
    "POISON",
    "TOKEN",
    "CityPlayer",
    "Control",
    "Player",
    "Reply",
    "Request",
    "Sandbox",
    "bbls_in",
    "generated_rows",
    "json_reply",
    "load_recorded",
    "service_requests",
]
