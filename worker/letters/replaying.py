"""Replays dead letters as beat has it: for each provider those that may succeed now (``letters/replay.py``).

All providers are served in turn, so that none waits for another's canary.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis.exceptions import RedisError, ResponseError

from worker import registry
from worker.errors import StateUnavailable
from worker.keys import keys
from worker.lease import Lease
from worker.letters.canary import Canary
from worker.letters.replay import End, Letters, Replay
from worker.snapshot import standings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.engine import Engine

__all__ = ["Replayed", "Replayer"]

logger = logging.getLogger("narrows")

PASSING = (RedisError, StateUnavailable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a run did with one provider's letters; the words are :class:`worker.letters.replay.Replay`'s."""

    provider: str
    end: End
    outcomes: Mapping[str, int] = field(default_factory=dict)

    @property
    def goes_on(self) -> bool:
        """Whether another run should follow at once."""
        return self.end == "time"


class Replayer:
    """One run over all providers.

    Args:
        engine: This process's.
        lasts: Seconds after which a run ends, wherever it is.
        patience: Seconds for which a canary is waited for.
        lease: Seconds for which a killed run keeps others from its provider.
        letters: Where a provider's letters are, when not with the engine.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        lasts: float = 90.0,
        patience: float = 30.0,
        lease: float = 30.0,
        letters: Callable[[str], Letters] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine, self._letters = engine, letters or engine.dead_letters
        self._lasts, self._patience, self._lease = lasts, patience, lease
        self._clock, self._sleep = clock, sleep

    def run(self, names: Iterable[str] | None = None) -> list[Replayed]:
        """What was done for each provider of *names*, all known ones when None."""
        until = self._clock() + self._lasts
        runs = {name: self._replay(name) for name in (registry.names() if names is None else names)}
        going = {name: run.steps() for name, run in runs.items()}
        try:
            while going and self._clock() < until:
                waits = [wait for name in list(going) if (wait := _step(name, runs, going)) is not None]
                if waits and min(waits) > 0:
                    self._sleep(min(waits))
        except PASSING as gone:  # the others would wait for the same server, each for its time-outs
            for name in going:
                runs[name].end = "redis"
            logger.warning("replay interrupted", extra={"error": type(gone).__name__})
        finally:
            for steps in going.values():
                steps.close()
        return [self._told(name, run) for name, run in runs.items()]

    def _replay(self, name: str) -> Replay:
        redis = self._engine.state
        return Replay(
            letters=self._letters(name),
            canary=Canary(redis, name),
            lease=Lease(redis, keys(name).replaying, seconds=self._lease),
            standing=lambda: standings(self._engine, [name])[0],
            floor=self._engine.settings.replay_quota_floor,
            patience=self._patience,
            clock=self._clock,
        )

    def _told(self, name: str, run: Replay) -> Replayed:
        """What *run* did, once metrics and log know."""
        for outcome, count in run.outcomes.items():
            self._engine.watcher.replayed(name, outcome, count)
        if run.outcomes:
            extra = {"integration.provider": name, "end": run.end, **run.outcomes}
            logger.info("dead letters replayed", extra=extra)
        return Replayed(provider=name, end=run.end, outcomes=dict(run.outcomes))


def _step(
    name: str, runs: Mapping[str, Replay], going: dict[str, Generator[float, None, None]]
) -> float | None:
    """Seconds until that provider's next step is of use; None when it is through."""
    try:
        return next(going[name])
    except StopIteration:
        pass
    except ResponseError as refused:
        _broken(name, runs[name], "redis", refused)
    except PASSING:
        raise
    except Exception as why:  # noqa: BLE001 - one provider's letters hold up no other's
        _broken(name, runs[name], "error", why)
    del going[name]
    return None


def _broken(name: str, run: Replay, end: End, why: Exception) -> None:
    run.end = end
    extra = {"integration.provider": name, "error": type(why).__name__}
    logger.warning("replay interrupted", extra=extra)
