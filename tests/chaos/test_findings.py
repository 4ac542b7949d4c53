"""What is found wrong after a storm over calls that wait."""

from __future__ import annotations

from collections import Counter
from math import inf

from redis import Redis

from tests.chaos.findings import Findings, findings
from tests.chaos.invariants import Watch
from tests.chaos.ledger import Line
from tests.chaos.report import outcome
from tests.chaos.witness import Visit
from worker.keys import keys
from worker.provider import Rate

RATE = Rate(calls=10, burst=5)


def found(
    *, ended: str = "abc", broken: int = 0, visits: tuple[Visit, ...] = (), back: float = 0.0
) -> Findings:
    """Of three calls, with one return of Valkey at *back*."""
    result = outcome(
        "narrows",
        taken=dict.fromkeys("abc", 100.0),
        refused=0,
        lines=[Line("ended", each, 101.0) for each in ended],
        stored=(),
        letters=(),
        asked=Counter(),
    )
    watch = Watch(Redis, keys("anybody"))
    watch.looks, watch.broken = 1, ["a is nowhere"] * broken
    seen = visits or (Visit(call="a", at=1.0, until=2.0),)
    return findings(result, watch, seen, rate=RATE, kills=(0.0, 1.0), returns=[back])


def wrong(what: Findings) -> list[str]:
    """What is not 0, without numbers."""
    return [text.partition(",")[0] for text, count in what.wrong(3).items() if count]


def test_nothing_is_wrong_when_everything_held() -> None:
    """Each ended once, nobody was asked twice, and work went on in time."""
    assert wrong(found()) == []


def test_each_kind_of_loss_is_told() -> None:
    """By its own words."""
    twice = (Visit(call="a", at=1.0, until=3.0), Visit(call="a", at=2.0, until=3.0))
    flock = tuple(Visit(call=str(n), at=1.0, until=2.0) for n in range(18))

    assert wrong(found(ended="ab")) == ["calls were lost"]
    assert wrong(found(ended="abca")) == ["calls ended twice"]
    assert wrong(found(broken=1)) == ["calls were in two places"]
    assert wrong(found(visits=twice)) == ["calls were asked for twice at once"]
    assert wrong(found(visits=flock)) == ["calls above the rate"]


def test_work_that_goes_on_late_or_never_is_told() -> None:
    """Fifteen seconds after Valkey at most."""
    late = (Visit(call="a", at=16.0, until=17.0),)
    never = found(back=2.0)

    assert len(wrong(found(visits=late))) == 1
    assert len(wrong(never)) == 1
    assert never.resumed == (inf,)


def test_a_call_that_was_not_taken_is_told() -> None:
    """The load did not come to its end."""
    assert found().wrong(4)["calls were not taken"] == 1


def test_the_table_shows_what_was_seen() -> None:
    """Beside what became of the calls."""
    text = found(broken=2, back=0.5).table()

    assert "calls taken                                  3" in text
    assert "calls in two places, or none                 2" in text
    assert "back after Valkey was, s                   0.5" in text
