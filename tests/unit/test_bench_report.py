"""The bench's arithmetic and words; what it measures is not for a unit test."""

from __future__ import annotations

import json

import pytest

from bench.contender import CONTENDERS
from bench.rate_use import PACES
from bench.rates import RATES
from bench.report import TARGETS, Figure, Target, as_json, details, flat, median, ratios, table
from bench.throughput import COMPARISONS
from bench.turns import HANDSHAKE

NAMES = {
    "guarded_vs_bare",
    "guarded_vs_handrolled",
    "guarded_vs_shared_breaker_100ms",
    "redis_round_trips_per_guarded_call",
    "guard_cpu_us",
    "guard_cpu_vs_handrolled",
    "cache_hit_vs_bare",
    "gate_vs_floor",
    "import_vs_celery",
    "bulk_enqueue_vs_delay",
    "dlq_replay_rate",
    "backlog_rss_mb",
    "backlog_neighbour_latency",
    "rate_use",
    "waiting_drain",
}


def test_every_figure_that_was_asked_for_has_its_target() -> None:
    """Others read latest.json by these names."""
    assert set(TARGETS) == NAMES


def test_every_comparison_has_its_contenders() -> None:
    """A misspelt name would be found after minutes only."""
    names = {name for each in COMPARISONS for name in (each.above, each.below, *each.beside)}

    assert names <= set(CONTENDERS)
    assert {each.name for each in COMPARISONS} <= NAMES


def test_every_pace_has_its_provider() -> None:
    """Its rate is in its name, by which Celery's own limit has the same."""
    assert {f"line_{pace}": float(pace) for pace in PACES} == {
        name: rate.per_second for name, rate in RATES.items() if name.removeprefix("line_") in PACES
    }


@pytest.mark.parametrize(("value", "met"), [(1.39, False), (1.4, True), (9.0, True)])
def test_a_least_value_is_met_from_there_upwards(value: float, met: object) -> None:
    """The bound itself will do."""
    assert met is Target(name="x", bound=1.4, said="").met_by(value)


@pytest.mark.parametrize(("value", "met"), [(0.1, True), (2.05, True), (2.051, False)])
def test_a_greatest_value_is_met_from_there_downwards(value: float, met: object) -> None:
    """The bound itself will do."""
    assert met is Target(name="x", bound=2.05, most=True, said="").met_by(value)


def test_what_slows_both_sides_of_a_round_leaves_its_ratio_alone() -> None:
    """The second round ran at half speed, and says the same."""
    assert ratios([200.0, 100.0], [100.0, 50.0]) == [2.0, 2.0]


def test_a_round_that_measured_one_side_only_is_an_error() -> None:
    """Otherwise sides of different rounds would be compared."""
    with pytest.raises(ValueError, match="longer"):
        ratios([1.0], [1.0, 2.0])


def test_a_median_has_four_digits() -> None:
    """One wild round does not move it."""
    assert median([1.23456, 1.0, 100.0]) == 1.235


def test_latest_json_is_one_flat_object_of_numbers() -> None:
    """Names and medians."""
    figures = [Figure(name="guarded_vs_bare", rounds=[0.9, 1.1, 1.0], beside={"bare, calls/s": 400.0})]

    assert json.loads(as_json(flat(figures))) == {"guarded_vs_bare": 1.0}


def test_details_say_how_a_value_came_about() -> None:
    """Rounds, what stood beside them, and on what it was measured."""
    figures = [Figure(name="guarded_vs_bare", rounds=[0.5, 0.9, 0.9], beside={"bare, calls/s": 400.0})]

    expected = {
        "value": 0.9,
        "target": "≥ 1",
        "met": False,
        "rounds": [0.5, 0.9, 0.9],
        "beside": {"bare, calls/s": 400.0},
    }
    found = details(figures, {"python": "3.12"})

    assert found == {"about": {"python": "3.12"}, "figures": {"guarded_vs_bare": expected}}


def test_a_missed_target_is_printed_as_missed() -> None:
    """And a met one as met."""
    figures = [Figure(name="guarded_vs_bare", rounds=[0.9]), Figure(name="guard_cpu_us", rounds=[60.0])]

    missed, met = (line for line in table(figures).splitlines() if line.startswith("guard"))

    assert missed.endswith("MISSED")
    assert "≥ 1" in missed
    assert met.endswith("met")


def test_a_table_shows_what_was_measured_beside() -> None:
    """With its value."""
    figures = [Figure(name="guarded_vs_bare", rounds=[1.0], beside={"bare, calls/s": 412.345})]

    assert any("bare, calls/s" in line and line.endswith("412.3") for line in table(figures).splitlines())


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"*3\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", True),
        (b"*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n", True),
        (b"*2\r\n$7\r\nEVALSHA\r\n$4\r\nAUTH\r\n", False),
        (b"*2\r\n$3\r\nGET\r\n$5\r\nHELLO\r\n", False),
    ],
)
def test_a_handshake_is_told_by_its_command(sent: bytes, expected: object) -> None:
    """Handshakes are no round trips of a call."""
    assert expected is bool(HANDSHAKE.match(sent))
