"""What is wrong with the ending of a submission."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.endings import Ending, Told, wrong

RESULT = {"submission_id": "one", "external_id": "never-1", "state": "accepted"}
ACCEPTED = Ending(
    note="a note",
    desk="never",
    ids=("one",),
    arrived=1,
    numbers=frozenset({"never-1"}),
    state="accepted",
    external_id="never-1",
    listed=("accepted",),
    shown=False,
    letters=(),
    told=(Told(state="SUCCESS", result=RESULT),),
)
DOUBTFUL = replace(
    ACCEPTED,
    state="in_doubt",
    external_id=None,
    listed=("in_doubt",),
    shown=True,
    letters=("in_doubt",),
    told=(Told(state="FAILURE", error="CallInDoubt"),),
)
REJECTED = replace(
    DOUBTFUL,
    arrived=0,
    numbers=frozenset(),
    state="rejected",
    listed=("rejected",),
    shown=False,
    letters=("upstream_rejected",),
    told=(Told(state="FAILURE", error="RequestInvalid"),),
)


@pytest.mark.parametrize(
    "ending", [ACCEPTED, DOUBTFUL, REJECTED, replace(DOUBTFUL, arrived=0, numbers=frozenset())]
)
def test_what_somebody_knows_the_truth_of_is_well(ending: Ending) -> None:
    """Accepted and there once, refused and not there, or in doubt with a letter that a person reads."""
    assert ending.faults() == []


@pytest.mark.parametrize(
    ("ending", "fault"),
    [
        (replace(DOUBTFUL, arrived=2), "submissions arrived more than once"),
        (replace(DOUBTFUL, numbers=frozenset({"1", "2"})), "submissions arrived more than once"),
        (replace(DOUBTFUL, state=None, listed=()), "submissions were lost"),
        (replace(DOUBTFUL, state="sending", listed=("sending",)), "submissions were lost"),
        (replace(ACCEPTED, ids=("one", "two")), "submissions have two names"),
        (replace(ACCEPTED, listed=("accepted", "sending")), "submissions are listed under another state"),
        (replace(DOUBTFUL, shown=False), "submissions are in doubt, and the command does not say so"),
        (replace(ACCEPTED, shown=True), "submissions are in doubt, and the command does not say so"),
        (replace(ACCEPTED, arrived=0), "submissions were accepted, and not so by their desk"),
        (replace(ACCEPTED, external_id="never-2"), "submissions were accepted, and not so by their desk"),
        (replace(ACCEPTED, letters=("in_doubt",)), "accepted submissions have a dead letter"),
        (replace(REJECTED, arrived=1), "submissions were rejected, and arrived"),
        (replace(REJECTED, letters=()), "refused or doubtful submissions have not one letter"),
        (replace(DOUBTFUL, letters=("in_doubt",) * 2), "refused or doubtful submissions have not one letter"),
        (replace(DOUBTFUL, desk="verify"), "doubts did not resolve themselves"),
        (replace(DOUBTFUL, desk="idempotent"), "doubts did not resolve themselves"),
    ],
)  # fmt: skip
def test_each_fault_is_told(ending: Ending, fault: str) -> None:
    """By its own words, and counted."""
    assert fault in ending.faults()
    assert wrong([ending, ACCEPTED, ending])[fault] == 2


def test_who_took_three_workers_down_waits_for_a_person_wherever_it_was_sent() -> None:
    """It is not tried a fourth time."""
    assert replace(DOUBTFUL, desk="verify", letters=("worker_lost",)).faults() == []


@pytest.mark.parametrize(
    "told",
    [
        Told(state="PENDING"),
        Told(state="FAILURE", error="CallInDoubt"),
        Told(state="SUCCESS", result=RESULT | {"submission_id": "another"}),
        Told(state="SUCCESS", result=RESULT | {"external_id": "never-2"}),
        Told(state="SUCCESS", result=RESULT | {"state": "rejected"}),
    ],
)
def test_a_caller_that_was_told_otherwise_than_the_ledger_is_one_too_many(told: Told) -> None:
    """Also when another was told well."""
    ending = replace(ACCEPTED, told=(*ACCEPTED.told, told))

    assert ending.faults() == ["callers were told otherwise"]


@pytest.mark.parametrize("state", ["pending_external", "in_doubt"])
def test_who_repeats_a_submission_may_have_been_told_that_it_was_not_decided(state: str) -> None:
    """With the first one's id, by which it can ask again."""
    early = Told(state="SUCCESS", result=RESULT | {"external_id": None, "state": state})

    assert replace(ACCEPTED, told=(*ACCEPTED.told, early)).faults() == []
