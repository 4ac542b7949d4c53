"""How many letters may be replayed now, what is exported under which name, and what beat is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.schedule import schedule
from config.settings import Settings, SettingsError
from worker.application import app
from worker.budget import Budget
from worker.letters.canary import may_be_replayed
from worker.letters.exporting import lines, name_of
from worker.letters.replay import UNRATED, room
from worker.limits import Limits
from worker.provider import Provider, Quota, Rate
from worker.standing import Standing

NOW = 1_000_000.0


def limits(left: int | None) -> Limits:
    """One credential that has nothing against it."""
    return Limits(
        digest="", factor=1.0, rate=None, tokens=None, throttles=0, throttled_at=None, cooldown_until=None,
        refused_until=None, quota_left=left, quota_until=None,
    )  # fmt: skip


def standing(
    *, rate: Rate | None = None, quota: int = 0, left: int = 0, replays: int = 0, live: int = 0, **more: Any
) -> Standing:
    """A provider with so many calls in line, and so many of its quota left."""
    declared = Provider(
        name="acme",
        base_url="http://127.0.0.1:9",
        rate=rate,
        quota=Quota(limit=quota, zone="UTC") if quota else None,
    )
    fields: dict[str, Any] = {
        **dict.fromkeys(("open_until", "opened_at", "oldest_queued", "next_due", "oldest_parked")),
        **dict.fromkeys(("failures", "successes", "probes", "queued", "running", "waiting", "slow"), 0),
        **dict.fromkeys(("under_way", "in_flight", "slots", "dead_letters"), 0),
        "breaker": "closed",
        "by_hand": False,
        "window": "",
        "budget": Budget(calls=0, retries=0, most=None),
        "credentials": (limits(left if quota else None),),
        "lanes": {"interactive": live, "batch": 0, "replay": replays},
        "in_line": live + replays,
    }
    return Standing(declared=declared, at=NOW, **{**fields, **more})


def test_an_hour_of_calls_may_stand_in_line() -> None:
    """Fewer when some do already, failed ones that wait for the retry budget among them."""
    assert room(standing(rate=Rate(calls=2)), 0.1) == (7200, None)
    assert room(standing(rate=Rate(calls=2), replays=7000, slow=150), 0.1) == (50, None)
    assert room(standing(rate=Rate(calls=2), replays=7200), 0.1) == (0, "line")
    assert room(standing(rate=Rate(calls=2), live=9000), 0.1) == (7200, None)
    assert room(standing(replays=1), 0.1) == (UNRATED - 1, None)
    assert room(standing(rate=Rate(calls=1, per=86_400)), 0.1) == (1, None)


def test_a_breaker_that_is_not_closed_leaves_no_room() -> None:
    """Half-open is not closed."""
    for word in ("open", "half_open"):
        assert room(standing(breaker=word), 0.0) == (0, "breaker")


def test_a_share_of_the_quota_is_left_to_live_calls() -> None:
    """And a call for each that stands in line."""
    assert room(standing(quota=100, left=50), 0.1) == (40, None)
    assert room(standing(quota=100, left=50, live=30, under_way=4), 0.1) == (6, None)
    assert room(standing(quota=100, left=50, live=40), 0.1) == (0, "quota")
    assert room(standing(quota=100, left=10), 0.1) == (0, "quota")
    assert room(standing(quota=100, left=10), 0.0) == (10, None)


@given(st.integers(1, 1000), st.data(), st.floats(0, 1), st.integers(0, 500), st.integers(0, 500))
def test_replays_never_take_what_is_kept(
    quota: int, data: st.DataObject, floor: float, live: int, replays: int
) -> None:
    """Whatever stands in line and whatever is left."""
    left = data.draw(st.integers(0, quota))

    free, why = room(standing(quota=quota, left=left, live=live, replays=replays), floor)

    assert free >= 0
    assert (free == 0) == (why is not None)
    assert why is not None or left - live - replays - free >= floor * quota - 1e-9


def test_only_what_may_succeed_without_a_person_is_replayed() -> None:
    """Whatever a letter says of itself, some codes are a person's."""
    assert may_be_replayed({"retryable": True, "code": "upstream_error"})
    assert not may_be_replayed({"retryable": False, "code": "upstream_error"})
    assert not may_be_replayed({"retryable": "yes", "code": "upstream_error"})
    for code in ("exhausted", "in_doubt", "worker_lost"):
        assert not may_be_replayed({"retryable": True, "code": code})
    assert not may_be_replayed({"unreadable": 3})


def test_an_object_is_named_by_what_is_in_it() -> None:
    """By provider, by the first and the last failure, and by its digest."""
    raws = [json.dumps({"id": n, "failed_at": f"2026-11-2{n}T10:00:30.500Z"}).encode() for n in (1, 0, 2)]

    name = name_of("acme", raws)

    assert name.startswith("acme/20261120T100030Z-20261122T100030Z-")
    assert name.endswith(".jsonl.gz")
    assert name == name_of("acme", list(raws))
    assert name != name_of("acme", raws[:2])
    assert name_of("acme", [b"{}"]).startswith("acme/undated-")
    assert lines(raws) == b"".join(raw + b"\n" for raw in raws)


def test_beat_names_tasks_that_there_are() -> None:
    """Each message is of no use any more before the next of its kind."""
    app.loader.import_default_modules()

    for entry in schedule().values():
        assert entry["task"] in app.tasks
        assert entry["options"]["expires"] < entry["schedule"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXPORT_TO", "canary-folder"),
        ("EXPORT_TO", "file://canary-folder"),
        ("EXPORT_OPTIONS", '["canary"]'),
        ("EXPORT_OPTIONS", "canary"),
        ("REPLAY_QUOTA_FLOOR", "1.5"),
    ],
)
def test_settings_that_say_nothing_are_refused_without_being_shown(name: str, value: str) -> None:
    """An address may hold a password, and options a key."""
    with pytest.raises(SettingsError) as caught:
        Settings.load({f"NARROWS_{name}": value})

    assert f"NARROWS_{name}" in str(caught.value)
    assert "canary" not in str(caught.value)
