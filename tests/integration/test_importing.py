"""Imports against a real Redis, a folder and a sandbox: without a hole, without a row twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from redis import Redis

from tasks.importing.desk import INLINE, Desk
from tasks.importing.files import Files
from tasks.importing.job import Imported, Job, RedisMarks
from tests.driver import Driver
from tests.sandbox import Sandbox
from worker.cache.cache import Cache
from worker.claim import Claim
from worker.errors import (
    CallDeferred,
    CallError,
    CallInFlight,
    ConfigurationError,
    DuplicateDelivery,
    ProviderUnavailable,
    ResponseTooLarge,
    ResponseUnreadable,
    SinkFailed,
    StateUnavailable,
)
from worker.gateway import open_gateway
from worker.keys import keys
from worker.metrics.metrics import Metrics
from worker.performing import Performance
from worker.pipeline import Pipeline
from worker.provider import Provider
from worker.request import Answer, Request
from worker.stack.embedded import EmbeddedValkey
from worker.steps import Do, Progress, Safe, Steps
from worker.storage import Storage
from worker.stores import connect
from worker.watcher import Watcher

NAME, CALLS = "nyc_open_data", "erm2-nwe9"
NOON = "2026-11-20T12:00:00.000Z"
EARLIER = "2026-11-20T08:00:00.000Z"
LATER = "2026-11-20T14:00:00.000Z"


def row(number: int, changed: str = EARLIER, version: int = 1) -> dict[str, Any]:
    """A record with its system fields."""
    return {
        "unique_key": str(number),
        "status": f"version {version}",
        ":id": f"row-{number:05}",
        ":version": f"rv-{number}-{version}",
        ":created_at": EARLIER,
        ":updated_at": changed,
    }


def performed(
    pipeline: Pipeline, steps: Steps[Imported], show: Callable[[Progress], None] = lambda _: None
) -> Imported:
    """What the steps return, done by the engine."""
    done: Imported = Performance(pipeline, NAME, "import_dataset", Claim(), show).of(steps)
    return done


@dataclass
class Desks:
    """Imports of one data set into one folder, one after the other or at once."""

    state: Redis
    sandbox: Sandbox
    folder: Path
    pipeline: Pipeline
    progress: list[Progress] = field(default_factory=list)

    def job(
        self,
        import_id: str,
        *,
        dataset: str = CALLS,
        sink: str = "calls",
        since: str | None = None,
        limit: int = 10,
        **how: Any,
    ) -> Job:
        """An import as a worker would make it."""
        target, kind = f"{dataset} {sink}", how.pop("kind", "jsonl")
        asked, most = f"{target} {since} {kind}", how.pop("most", 1000)
        target = "" if since else target
        desk = Desk(self.state, NAME, task_id=import_id, asked=asked, target=target, most=most)
        files = Files(Storage(f"file://{self.folder}"), sink, kind=kind)
        return Job(
            provider=NAME,
            dataset=dataset,
            import_id=import_id,
            since=since,
            desk=desk,
            files=files,
            marks=RedisMarks(desk=desk),
            limit=limit,
            **how,
        )

    def run(self, import_id: str, **how: Any) -> Imported:
        """What the whole import says."""
        return performed(self.pipeline, self.job(import_id, **how).run(), self.progress.append)

    def serve(self, rows: Iterable[dict[str, Any]]) -> None:
        """Have the provider know these rows and no others."""
        self.sandbox.nyc_open_data.load({CALLS: list(rows)})

    def left(self, import_id: str, *, after: int) -> None:
        """An import whose worker is killed after so many steps, and whose call is no more."""
        killed(self, import_id, after=after)
        self.state.delete(keys(NAME).imported("erm2-nwe9 calls") + ":by")

    def manifests(self) -> list[str]:
        """Those that lie there, whoever wrote them."""
        return [str(path) for path in sorted(self.folder.rglob("manifest.json"))]

    def versions(self, *manifests: str | None) -> Counter[tuple[str, str]]:
        """How often each version of each row stands in the files that the manifests name."""
        found: Counter[tuple[str, str]] = Counter()
        for manifest in manifests:
            path = Path(str(manifest).removeprefix("file://"))
            for file in json.loads(path.read_text())["files"]:
                lines = (path.parent / file["name"]).read_text().splitlines()
                assert len(lines) == file["rows"]
                found.update((each[":id"], each["status"]) for each in map(json.loads, lines))
        return found


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Without rows of its own; each test brings some."""
    with Sandbox({}) as running:
        yield running


