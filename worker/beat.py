"""The clock of the fleet: redbeat, with a lock that is asked in the step that takes a tick.

redbeat's own lock is asked once before a look at the schedule, and its holder and those who wait for it end
when Redis is away for a moment. Here any number of beats run: one holds the lock, the others ask each second;
nobody ends when Redis goes, and who comes back too late takes no tick.

Source: redbeat 2.4.2, ``redbeat/schedulers.py``, read 2026-11-21.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery.beat import ScheduleEntry
from redbeat.decoder import RedBeatJSONEncoder
from redbeat.schedulers import RedBeatScheduler
from redis.exceptions import RedisError

from worker.engine import engine
from worker.errors import NarrowsError
from worker.lease import Lease
from worker.scripts import script

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["LockLost", "Scheduler"]

logger = logging.getLogger("narrows")

AGAIN = 1.0
"""Seconds until one that stands by, or whose Redis is away, asks again."""


class LockLost(NarrowsError):
    """Another beat has the lock by now, and starts what is due."""


class Scheduler(RedBeatScheduler):
    """What ``celery beat`` runs; ``redbeat_…`` settings are its own.

    Args:
        state: A client of the Redis where redbeat's schedule is.
    """

    def __init__(self, app: Any, *, state: Redis | None = None, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        key = app.redbeat_conf.lock_key
        self.lock_key = None  # without one redbeat leaves locking to us
        self._state = state or engine().state
        self._lease = Lease(self._state, key, seconds=self.lock_timeout)
        self._stands: str | None = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until there is something to do; starts what is due when the lock is ours."""
        try:
            if not self._lease.take():
                return self._told("beat stands by")
            self._told("beat holds the lock")
            return float(super().tick(*args, **kwargs))
        except RedisError as gone:
            return self._told("beat waits for redis", error_type=type(gone).__name__)

    def reserve(self, entry: Any) -> Any:
        """*entry* as it is after this tick, which is ours from now on.

        Raises:
            LockLost: It is another's.
        """
        after = ScheduleEntry._next_instance(entry)  # noqa: SLF001 - redbeat's writes it without a look
        meta = {"last_run_at": after.last_run_at, "total_run_count": after.total_run_count}
        names = [self._lease.key, entry.key, self.app.redbeat_conf.schedule_key]
        said = [self._lease.token, json.dumps(meta, cls=RedBeatJSONEncoder), entry.key, after.score]
        if not script("tick")(self._state, names, said):
            raise LockLost
        return after

    def close(self) -> None:
        """Let another beat follow at once."""
        with suppress(RedisError):
            self._lease.drop()
        super().close()

    def _told(self, what: str, **extra: str) -> float:
        """AGAIN; *what* is logged when it is news."""
        if what != self._stands:
            self._stands = what
            logger.info(what, extra=extra)
        return AGAIN
