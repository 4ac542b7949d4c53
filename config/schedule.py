"""What beat starts. Anything faster than a minute runs in every worker instead, with no leader."""

from __future__ import annotations

from typing import Any

from config.queues import UPKEEP

__all__ = ["schedule"]


def schedule() -> dict[str, dict[str, Any]]:
    """Beat's entries; a tick that was missed is not made up for, so each message soon expires."""
    return {
        "poll-service-requests": {
            "task": "nyc311.poll_service_requests",
            "schedule": 3600.0,
            "options": {"queue": UPKEEP, "expires": 3300.0},
        },
        "check-health": {
            "task": "upkeep.check_health",
            "schedule": 60.0,
            "options": {"queue": UPKEEP, "expires": 55.0},
        },
        "replay-dead-letters": {
            "task": "upkeep.replay_dead_letters",
            "schedule": 3600.0,
            "options": {"queue": UPKEEP, "expires": 3000.0},
        },
        "export-dead-letters": {
            "task": "upkeep.export_dead_letters",
            "schedule": 86_400.0,
            "options": {"queue": UPKEEP, "expires": 43_200.0},
        },
    }
