"""Whatever a provider says: the call has a result that is JSON, or ends as an error of ours, in its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.importing.pages import known_until
from tests.fleet import Ground
from tests.fuzz.asked import OPERATIONS, asked
from tests.fuzz.driving import Drive, judged
from tests.fuzz.effort import examples
from tests.fuzz.test_fuzz_arguments import calls
from tests.fuzz.wrong_peer import OTHERS, WAITS, Reply, replies
from tests.sandbox.settings import DOORS
from worker.claim import Claim
from worker.engine import engine
from worker.errors import ArgumentsInvalid, CallError
from worker.http.body import parsed
from worker.http.retry_after import reset_after, retry_after
from worker.request import Answer, Request
from worker.submissions.submission import Submission

VERIFIED = [name for name, each in OPERATIONS.items() if each.submission and each.submission.verify]


@pytest.fixture(scope="module")
def drive(ground: Ground) -> Iterator[Drive]:  # noqa: ARG001 - the engine stands on it
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
@examples(30)
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


@pytest.mark.parametrize("name", sorted(DOORS))
@examples(25)
@given(data=st.data())
def test_whatever_a_provider_says_the_gate_takes_what_is_learnt_of_it(
    drive: Drive, name: str, data: st.DataObject
) -> None:
    """Waits, what is left, moments of a reset: none stops the scripts, nor what is counted behind them."""
    here = engine()
    gateway = drive.misled(here.gateway(name), data.draw(replies(None)))
    request = Request(path="/fuzzed", label="fuzzed", fresh=True, kept=False)
    here.state.delete(gateway.gate.keys.limits, gateway.gate.keys.breaker)

    judged(lambda: here.pipeline.call(gateway, request, Claim()).status, {})


CHARSETS = [each["Content-Type"] for each in OTHERS if "Content-Type" in each]


@pytest.mark.parametrize("kind", [*CHARSETS, "x; charset*0=u; charset*=tf-8", "x; charset = 'UTF-8' ; x"])
def test_no_charset_is_too_strange_to_be_refused(kind: str) -> None:
    """A parameter that is written in parts made :mod:`email` raise TypeError."""
    with suppress(ValueError):
        assert parsed(b"[]", kind) == []


@pytest.mark.parametrize("number", [b"1e999", b"-1E+400", b"1" * 400 + b".5", b"NaN", b"-Infinity"])
def test_a_number_that_no_float_holds_is_refused(number: bytes) -> None:
    """It would stand in results as Infinity, which is not JSON."""
    with pytest.raises(ValueError, match=r"infinite|NaN|Infinity"):
        parsed(b'[{"x": %b}]' % number, "application/json")


@pytest.mark.parametrize("text", [*WAITS, " ", "()", "Mon", "1 Jan", "Mon, 1"])
def test_no_moment_in_a_header_is_too_strange_to_be_read(text: str) -> None:
    """What is none is left out."""
    date = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": text}
    known = known_until(Answer(status=200, data=[], headers={"x-soda2-secondary-last-modified": text}))
    waits = [retry_after(date), retry_after({"retry-after": text}), reset_after({"x-ratelimit-reset": text})]

    assert isinstance(known, str)
    assert all(wait is None or 0 <= wait < 1e16 for wait in waits)


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
@examples(20)
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
