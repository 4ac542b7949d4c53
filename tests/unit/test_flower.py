"""Which options Flower runs with, whatever it was started with."""

from __future__ import annotations

from typing import Any

import pytest
from tornado.options import OptionParser

from worker.flower import MOST_TASKS, PURGED_AFTER, closed


def options(**chosen: Any) -> OptionParser:
    """Those that matter here, defined as Flower defines them, and some of them chosen."""
    parser = OptionParser()
    parser.define("auth", default="", type=str)
    parser.define("basic_auth", type=str, default=None, multiple=True)
    parser.define("max_tasks", type=int, default=100_000)
    parser.define("purge_offline_workers", type=int, default=None)
    parser.define("read_only", type=bool, default=False)
    for name, value in chosen.items():
        setattr(parser, name, value)
    return parser


def test_flower_takes_the_account_of_the_settings_and_is_read_only_and_bounded() -> None:
    """Nothing has to be said where it is started."""
    chosen = options()

    closed(chosen, "ada:pw", env={})

    assert chosen.basic_auth == ["ada:pw"]
    assert (chosen.max_tasks, chosen.purge_offline_workers) == (MOST_TASKS, PURGED_AFTER)
    assert chosen.read_only


def test_what_was_chosen_stays() -> None:
    """An operator who wants the buttons, or more tasks, says so."""
    chosen = options(basic_auth=["bob:pw"], max_tasks=7, purge_offline_workers=5, read_only=False)

    closed(chosen, "ada:pw", env={"FLOWER_READ_ONLY": "false"})

    assert (chosen.basic_auth, chosen.max_tasks, chosen.purge_offline_workers) == (["bob:pw"], 7, 5)
    assert not chosen.read_only


def test_a_login_elsewhere_is_an_account_too() -> None:
    """OAuth names who may come in by a pattern of addresses; compose gives an empty account beside it."""
    for given in ({}, {"basic_auth": [""]}):
        chosen = options(auth=r".+@example\.org", **given)

        closed(chosen, "", env={})

        assert list(chosen.basic_auth) == []


def test_an_empty_account_beside_another_lets_nobody_in() -> None:
    """A comma too many; Flower would take ``Authorization: Basic !`` for the empty one."""
    chosen = options(basic_auth=["ada:pw", ""])

    closed(chosen, "", env={})

    assert chosen.basic_auth == ["ada:pw"]


@pytest.mark.parametrize("account", [":", "ada", "ada:", ":pw"])
def test_half_an_account_is_refused(account: str) -> None:
    """Anybody would guess it, or nobody could say it."""
    with pytest.raises(SystemExit, match="user:password"):
        closed(options(), account, env={})


def test_an_account_that_nobody_could_prove_is_refused() -> None:
    """Flower compares ASCII only, and would answer its owner with an error."""
    with pytest.raises(SystemExit, match="ASCII"):
        closed(options(), "zoë:pw", env={})


@pytest.mark.parametrize("given", [None, [""]])
def test_without_an_account_it_does_not_start(given: list[str] | None) -> None:
    """An empty one is what compose hands over when nothing was set."""
    chosen = options(basic_auth=given) if given else options()

    with pytest.raises(SystemExit, match="NARROWS_FLOWER_BASIC_AUTH"):
        closed(chosen, "", env={})
