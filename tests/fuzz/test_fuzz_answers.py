"""Whatever a provider says: the call has a result that is JSON, or ends as an error of ours, in its time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fleet import Ground
from tests.fuzz.asked import OPERATIONS, asked
from tests.fuzz.driving import Drive, judged
from tests.fuzz.effort import examples
from tests.fuzz.test_fuzz_arguments import calls
from tests.fuzz.wrong_peer import Reply, replies
from worker.errors import ArgumentsInvalid, CallError
from worker.submission import Submission

VERIFIED = [name for name, each in OPERATIONS.items() if each.submission and each.submission.verify]


@pytest.fixture(scope="module")
def drive(ground: Ground) -> Iterator[Drive]:
    """A provider that says wrong things; the right ones are the sandbox's."""
    with Drive() as drive:
        for name in ("submit_service_request", "update_watermark", "send_sms"):  # there is something to find
            assert rightly(drive, name) is None
        yield drive


def rightly(drive: Drive, name: str) -> CallError | None:
    """How a call of that task ends when its provider says what is right."""
    operation, arguments = OPERATIONS[name], asked(name)[0]
    return judged(lambda: drive.run(operation.provider.name, operation.steps((), arguments)), {})


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_task_has_a_right_answer_of_which_wrong_ones_are_made(drive: Drive, name: str) -> None:
    """Otherwise nothing near it would be tried."""
    assert rightly(drive, name) is None


@pytest.mark.parametrize("name", OPERATIONS)
@examples(40)
@given(data=st.data())
def test_whatever_a_provider_says_the_call_has_a_result_or_ends_as_an_error_of_ours(
    drive: Drive, name: str, data: st.DataObject
) -> None:
    """Its right answers with parts that are missing, odd, nested or doubled; bytes, headers, statuses."""
    operation, arguments = OPERATIONS[name], data.draw(st.sampled_from(asked(name)))

    judged(
        lambda: drive.run(
            operation.provider.name,
            operation.steps((), arguments),
            lambda right: data.draw(replies(right)),
        ),
        arguments,
    )


@pytest.mark.parametrize("name", VERIFIED)
@examples(60)
@given(data=st.data())
def test_whatever_a_provider_says_of_a_doubt_it_is_settled_or_ends_as_an_error_of_ours(
    drive: Drive, name: str, data: st.DataObject
) -> None:
    """What is asked about a submission that may or may not have arrived."""
    operation, arguments = OPERATIONS[name], asked(name)[0]
    provider, now = operation.provider.name, time.time()
    known = Submission(
        id="fuzzed",
        provider=provider,
        operation=operation.name,
        state="in_doubt",
        resend="verify",
        since=now,
        created_at=now,
        sent_at=now,
    )
    assert operation.submission
    verify = operation.submission.verify
    assert verify
    bound = operation.parsed((), arguments)

    judged(
        lambda: drive.run(
            provider, verify(known, *bound.args, **bound.kwargs), lambda right: data.draw(replies(right))
        ),
        arguments,
    )


@pytest.mark.parametrize("name", OPERATIONS)
@examples(30)
@given(data=st.data())
def test_whatever_arguments_are_taken_they_can_be_sent(drive: Drive, name: str, data: st.DataObject) -> None:
    """No text that was taken is found to fit no request when it is about to leave."""
    operation = OPERATIONS[name]
    args, kwargs = data.draw(calls(name))
    try:
        args, kwargs = operation.checked(tuple(args), kwargs)
    except ArgumentsInvalid:
        return

    steps = operation.steps(tuple(args), kwargs)
    why = judged(lambda: drive.run(operation.provider.name, steps, lambda _: Reply(body=b"{}")), {})

    assert "cannot be sent" not in str(why)
