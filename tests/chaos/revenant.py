"""A provider whose dead letters come back: its one operation, and what the process does that replays them."""

from __future__ import annotations

from worker.operation import Steps, operation
from worker.provider import Breaker, Provider, Rate
from worker.request import Request

__all__ = ["RATE", "REVENANT", "replay", "visit"]

RATE = Rate(calls=60, burst=5)
"""In an hour more than any storm has letters."""

REVENANT = Provider(name="revenant", base_url="http://127.0.0.1:9", rate=RATE, breaker=Breaker(failures=None))


@operation(REVENANT, shown=("call",))
def visit(call: str) -> Steps[str]:
    """*call*, which names itself to the provider."""
    yield Request(path=f"/visit/{call}")
    return call


def replay() -> None:
    """Replay as beat's task does; say how it ended, and what became of letters."""
    from worker.engine import engine
    from worker.letters.replaying import Replayer

    done = Replayer(engine(), lasts=250.0, lease=1.0).run([REVENANT.name])
    print(*((each.end, dict(each.outcomes)) for each in done))  # noqa: T201 - the answer
