"""The clock of the fleet: redbeat, with a lock that is asked in the step that takes a tick.

redbeat's own lock is asked once before a look at the schedule, and its holder and those who wait for it end
when Redis is away for a moment. Here any number of beats run: one holds the lock, the others ask each second;
nobody ends when Redis goes, and who comes back too late takes no tick.

Source: redbeat 2.4.2, ``redbeat/schedulers.py``, read 2026-11-21.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery.beat import ScheduleEntry, SchedulingError
from redbeat.decoder import RedBeatJSONEncoder
from redbeat.schedulers import RedBeatScheduler, get_redis
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

SKEW = 60.0
"""Seconds by which clocks may differ, or be set, without a look at what that does to the schedule."""


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
        self._owed: dict[str, Any] = {}
        self._clock: float | None = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until there is something to do; starts what is due when the lock is ours."""
        try:
            self._make_up()
            if not self._lease.take():
                self._clock = None  # who has it may leave a schedule that goes by another clock
                return self._told("beat stands by")
            self._told("beat holds the lock")
            self._set_right()
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
        self._owed[entry.name] = after
        return after

    def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        """What Celery says of *entry*'s message; one that the broker does not take is owed."""
        made = super().apply_async(entry, *args, **kwargs)
        self._owed.pop(entry.name, None)
        return made

    def close(self) -> None:
        """Let another beat follow at once."""
        with suppress(RedisError):
            self._lease.drop()
        super().close()

    def _make_up(self) -> None:
        """Publish what was taken while the broker was away, unless it is due again by now.

        Nobody else will, whoever has the lock.
        """
        for name, entry in list(self._owed.items()):
            if entry.is_due().is_due:
                del self._owed[name]
                continue
            try:
                self.apply_async(entry, producer=self.producer, advance=False)
            except SchedulingError:
                return

    def _set_right(self) -> None:
        """Have what ran by a clock that was ahead run an interval from now: not when that time has come."""
        clock = time.time() - time.monotonic()
        if self._clock is not None and abs(clock - self._clock) < SKEW:
            return
        for key in get_redis(self.app).zrange(self.app.redbeat_conf.schedule_key, 0, -1):
            with suppress(KeyError):  # one that was removed meanwhile
                entry = self.Entry.from_key(key, app=self.app)
                ran, now = entry.last_run_at, entry.default_now()
                if ran is not None and ran > now + timedelta(seconds=SKEW):
                    entry.reschedule()
        self._clock = clock

    def _told(self, what: str, **extra: str) -> float:
        """AGAIN; *what* is logged when it is news."""
        if what != self._stands:
            self._stands = what
            logger.info(what, extra=extra)
        return AGAIN
