"""Dead letters moved back into the line beside the loop that people write: LRANGE, ``delay``, LPOP.

The loop is not safe: killed between its last two steps, it doubles a call. And it floods: each letter is a
message at once. Ours checks each letter's arguments, writes its record, and moves a page in one step, so that
whoever is killed loses and doubles nothing; nothing is published until the provider's line has come to it.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from celery import Celery
from redis import Redis

from bench.report import Figure, median, ratios
from worker.engine import engine
from worker.keys import keys
from worker.letters.letter import DeadLetter, iso
from worker.operation import Steps, operation
from worker.provider import Provider, Rate
from worker.request import Request

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["NAME", "Replays"]

NAME = "dlq_replay_rate"

PROVIDER = Provider(name="replays", base_url="http://127.0.0.1:9", rate=Rate(calls=1))
"""Nobody serves it: what is replayed here stays in line, until the round is over."""

LETTERS, QUICK_LETTERS = 2000, 400
OURS, LOOP = "replay", "LRANGE, delay, LPOP"


@operation(PROVIDER, shown=("number",))
def fetch(number: int, limit: int = 1) -> Steps[Any]:
    """The answer."""
    answer = yield Request(path="/thing", params={"number": str(number), "limit": str(limit)})
    return answer.data


class Replays:
    """The same letters, in turn by ours and by the loop."""

    def __init__(self, ground: Ground) -> None:
        env = ground.env()
        self._many = QUICK_LETTERS if ground.quick else LETTERS
        self._broker = Redis.from_url(env["NARROWS_BROKER_URL"])
        self._plain = Celery("plain", broker=env["NARROWS_BROKER_URL"], set_as_current=False)
        self._plain.conf.task_ignore_result = True
        self._rates: dict[str, list[float]] = {OURS: [], LOOP: []}
        self._letters = [_letter(number) for number in range(self._many)]
        self._lay(10)
        self._replay()
        self._lay(10)
        self._loop()
        self._forget()

    def round(self, number: int) -> None:  # noqa: ARG002 - every round is the same
        """Each side once."""
        for name, work in ((OURS, self._replay), (LOOP, self._loop)):
            self._lay(self._many)
            start = time.perf_counter()
            work()
            self._rates[name].append(self._many / (time.perf_counter() - start))
            self._forget()

    def figures(self) -> list[Figure]:
        """The figure."""
        beside = {f"{name}, letters/s": median(of) for name, of in self._rates.items()}
        self._broker.close()
        self._plain.close()
        return [Figure(name=NAME, rounds=ratios(self._rates[OURS], self._rates[LOOP]), beside=beside)]

    def _lay(self, many: int) -> None:
        engine().state.rpush(keys(PROVIDER.name).dlq, *self._letters[:many])

    @staticmethod
    def _replay() -> None:
        letters = engine().dead_letters(PROVIDER.name)
        for page in letters.pages():
            words = letters.replay(page, by="bench")
            if {*words} != {"parked"}:
                raise RuntimeError(f"letters were not replayed: {words}")

    def _loop(self) -> None:
        state, key = engine().state, keys(PROVIDER.name).dlq
        while found := state.lrange(key, 0, 0):
            letter = json.loads(found[0])
            self._plain.send_task(letter["task"], letter["args"], letter["kwargs"], queue=PROVIDER.name)
            state.lpop(key)

    def _forget(self) -> None:
        """Let the next round begin with nothing."""
        state = engine().state
        self._broker.delete(PROVIDER.name)
        state.delete(keys(PROVIDER.name).dlq)
        prefix = keys(PROVIDER.name).call("").removesuffix("call:")
        found = list(state.scan_iter(f"{prefix}*", count=1000))
        for start in range(0, len(found), 1000):
            state.unlink(*found[start : start + 1000])


def _letter(number: int) -> str:
    moment = iso(1_700_000_000.0 + number)
    return DeadLetter(
        id=f"replays-{number}",
        task=fetch.name,
        args=[number, 5],
        kwargs={},
        provider=PROVIDER.name,
        operation="fetch",
        code="upstream_error",
        status=503,
        error="replays answered 503",
        trace_id=f"{number:032x}",
        payload_excerpt=f"number={number}, limit=<int>",
        attempts=5,
        replays=0,
        first_failed_at=moment,
        failed_at=moment,
        retryable=True,
    ).as_json()
