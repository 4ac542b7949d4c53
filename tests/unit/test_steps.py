"""What an operation yields: another provider's part of it, and what its result becomes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.driver import Driver
from worker.errors import BucketEmpty, CallError, ProviderUnavailable, ResourceMissing
from worker.provider import Provider
from worker.request import Answer, Request
from worker.steps import Alone, Do, Progress, Safe, Steps, asking, plain

OTHER = Provider(name="other", base_url="http://127.0.0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a result."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A result that is made of pieces."""

    first: Part
    rest: tuple[Part, ...]
    named: dict[str, Part]
    missing: Part | None = None


def yes(request: Request) -> Answer:
    """An answer that says who was asked what."""
    return Answer(status=200, data=f"{request.provider}{request.path}")


def two_questions() -> Steps[list[str]]:
    """Asks twice, and between does whatever an operation may."""
    first = yield Request(path="/one")
    yield Alone("counting")
    yield Progress(done=1, total=2)
    done = yield Do(lambda: "done")
    yield Safe()
    second = yield Request(path="/two", provider="third")
    return [first.data, done, second.data]


def test_every_request_of_another_providers_steps_goes_to_it() -> None:
    """But for those that name somebody themselves."""
    driver = Driver(answer=yes)

    assert driver.run(asking(OTHER, two_questions())) == ["other/one", "done", "third/two"]


def test_what_the_other_does_alone_is_its_own_and_the_rest_is_the_tasks() -> None:
    """Two providers' operations may have the same name for what they do alone."""
    driver = Driver(answer=yes)

    driver.run(asking(OTHER, two_questions()))

    assert driver.progress == [Progress(done=1, total=2)]
    assert driver.others == [Alone("counting", provider="other"), Safe()]


def test_the_others_steps_hear_of_a_failure_where_they_asked() -> None:
    """So that what they know how to bear does not reach whoever asked through them."""

    def careful() -> Steps[str]:
        try:
            yield Request(path="/gone")
        except ResourceMissing:
            answer = yield Request(path="/else")
            return str(answer.data)
        return "found"

    driver = Driver(answer=lambda request: ResourceMissing() if request.path == "/gone" else yes(request))

    assert driver.run(asking(OTHER, careful())) == "other/else"
    assert [request.provider for request in driver.requests] == ["other", "other"]


def test_a_step_that_failed_is_heard_of_in_the_same_way() -> None:
    """What an action raises is an error of its own."""

    def breaks() -> object:
        raise OSError

    def careful() -> Steps[str]:
        try:
            yield Do(breaks)
        except OSError:
            return "borne"
        return "done"

    steps = asking(OTHER, careful())
    wanted = next(steps)
    assert isinstance(wanted, Do)

    with pytest.raises(StopIteration) as end:
        steps.throw(OSError())

    assert end.value.value == "borne"


@pytest.mark.parametrize("error", [BucketEmpty(), ProviderUnavailable()])
def test_what_the_other_does_not_bear_reaches_whoever_asked(error: CallError) -> None:
    """The very same error: whether it passes is for the asker to see."""

    def asker() -> Steps[object]:
        try:
            yield from asking(OTHER, two_questions())
        except CallError as why:
            return why
        return None

    assert Driver(answer=lambda _: error).run(asker()) is error


def test_steps_that_are_dropped_midway_end_with_their_asker() -> None:
    """Their ``finally`` runs when the task does not go on."""
    ended = []

    def tidy() -> Steps[None]:
        try:
            yield Request(path="/one")
        finally:
            ended.append(True)

    steps = asking(OTHER, tidy())
    next(steps)
    steps.close()

    assert ended == [True]


def test_steps_without_a_question_have_a_result_too() -> None:
    """Nothing was there to be asked."""

    def knows() -> Steps[str]:
        yield from ()
        return "known"

    assert Driver(answer=yes).run(asking(OTHER, knows())) == "known"


def test_a_result_of_dataclasses_is_json_all_the_way_down() -> None:
    """In lists, in dictionaries and in fields of one another."""
    whole = Whole(first=Part(name="a"), rest=(Part(name="b"),), named={"c": Part(name="c")})
    expected = {
        "first": {"name": "a"},
        "rest": [{"name": "b"}],
        "named": {"c": {"name": "c"}},
        "missing": None,
    }

    assert json.loads(json.dumps(plain(whole))) == expected
    assert json.loads(json.dumps(plain([whole, whole]))) == [expected, expected]


@pytest.mark.parametrize("value", [None, 1, "x", [], [1], {"a": [1]}, {"a": {"b": None}}])
def test_what_is_json_already_stays_the_same(value: object) -> None:
    """The very same object: rows by the million are not copied."""
    assert plain(value) is value
