"""What a soak makes of its samples."""

from __future__ import annotations

from tests.soak.samples import Sample, drift, least


def looked(at: float, *, rss: float = 100.0, state: float = 10.0) -> Sample:
    """A look of which only some is told."""
    return Sample(at=at, rss=rss, state=state, files=1, threads=1, cache=1.0, held=0, waits=0, letters=0)


SPAN = {"begins": 300.0, "ends": 1200.0, "window": 120.0}


def test_what_grows_after_the_warm_up_is_told() -> None:
    """A worker that takes a megabyte each minute has drifted by what lies between the two windows."""
    samples = [looked(at, rss=100 + at / 60) for at in range(0, 1200, 5)]

    assert 12.5 < drift(samples, "rss", **SPAN) < 13.5


def test_growth_before_the_warm_up_is_over_does_not_count() -> None:
    """Pools and caches fill; then nothing grows."""
    samples = [looked(at, rss=100 + min(at, 300)) for at in range(0, 1200, 5)]

    assert drift(samples, "rss", **SPAN) == 0


def test_what_comes_and_goes_has_not_grown() -> None:
    """Calls that wait for an outage to end take memory while it lasts."""
    samples = [looked(at, state=10 + (at % 60) / 10) for at in range(0, 1200, 5)]

    assert least(samples, "state", **SPAN) == 0
