"""The same submissions as people make them with Celery alone: tried again for as long as they fail.

celery --app tests.chaos.plain_submits worker
"""

from __future__ import annotations

import os

import requests
from celery import Celery

from tests.chaos.desk import TIMEOUT

__all__ = ["BASE", "BROKER", "app", "early", "late"]

BROKER, BASE = "CHAOS_PLAIN_BROKER", "CHAOS_PLAIN_BASE"
"""Name the variables that hold where messages and requests go."""

app = Celery("plain", broker=os.environ.get(BROKER), backend=os.environ.get(BROKER))

TRIED = {
    "autoretry_for": (requests.ConnectionError, requests.Timeout, requests.HTTPError),
    "retry_backoff": True,
    "retry_backoff_max": 2,
    "max_retries": 5,
}


def submit(desk: str, note: str) -> str:
    """The number that the desk gave to *note*."""
    answer = requests.post(f"{os.environ[BASE]}/{desk}/requests", json={"note": note}, timeout=TIMEOUT)
    answer.raise_for_status()
    return str(answer.json()["number"])


@app.task(name="plain.late", acks_late=True, **TRIED)
def late(note: str) -> str:
    """Acknowledged once it was made."""
    return submit("late", note)


@app.task(name="plain.early", acks_late=False, **TRIED)
def early(note: str) -> str:
    """Acknowledged before."""
    return submit("early", note)
