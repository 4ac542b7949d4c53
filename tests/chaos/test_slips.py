"""What is submitted in a storm."""

from __future__ import annotations

from collections import Counter

from tests.chaos.slips import PRODUCERS, sends, slips

DESKS = ("never", "verify", "idempotent")


def test_each_desk_gets_slips_of_every_way() -> None:
    """About as many each, some of which it refuses."""
    made = slips(200, DESKS)

    assert len({slip.note for slip in made}) == 200
    assert set(Counter(slip.desk for slip in made).values()) == {66, 67}
    for desk in DESKS:
        own = [slip for slip in made if slip.desk == desk]
        assert {way for slip in own for way in slip.ways} == {"ours", "own_id", "bare"}
        assert 0 < sum(slip.refused for slip in own) < len(own) / 5


def test_what_several_producers_send_has_a_key_and_nothing_else_does() -> None:
    """A key of its own."""
    made = slips(200, DESKS)

    assert all((slip.key is not None) == (len(slip.ways) > 1) for slip in made)
    keys = [slip.key for slip in made if slip.key]
    assert len(set(keys)) == len(keys) > 100


def test_no_producer_sends_a_slip_twice() -> None:
    """Each of its ways is another's."""
    made = slips(60, DESKS)

    parts = sends(made)

    assert len(parts) == PRODUCERS
    assert all(len({send.slip.note for send in part}) == len(part) for part in parts)
    assert sum(map(len, parts)) == sum(len(slip.ways) for slip in made)
