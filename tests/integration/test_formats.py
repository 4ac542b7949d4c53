"""Which versions may run side by side, as Redis remembers it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis

from tests.integration.deployment import NAME, Deployment, letter
from worker.errors import ConfigurationError
from worker.formats import FORMAT, agree, is_newer
from worker.keys import FORMATS, keys
from worker.scripts import script


def came(state: Redis, written: int, needs: int) -> int:
    """What a worker of a version hears that writes *written* and runs beside *needs* and later ones."""
    return int(script("formats")(state, [FORMATS], [written, needs]))


def test_a_worker_starts_on_an_empty_redis_and_notes_what_it_writes(state: Redis) -> None:
    """And so does the next one."""
    agree(state)
    agree(state)

    assert state.hgetall(FORMATS) == {b"written": b"%d" % FORMAT, b"needs": b"1"}


def test_an_older_worker_starts_beside_a_newer_one_that_can_run_with_it(state: Redis) -> None:
    """What the newer one writes stays noted."""
    came(state, FORMAT + 1, FORMAT)

    agree(state)

    assert state.hget(FORMATS, "written") == b"%d" % (FORMAT + 1)


def test_an_older_worker_does_not_start_where_it_would_misread_what_lies_there(state: Redis) -> None:
    """It says which version is needed, and leaves no trace."""
    came(state, FORMAT + 2, FORMAT + 1)

    with pytest.raises(ConfigurationError, match=f"it needs format {FORMAT + 1}, this version has {FORMAT}"):
        agree(state)

    assert state.hgetall(FORMATS) == {b"written": b"%d" % (FORMAT + 2), b"needs": b"%d" % (FORMAT + 1)}


@pytest.mark.parametrize("mark", [None, {}, "v2", {"v": FORMAT}, {"v": "2"}, {"v": None}, [FORMAT + 1]])
def test_what_names_no_higher_number_is_not_newer(mark: Any) -> None:
    """A stranger's header may hold anything."""
    assert not is_newer(mark)


def test_what_names_a_higher_number_is_newer() -> None:
    """A header and a letter say it the same way."""
    assert is_newer({"v": FORMAT + 1, "lane": "batch"})


def test_a_letter_of_a_newer_version_is_left_where_it_is(
    redis_url: str, state: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it means by its arguments; the command says so and ends with 1."""
    newer = {**json.loads(letter("t1").as_json()), "v": FORMAT + 1}
    state.rpush(keys(NAME).dlq, json.dumps(newer))

    code = Deployment(url=redis_url).narrows("dlq", "replay", NAME, "t1", "--yes")

    assert code == 1
    assert "a newer version wrote this letter" in " ".join("".join(capsys.readouterr()).split())
    assert [json.loads(raw) for raw in state.lrange(keys(NAME).dlq, 0, -1)] == [newer]
