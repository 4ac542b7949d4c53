"""Results in Redis, without a look before a success is written.

Celery reads a task's result before each write, so that nothing overwrites a success. A success written over
a success overwrites nothing; all other states still look.
"""

from __future__ import annotations

from typing import Any

from celery import states
from celery.backends.redis import RedisBackend

__all__ = ["Results"]


class Results(RedisBackend):
    """Celery's Redis backend, one round trip shorter for a task that succeeded."""

    def _store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: Any = None,
        request: Any = None,
        **kwargs: Any,
    ) -> Any:
        if state != states.SUCCESS:
            return super()._store_result(
                task_id, result, state, traceback=traceback, request=request, **kwargs
            )
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        self._set_with_state(
            self.get_key_for_task(task_id), self.encode({**meta, "task_id": str(task_id)}), state
        )
        return result

    def _set(self, key: str, value: str, expires: int | None = None) -> None:
        """Celery's own, without SETEX, of which redis-py warns each time."""
        lives = self.expires if expires is None else expires
        with self.client.pipeline() as pipe:
            pipe.set(key, value, ex=lives or None)
            pipe.publish(key, value)
            pipe.execute()
