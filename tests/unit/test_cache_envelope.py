"""The bytes of a cached value."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cache.envelope import COMPRESS_ABOVE, expiry, opened, sealed

NOW = 1_800_000_000.125
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.none() | st.text(st.characters(codec="ascii"), min_size=1, max_size=80))
def test_whatever_json_went_in_comes_out(value: object, etag: str | None) -> None:
    """With its ETag, whatever either holds."""
    entry = opened(sealed(value, now=NOW, fresh=60, memory=5, etag=etag), now=NOW + 2, tier="redis")
    assert (entry.value, entry.etag, entry.tier) == (value, etag, "redis")
    assert (entry.age, entry.stored_at, entry.fresh) == (2.0, NOW, True)


def test_a_script_can_read_the_moments_from_fixed_places() -> None:
    """The layout is a contract with Lua: digits in fixed places, the value after them."""
    raw = sealed([1], now=NOW, fresh=60, memory=5, etag='"v1"')
    assert raw[:13] == b"1800000000125"
    assert raw[13:14] == b"j"
    assert raw[14:27] == b"1800000060125"
    assert raw[27:36] == b"000005000"
    assert raw[36:40] == b"0004"
    assert raw[40:] == b'"v1"[1]'
    assert expiry(raw) == (NOW + 60, 5.0)


def test_values_above_a_kilobyte_are_compressed_and_others_are_not() -> None:
    """Rows repeat their names, so they shrink a lot."""
    small, large = ["x" * (COMPRESS_ABOVE - 4)], ["x" * (COMPRESS_ABOVE - 3)]
    assert sealed(small, now=NOW, fresh=1, memory=0)[13:14] == b"j"
    raw = sealed(large, now=NOW, fresh=1, memory=0)
    assert (raw[13:14], zlib.decompress(raw[40:])[:3]) == (b"z", b'["x')
    assert opened(raw, now=NOW, tier="memory").value == large


def test_an_entry_is_fresh_until_its_moment_and_stale_from_then_on() -> None:
    """To the millisecond, and a clock that runs behind makes no negative age."""
    raw = sealed(1, now=NOW, fresh=1, memory=0)
    ages = [opened(raw, now=NOW + later, tier="redis") for later in (0.999, 1.0, -5.0)]
    assert [(round(entry.age, 3), entry.fresh) for entry in ages] == [
        (0.999, True),
        (1.0, False),
        (0.0, True),
    ]


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), b"bytes"])
def test_what_is_not_json_is_refused(value: object) -> None:
    """NaN too: other readers of the same Redis could not read it."""
    with pytest.raises((TypeError, ValueError)):
        sealed(value, now=NOW, fresh=1, memory=0)


@given(st.binary(max_size=60))
def test_foreign_bytes_are_refused_in_one_of_two_ways(raw: bytes) -> None:
    """So the cache can treat them as a miss."""
    with pytest.raises((ValueError, zlib.error)):
        opened(raw, now=NOW, tier="redis")


def test_values_do_not_show_in_an_entry_s_repr() -> None:
    """It may stand in a log or a traceback."""
    entry = opened(sealed("canary", now=NOW, fresh=1, memory=0), now=NOW + 9, tier="redis")
    assert repr(entry) == "<Entry stale 9 s redis>"
