"""The same calls as people make them with Celery alone: late acks, everything else as it comes.

celery --app tests.chaos.plain worker
"""

from __future__ import annotations

import os
import threading
from typing import Any

import requests
from celery import Celery

from tasks.arguments.bbl import BBL
from tasks.datasets import DATASETS
from tasks.query import Query
from tests.chaos import ledger

__all__ = ["BASE", "BROKER", "app", "fetch"]

BROKER, BASE = "CHAOS_PLAIN_BROKER", "CHAOS_PLAIN_BASE"
"""Name the variables that hold where messages and requests go."""

app = Celery("plain", broker=os.environ.get(BROKER), backend=os.environ.get(BROKER))
app.conf.task_acks_late = True

_held = threading.local()


@app.task(name="plain.fetch")
def fetch(dataset: str, bbl: str) -> list[dict[str, Any]]:
    """The lot's rows in one data set."""
    if not hasattr(_held, "session"):
        _held.session = requests.Session()
    asked = Query(dataset=DATASETS[dataset], bbls=(BBL.parse(bbl),)).request(limit=1000)
    answer = _held.session.get(os.environ[BASE] + asked.path, params=asked.params, timeout=20)
    answer.raise_for_status()
    rows: list[dict[str, Any]] = answer.json()
    return rows


if os.environ.get(ledger.FILE):
    ledger.connect()