@pytest.fixture
def desks(state: Redis, sandbox: Sandbox, tmp_path: Path) -> Desks:
    """Nothing was imported yet."""
    return made(state, sandbox, tmp_path)


def made(state: Redis, sandbox: Sandbox, folder: Path, **how: Any) -> Desks:
    """Imports by this Redis into this folder."""
    sandbox.control.reset()
    sandbox.nyc_open_data.out_of_date = False
    provider = Provider(name=NAME, base_url=sandbox.base_url(NAME), **how)
    gateway = open_gateway(provider, None, state, state, None, Cache(state))
    pipeline = Pipeline(lambda _: gateway, inline_wait=0.5, watcher=Watcher(Metrics()))
    return Desks(state, sandbox, folder, pipeline)


def once(*rows: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Each of *rows* one time."""
    return Counter((each[":id"], each["status"]) for each in rows)


def test_an_import_brings_every_row_once_and_says_where(desks: Desks) -> None:
    """In pages of ten, the last one short; the manifest names the files, and where the next goes on."""
    rows = [row(number, NOON if number == 3 else EARLIER) for number in range(25)]
    desks.serve(rows)

    done = desks.run("first")

    assert desks.versions(done.manifest) == once(*rows)
    assert (done.rows, done.files, done.skipped, done.since, done.watermark) == (25, 3, 0, None, NOON)
    assert [(each.done, each.total) for each in desks.progress] == [(0, 25), (10, 25), (20, 25), (25, 25)]
    asked = [each["query"] for each in desks.sandbox.control.journal(NAME)]
    assert not any("offset" in each for each in asked)


def test_a_page_that_ends_the_data_set_exactly_is_followed_by_an_empty_one(desks: Desks) -> None:
    """Which makes no file."""
    desks.serve([row(number) for number in range(20)])

    done = desks.run("even")

    assert (done.rows, done.files) == (20, 2)


def test_an_import_of_nothing_has_a_manifest_without_files(desks: Desks) -> None:
    """And moves no watermark."""
    desks.serve([])

    done = desks.run("nothing")

    assert desks.versions(done.manifest) == Counter()
    assert (done.rows, done.watermark) == (0, None)


def test_the_next_import_brings_what_changed_and_what_came_late_and_nothing_twice(desks: Desks) -> None:
    """A late row has a moment that lies before the watermark, by less than the overlap."""
    before = [row(number, NOON) for number in range(15)] + [row(50, EARLIER)]
    desks.serve(before)
    first = desks.run("first")
    changed, late, new = row(3, LATER, version=2), row(60, "2026-11-20T11:30:00.000Z"), row(70, LATER)
    desks.serve([*(each for each in before if each[":id"] != changed[":id"]), changed, late, new])

    second = desks.run("second")

    assert desks.versions(second.manifest) == once(changed, late, new)
    assert desks.versions(first.manifest, second.manifest) == once(*before, changed, late, new)
    assert (second.skipped, second.since, second.watermark) == (14, "2026-11-20T11:00:00.000Z", LATER)
    third = desks.run("third")
    assert (third.rows, third.skipped) == (0, 2)


def test_what_changes_while_pages_are_read_comes_with_the_next_import(desks: Desks) -> None:
    """Behind the page that was read, also when the import took longer than the overlap."""
    rows = [row(number) for number in range(25)]
    desks.serve(rows)
    behind, ahead = row(2, LATER, version=2), row(22, LATER, version=2)

    def meanwhile(progress: Progress) -> None:
        if progress.done == 10:
            desks.serve(
                [behind if each[":id"] == behind[":id"] else each for each in rows[:22]] + [ahead, *rows[23:]]
            )

    steps = desks.job("first").run()
    first = performed(desks.pipeline, steps, meanwhile)
    second = desks.run("second")

    assert desks.versions(first.manifest) == once(*rows[:22], ahead, *rows[23:])
    assert desks.versions(second.manifest) == once(behind)
    assert first.watermark == EARLIER


@pytest.mark.parametrize("seen", range(1, 26))
def test_an_import_that_is_killed_anywhere_goes_on_without_a_hole_or_a_double(
    desks: Desks, seen: int
) -> None:
    """After each of its steps in turn, and once more a step later in its second life."""
    rows = [row(number, NOON) for number in range(25)]
    desks.serve(rows)
    for steps in (seen, seen + 1):
        killed(desks, "mortal", after=steps)

    done = desks.run("mortal")

    assert desks.versions(done.manifest) == once(*rows)
    files = [path.name for path in Path(done.place.removeprefix("file://")).iterdir()]
    assert sorted(files) == sorted([*_named(done), "manifest.json"])
    assert desks.run("mortal") == done
    assert desks.run("next").rows == 0


def killed(desks: Desks, import_id: str, *, after: int) -> None:
    """Run the import until so many of its steps are done; the next one never is."""
    left = after

    class Killed(BaseException):
        """Nothing catches it."""

    def counted(wanted: Any) -> Any:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return wanted

    def mortal(steps: Any) -> Any:
        wanted = next(steps)
        while True:
            try:
                try:
                    answer = yield counted(wanted)
                except CallError as why:
                    wanted = steps.throw(why)
                else:
                    wanted = steps.send(answer)
            except StopIteration as end:
                return end.value

    steps = mortal(desks.job(import_id).run())
    with suppress(Killed):
        performed(desks.pipeline, steps)


def _named(done: Imported) -> list[str]:
    path = Path(str(done.manifest).removeprefix("file://"))
    return [each["name"] for each in json.loads(path.read_text())["files"]]


def test_a_run_that_stood_still_while_another_took_over_can_write_nothing_any_more(desks: Desks) -> None:
    """It wakes up with a page in its hands, of data that has changed since."""
    desks.serve([row(number) for number in range(15)])
    stale = desks.job("taken")
    steps, answers = stale.run(), list[Any]()
    wanted = next(steps)
    while not (isinstance(wanted, Do) and len(answers) == 2):  # the count and the first page are there
        if isinstance(wanted, Do):
            wanted = steps.send(wanted.action())
        elif isinstance(wanted, Progress | Safe):
            wanted = next(steps)
        else:
            assert isinstance(wanted, Request)
            answers.append(desks.pipeline.call(desks.pipeline.gateway(NAME), wanted, Claim()))
            wanted = steps.send(answers[-1])
    changed = [row(number, LATER, version=2) for number in range(15)]
    desks.serve(changed)
    done = desks.run("taken")

    with pytest.raises(DuplicateDelivery):
        wanted.action()

    assert desks.versions(done.manifest) == once(*changed)


def test_two_imports_do_not_go_on_from_one_watermark_at_once(desks: Desks) -> None:
    """The second waits; when the first has ended it brings nothing."""
    desks.serve([row(number, NOON) for number in range(25)])
    killed(desks, "first", after=9)
    desks.state.hset(keys(NAME).call("first"), "state", "running")
    asked = desks.sandbox.control.counts(NAME)["count"]

    waits = [waiting(desks, "second") for _ in range(6)]

    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert desks.sandbox.control.counts(NAME)["count"] == asked
    assert desks.run("first").rows == 25
    assert desks.run("second").rows == 0


def waiting(desks: Desks, import_id: str) -> float:
    """Seconds after which an import asks again that another one holds back."""
    with pytest.raises(CallInFlight) as held:
        desks.run(import_id)
    return held.value.wait


@pytest.mark.parametrize("recorded", ["", "ended"])
def test_an_import_whose_call_has_ended_holds_nobody_back(desks: Desks, recorded: str) -> None:
    """It was revoked, or is a dead letter: whoever comes next need not wait until its hold is over."""
    rows = [row(number, NOON) for number in range(25)]
    desks.serve(rows)
    killed(desks, "revoked", after=9)
    if recorded:
        desks.state.hset(keys(NAME).call("revoked"), "state", recorded)

    assert desks.versions(desks.run("next").manifest) == once(*rows)


def test_an_import_that_is_no_call_holds_others_back_for_its_time(desks: Desks) -> None:
    """Nobody can look up whether it still goes on."""
    desks.serve([row(number, NOON) for number in range(25)])
    killed(desks, f"{INLINE}here", after=9)

    assert waiting(desks, "second") == 5.0
    assert 0 < desks.state.pttl(keys(NAME).imported("erm2-nwe9 calls") + ":by") <= 600_000


def test_of_two_imports_that_go_on_at_once_the_first_to_end_counts(desks: Desks) -> None:
    """Whatever made the second think that the first is gone."""
    rows = [row(number, NOON) for number in range(25)]
    desks.serve(rows)

    def overtaken(progress: Progress) -> None:
        if progress.done == 20:
            desks.run("quick")

    slow = performed(desks.pipeline, desks.job("slow").run(), overtaken)

    assert slow.manifest is None
    assert desks.versions(*desks.manifests()) == once(*rows)
    assert desks.run("slow").manifest is None


@pytest.mark.parametrize("seen", range(1, 31))
def test_whoever_comes_after_an_import_that_was_left_anywhere_doubles_nothing(
    desks: Desks, seen: int
) -> None:
    """If it counted already, its manifest is written by the next one, which brings what else there is."""
    rows = [row(number, NOON) for number in range(25)]
    desks.serve(rows)
    desks.left("left", after=seen)
    desks.serve([*rows, row(90, LATER)])

    desks.run("next")

    assert desks.versions(*desks.manifests()) == once(*rows, row(90, LATER))
    desks.run("left")
    assert desks.versions(*desks.manifests()) == once(*rows, row(90, LATER))


def test_a_mark_that_could_not_be_moved_is_moved_before_the_next_import_reads_it(desks: Desks) -> None:
    """The service that keeps it was away when the import ended, for good as far as its call knew."""
    rows = [row(number, NOON) for number in range(25)]
    desks.serve(rows)
    service = Service()
    with pytest.raises(ProviderUnavailable):
        performed(desks.pipeline, replace(desks.job("first"), marks=service).run())
    assert len(desks.manifests()) == 1
    with pytest.raises(ProviderUnavailable):
        performed(desks.pipeline, replace(desks.job("second"), marks=service).run())
    service.away = False

    second = performed(desks.pipeline, replace(desks.job("second"), marks=service).run())

    assert (second.rows, second.since) == (0, "2026-11-20T11:00:00.000Z")
    assert desks.versions(*desks.manifests()) == once(*rows)


@dataclass
class Service:
    """Keeps a watermark elsewhere."""

    away: bool = True
    mark: str = ""

    def read(self) -> Steps[str]:
        """What it has."""
        yield from ()
        return self.mark

    def move(self, moment: str) -> Steps[None]:
        """Unless it is away."""
        yield Do(self._there)
        self.mark = moment

    def _there(self) -> None:
        if self.away:
            raise ProviderUnavailable


@pytest.mark.parametrize("changed", [{"sink": "other"}, {"dataset": "wvxf-dwi5"}, {"kind": "parquet"}])
def test_a_letter_that_was_edited_is_another_import(desks: Desks, changed: dict[str, str]) -> None:
    """It has the same id, and begins anew: nothing of what it was before is in its manifest."""
    houses = [{**row(number), "violationid": str(number)} for number in range(25)]
    for each in houses:
        del each["unique_key"], each["status"]
    calls = [row(number, NOON) for number in range(25)]
    desks.sandbox.nyc_open_data.load({CALLS: calls, "wvxf-dwi5": houses})
    killed(desks, "letter", after=14)

    done = desks.run("letter", **changed)

    place = Path(done.place.removeprefix("file://"))
    names = _named(done)
    assert (done.rows, done.files, len(names)) == (25, 3, 3)
    assert all((place / name).exists() for name in names)
    assert all(name.endswith(changed.get("kind", "jsonl")) for name in names)
    if "dataset" in changed:
        assert all(
            "violationid" in line for name in names for line in (place / name).read_text().splitlines()
        )


def test_rows_are_known_again_though_the_newest_was_deleted(desks: Desks) -> None:
    """The watermark stays where it was, and what was delivered behind it stays known."""
    rows = [row(number) for number in range(5)]
    desks.serve([*rows, row(9, NOON)])
    first, late = desks.run("first"), row(60, "2026-11-20T11:30:00.000Z")
    desks.serve([*rows, late])

    again = [desks.run(name) for name in ("second", "third", "fourth")]

    assert [each.rows for each in again] == [1, 0, 0]
    assert {each.watermark for each in again} == {NOON}
    assert desks.versions(first.manifest, *(each.manifest for each in again)) == once(
        *rows, row(9, NOON), late
    )


def test_rows_that_came_after_an_empty_count_are_known_again(desks: Desks) -> None:
    """There was no newest one to go back from."""
    desks.serve([])
    came = row(1, NOON)

    first = performed(desks.pipeline, desks.job("first").run(), lambda _: desks.serve([came]))

    assert (first.rows, first.watermark, desks.run("second").rows) == (1, None, 0)


def test_what_a_stale_replica_did_not_show_comes_with_the_next_import(desks: Desks) -> None:
    """Counted by a fresh one, read from another that is further behind than the overlap."""
    old = [row(number) for number in range(15)]
    lost, newest = row(50, "2026-11-22T12:30:00.000Z"), row(60, "2026-11-22T14:00:00.000Z")
    player = desks.sandbox.nyc_open_data
    desks.serve(old)
    desks.serve([*old, lost, newest])

    def behind(progress: Progress) -> None:
        player.out_of_date = progress.done < 20

    first = performed(desks.pipeline, desks.job("first").run(), behind)
    player.out_of_date = False
    again = [desks.run(name) for name in ("second", "third")]

    assert desks.versions(first.manifest) == once(*old)
    assert desks.versions(first.manifest, *(each.manifest for each in again)) == once(*old, lost, newest)
    assert str(first.watermark) < lost[":updated_at"]
    assert again[0].watermark == newest[":updated_at"]


def test_a_row_that_a_stale_replica_hid_for_a_while_does_not_come_twice(desks: Desks) -> None:
    """A whole import was read from that one, and did not meet the row that the one before it had brought."""
    old = [row(number) for number in range(15)]
    desks.serve(old)
    desks.serve([*old, row(50, NOON)])
    first = desks.run("first")
    desks.sandbox.nyc_open_data.out_of_date = True
    second = desks.run("second")
    desks.sandbox.nyc_open_data.out_of_date = False

    third = desks.run("third")

    assert (first.rows, second.rows, third.rows, third.skipped) == (16, 0, 0, 1)


def test_an_overlap_that_grew_goes_back_no_further_than_rows_are_remembered(desks: Desks) -> None:
    """Behind that each row would come twice."""
    old = [row(number, "2026-11-01T08:00:00.000Z") for number in range(5)]
    desks.serve([*old, row(7), row(9, NOON)])
    first = desks.run("first")

    day, month = (desks.run(f"{days} days", overlap=days * 86_400.0) for days in (1, 31))

    assert (day.rows, day.skipped, day.since) == (0, 2, "2026-11-19T12:00:00.000Z")
    assert (month.rows, month.skipped, month.since) == (0, 2, "2026-11-19T11:00:00.000Z")
    assert first.may_repeat == 0


def test_the_newest_rows_are_remembered_where_there_is_no_room_for_all(desks: Desks) -> None:
    """The others are behind the overlap, and none of them comes again."""
    hours = [f"2026-11-20T{11 - number // 3:02}:{number:02}:00.000Z" for number in range(24)]
    desks.serve([row(number, changed) for number, changed in enumerate(hours)])

    first, second = desks.run("first", most=6), desks.run("second", most=6)
    wide = desks.run("wide", most=6, overlap=86_400.0)

    assert (first.may_repeat, second.rows, second.skipped) == (0, 0, 6)
    assert (wide.rows, wide.skipped) == (0, 6)


def test_a_page_that_is_too_large_is_asked_for_in_halves(
    state: Redis, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Which is remembered; the next run does not begin with the large one again."""
    desks = made(state, sandbox, tmp_path, max_body=4096)
    rows = [{**row(number), "descriptor": "x" * 1024} for number in range(15)]
    desks.serve(rows)
    killed(desks, "wide", after=12)

    done = desks.run("wide")

    assert desks.versions(done.manifest) == once(*rows)
    asked = [parse_qs(each["query"]).get("$limit") for each in sandbox.control.journal(NAME)]
    assert (asked.count(["10"]), asked.count(["5"])) == (1, 1)
    assert done.files == 8


def test_a_row_that_is_too_large_by_itself_ends_the_import(
    state: Redis, sandbox: Sandbox, tmp_path: Path
) -> None:
    """There is nothing smaller to ask for."""
    desks = made(state, sandbox, tmp_path, max_body=4096)
    desks.serve([row(1), {**row(2), "descriptor": "x" * 5000}])

    with pytest.raises(ResponseTooLarge, match="more than 4096 bytes"):
        desks.run("vast")


def test_a_manifest_says_how_old_the_data_was_at_the_beginning_and_at_the_end(desks: Desks) -> None:
    """Also when the import began in another run."""
    rows = [row(number, NOON) for number in range(25)]
    desks.serve(rows)
    killed(desks, "long", after=12)
    desks.serve(rows)

    done = desks.run("long")

    first, last = json.loads(Path(str(done.manifest).removeprefix("file://")).read_text())[
        "truth_last_modified"
    ]
    assert parsedate_to_datetime(first) < parsedate_to_datetime(last)


def test_a_column_that_is_null_in_the_first_file_is_there_when_the_folder_is_read(desks: Desks) -> None:
    """All files have the columns that the API names, and the manifest says which."""
    dataset = pytest.importorskip("pyarrow.dataset")
    desks.serve([row(number) for number in range(10)] + [{**row(20), "agency": "HPD"}])

    done = desks.run("folder", kind="parquet")

    place = Path(done.place.removeprefix("file://"))
    table = dataset.dataset([str(place / name) for name in _named(done)]).to_table()
    assert table.column("agency").to_pylist() == [None] * 10 + ["HPD"]
    assert set(table.column_names) == set(json.loads((place / "manifest.json").read_text())["columns"])


def test_an_import_that_was_planned_while_another_ended_is_planned_anew(desks: Desks) -> None:
    """Or it would bring once more what the other one brought."""
    desks.serve([row(number, NOON) for number in range(25)])
    late = desks.job("late")
    plan = Driver(answer=lambda _: ResponseUnreadable()).run(late._planned())
    desks.run("first")

    with pytest.raises(CallInFlight):
        late.desk.enter(replace(plan, folder="late"))
    assert desks.run("late").rows == 0


def test_an_import_that_was_left_is_over_when_a_later_one_has_ended(desks: Desks) -> None:
    """Its chunks count for nothing: the later one brought the same rows, and more."""
    rows = [row(number, NOON) for number in range(25)]
    desks.serve(rows)
    killed(desks, "left", after=8)
    desks.state.delete(keys(NAME).imported("erm2-nwe9 calls") + ":by")  # as time does
    later = desks.run("later")

    left = desks.run("left")

    assert left.manifest is None
    assert desks.versions(later.manifest) == once(*rows)


def test_an_import_since_a_moment_stands_for_itself(desks: Desks) -> None:
    """It brings what was delivered before, and neither reads nor moves the watermark."""
    old, new = [row(number, "2026-11-20T03:00:00.000Z") for number in range(5)], [row(9, LATER)]
    desks.serve([*old, *new])
    first = desks.run("first")
    desks.serve([*old, *new, row(10, LATER)])

    alone = desks.run("alone", since=NOON)
    second = desks.run("second")

    assert desks.versions(alone.manifest) == once(*new, row(10, LATER))
    assert desks.versions(second.manifest) == once(row(10, LATER))
    assert first.watermark == LATER


def test_rows_beyond_what_is_remembered_come_again_and_are_told(desks: Desks) -> None:
    """Redis holds so many of them and no more; none is missing."""
    rows = [row(number, NOON) for number in range(25)]
    desks.serve(rows)

    first, second = desks.run("first", most=15), desks.run("second", most=15)

    assert (first.rows, first.may_repeat) == (25, 10)
    assert (second.rows, second.skipped) == (10, 15)


def test_a_turn_ends_between_two_pages_and_the_next_goes_on(desks: Desks) -> None:
    """Its slot is for others meanwhile; it costs no attempt."""
    rows = [row(number) for number in range(25)]
    desks.serve(rows)
    seconds = iter(range(0, 1000, 40))

    with pytest.raises(CallDeferred, match="goes on in its next turn"):
        desks.run("slow", turn=60.0, clock=lambda: float(next(seconds)))
    done = desks.run("slow")

    assert desks.versions(done.manifest) == once(*rows)


def test_a_turn_is_short_while_others_wait(desks: Desks) -> None:
    """But not so short that nothing but the count is asked for in it."""
    desks.serve([row(number) for number in range(45)])
    seconds = iter(range(1000))

    with pytest.raises(CallDeferred, match="goes on in its next turn"):
        desks.run("slow", turn=60.0, clock=lambda: float(next(seconds)), others=lambda: True)

    assert [each.done for each in desks.progress] == [0, 10]


def test_a_page_that_comes_again_ends_the_import(desks: Desks) -> None:
    """Or it would go on for ever at a server that does not compare ids."""
    page = [row(number) for number in range(10)]

    def same(request: Any) -> Answer:
        total = [{"total": "25", "newest": NOON}]
        return Answer(status=200, data=total if "count(*)" in request.params["$select"] else page)

    with pytest.raises(ResponseUnreadable, match="not behind the one before"):
        Driver(answer=same).run(desks.job("again").run())


def test_a_sink_that_takes_nothing_is_a_failure_that_may_pass(desks: Desks) -> None:
    """Told without what the storage said; the import goes on where it stopped."""
    rows = [row(number) for number in range(15)]
    desks.serve(rows)
    (desks.folder / "calls").write_text("in the way")

    with pytest.raises(SinkFailed, match=r"file://.*: (NotADirectory|FileExists)Error"):
        desks.run("refused")
    (desks.folder / "calls").unlink()

    assert desks.versions(desks.run("refused").manifest) == once(*rows)


def test_without_redis_nothing_is_written(desks: Desks) -> None:
    """The call waits as any other."""
    desks.serve([row(1)])
    away = replace(
        desks.job("away"), desk=Desk(connect("redis://127.0.0.1:1/0"), NAME, task_id="x", target="y")
    )

    with pytest.raises(StateUnavailable):
        performed(desks.pipeline, away.run())
    assert list(desks.folder.iterdir()) == []


def test_an_import_survives_a_redis_that_goes_away_and_comes_back(sandbox: Sandbox, tmp_path: Path) -> None:
    """Right before a chunk is to be remembered, whose file is there already; it is made again."""
    rows = [row(number, NOON) for number in range(25)]
    with EmbeddedValkey(appendfsync="always") as server, server.client() as client:
        desks = made(client, sandbox, tmp_path)
        desks.serve(rows)
        job = desks.job("cut off")

        def cut(files: Files) -> Files:
            class Cutting(Files):
                """Takes the file, and Redis is gone."""

                def keep(
                    self, folder: str, number: int, rows: Sequence[Any], columns: Sequence[str] = ()
                ) -> str:
                    name = super().keep(folder, number, rows, columns)
                    if number == 2:
                        server.kill()
                    return name

            return Cutting(files._storage, files._sink, kind=files.kind)

        with pytest.raises(StateUnavailable):
            performed(desks.pipeline, replace(job, files=cut(job.files)).run())
        server.start()
        done = desks.run("cut off")

    assert desks.versions(done.manifest) == once(*rows)


def test_an_import_goes_to_a_bucket_as_it_goes_to_a_folder(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real S3 server; its credentials stand in the client's own environment."""
    boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=address)
        client.create_bucket(Bucket="imports")
        desks.serve([row(number) for number in range(15)])
        files = Files(Storage("s3://imports/city", {"endpoint_url": address}), "calls", kind="jsonl")
        done = performed(desks.pipeline, replace(desks.job("bucket"), files=files).run())
        found = client.list_objects_v2(Bucket="imports")["Contents"]
        manifest = next(each["Key"] for each in found if each["Key"].endswith("manifest.json"))
        named = json.loads(client.get_object(Bucket="imports", Key=manifest)["Body"].read())
        client.close()
    finally:
        server.stop()

    assert done.manifest == f"s3://imports/{manifest}"
    folder = manifest.removesuffix("manifest.json")
    assert {each["Key"] for each in found} == {manifest, *(folder + each["name"] for each in named["files"])}
    assert sum(each["rows"] for each in named["files"]) == 15


def test_parquet_holds_the_same_rows_as_text(desks: Desks) -> None:
    """A location, which is an object, stands there as JSON."""
    parquet = pytest.importorskip("pyarrow.parquet")
    place = {"latitude": "40.8", "longitude": "-73.9"}
    desks.serve([row(1), {**row(2), "location": place}])

    done = desks.run("columns", kind="parquet")

    (name,) = _named(done)
    table = parquet.read_table(Path(done.place.removeprefix("file://")) / name).to_pylist()
    assert [each["unique_key"] for each in table] == ["1", "2"]
    assert [each["location"] and json.loads(each["location"]) for each in table] == [None, place]


def test_what_cannot_be_written_here_is_said_before_anything_is_asked(desks: Desks) -> None:
    """A worker without pyarrow names what to install."""
    files = Files(Storage(f"file://{desks.folder}"), "calls", kind="parquet", has=lambda _: None)

    with pytest.raises(ConfigurationError, match=r"install narrows\[parquet\]"):
        performed(desks.pipeline, replace(desks.job("bare"), files=files).run())
    assert desks.sandbox.control.counts(NAME)["count"] == 0
