"""Dead letters exported to real storage: a folder, and a real S3 server on loopback."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis, RedisError

from tests.fleet import until
from tests.integration.deployment import NAME, Deployment, letter
from worker.errors import ConfigurationError
from worker.keys import keys
from worker.lease import Lease
from worker.letters.exporting import Exporter, name_of, overdue
from worker.stack.embedded import EmbeddedValkey
from worker.storage import Storage, StorageFailed, chosen

SECRET = "hunter2-canary"
BUCKET = "letters"
HERE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server with a bucket."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()
    yield address
    server.stop()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual environment of S3 clients."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def here(redis_url: str) -> Deployment:
    """An empty deployment."""
    return Deployment(url=redis_url)


def bury(here: Deployment, count: int, **changed: Any) -> list[bytes]:
    """So many letters, as they lie in the list."""
    raws = [letter(f"letter-{number}", **changed).as_json().encode() for number in range(count)]
    here.engine.state.rpush(keys(NAME).dlq, *raws)
    return raws


def listed(here: Deployment) -> list[bytes]:
    """What lies in the list."""
    found: Any = here.engine.state.lrange(keys(NAME).dlq, 0, -1)
    return list(found)


def written(folder: Path) -> list[bytes]:
    """All lines of all objects, object by object."""
    return [
        line.rstrip(b"\n")
        for path in sorted(folder.rglob("*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    ]


def export(here: Deployment, storage: Storage, **how: Any) -> Any:
    """An export of all letters."""
    return Exporter(here.engine.state, NAME, storage=storage, by="ops", **how).run(lambda _: True)


def test_letters_leave_redis_for_objects_byte_for_byte(here: Deployment, tmp_path: Path) -> None:
    """In their order, what is sealed still sealed; the audit stream says who exported them."""
    sealed = letter("sealed", args=[{"narrows_sealed": "k1.token"}], kwargs={})
    here.bury(sealed)
    raws = [sealed.as_json().encode(), *bury(here, 20)]

    done = export(here, Storage(f"file://{tmp_path}"))

    assert (done.letters, done.removed, done.objects, done.end) == (21, 21, 1, "done")
    assert written(tmp_path) == raws
    assert listed(here) == []
    (entry,) = here.engine.dead_letters(NAME).audit()
    assert (entry.by, entry.action, len(entry.ids)) == ("ops", "export", 21)


def test_letters_reach_a_real_s3_server(here: Deployment, s3: str) -> None:
    """With credentials from the environment, and the server's address from the options."""
    import fsspec  # type: ignore[import-untyped]

    raws = bury(here, 3)
    storage = Storage(f"s3://{BUCKET}/ours", {"endpoint_url": s3})

    done = export(here, storage)

    assert done.removed == 3
    assert listed(here) == []
    files = fsspec.filesystem("s3", endpoint_url=s3, skip_instance_cache=True)
    (found,) = files.find(f"{BUCKET}/ours")
    assert found == f"{BUCKET}/ours/{name_of(NAME, raws)}"
    assert gzip.decompress(files.cat(found)).splitlines() == raws


def test_an_object_holds_five_thousand_letters_at_most(here: Deployment, tmp_path: Path) -> None:
    """All of them in one object or another, none in two."""
    raws = bury(here, 5_003)

    done = export(here, Storage(f"file://{tmp_path}"))

    assert (done.objects, done.letters, done.removed) == (2, 5_003, 5_003)
    assert sorted(written(tmp_path)) == sorted(raws)
    assert listed(here) == []


def test_only_letters_that_are_meant_leave(here: Deployment, tmp_path: Path) -> None:
    """The others keep their order."""
    kept = bury(here, 3, code="upstream_rejected")
    here.bury(*(letter(f"gone-{number}", code="exhausted") for number in range(3)))
    kept += bury(here, 2, code="in_doubt")

    exporter = Exporter(here.engine.state, NAME, storage=Storage(f"file://{tmp_path}"), by="ops")
    exporter.run(lambda letter: letter.get("code") == "exhausted")

    assert listed(here) == kept
    assert len(written(tmp_path)) == 3


def test_what_is_kept_stays_in_the_list_too(here: Deployment, tmp_path: Path) -> None:
    """And the next export writes the same object over."""
    raws = bury(here, 5)
    storage = Storage(f"file://{tmp_path}")

    done = [export(here, storage, keep=True) for _ in range(2)]

    assert [each.removed for each in done] == [0, 0]
    assert listed(here) == raws
    assert written(tmp_path) == raws


def test_what_is_no_letter_is_exported_whole(here: Deployment, tmp_path: Path) -> None:
    """Each line is JSON, whatever lay in the list."""
    here.engine.state.rpush(keys(NAME).dlq, b"not\njson \xff", b"[1]")

    export(here, Storage(f"file://{tmp_path}"))

    read = [json.loads(line) for line in written(tmp_path)]
    assert read == [{"unreadable": "bm90Cmpzb24g/w=="}, {"unreadable": "WzFd"}]
    assert listed(here) == []


def test_a_letter_that_leaves_meanwhile_is_told(here: Deployment, tmp_path: Path) -> None:
    """It is in the object, and whoever took it has it, too: that is no loss."""
    raws = bury(here, 4)

    class Slow(Storage):
        """While it writes, somebody else removes a letter."""

        def keep(self, name: str, content: bytes) -> str:
            here.engine.dead_letters(NAME).remove(raws[:1], by="other", action="discard")
            return super().keep(name, content)

    done = export(here, Slow(f"file://{tmp_path}"))

    assert (done.letters, done.removed) == (4, 3)
    assert listed(here) == []


def test_killed_at_any_line_an_export_loses_nothing_and_writes_over_its_own(
    redis_url: str, here: Deployment, tmp_path: Path
) -> None:
    """Every letter is in the list, or in a whole object; never is there more than one object of them."""
    ids = [json.loads(raw)["id"] for raw in bury(here, 7)]

    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.dying", redis_url, str(tmp_path)],
        cwd=HERE, capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip

    *killed, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(killed) > 60
    assert all(each["killed"] for each in killed)
    assert all({*each["listed"], *each["written"]} == {*ids} for each in killed)
    assert all(each["listed"] in ([], ids) for each in killed)
    assert any(each["listed"] and each["written"] for each in killed)
    assert (last["listed"], last["written"]) == ([], ids)
    assert len({name for each in [*killed, last] for name in each["objects"]}) == 1


def test_two_exports_at_once_are_one(here: Deployment, tmp_path: Path) -> None:
    """The second hears that it is busy, and touches nothing; a killed one's lease runs out."""
    raws = bury(here, 2)
    other = Lease(here.engine.state, keys(NAME).exporting, seconds=60.0)
    assert other.take()

    done = export(here, Storage(f"file://{tmp_path}"))

    assert (done.end, done.objects) == ("busy", 0)
    assert listed(here) == raws
    other.drop()
    assert export(here, Storage(f"file://{tmp_path}")).end == "done"


class Liar(BaseHTTPRequestHandler):
    """An S3 server that takes everything and gives back something else."""

    protocol_version = "HTTP/1.1"
    body = b"else"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(b"")

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.send_header("ETag", '"e"')
        self.end_headers()

    def do_GET(self) -> None:
        self._answer(self.body)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"e"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing."""


@pytest.fixture
def liar() -> Iterator[str]:
    """The address of one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Liar) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def test_an_object_that_reads_back_otherwise_confirms_nothing(here: Deployment, liar: str) -> None:
    """A storage that says yes and keeps something else costs no letter."""
    raws = bury(here, 2)
    storage = Storage(f"s3://{BUCKET}/p", {"endpoint_url": liar})

    with pytest.raises(StorageFailed, match="read back otherwise"):
        export(here, storage)

    assert listed(here) == raws


def refused(s3: str) -> Storage:  # noqa: ARG001 - as the others
    """Nobody listens there."""
    return Storage(f"s3://{BUCKET}/p", {"endpoint_url": "http://127.0.0.1:9"}, patience=8.0)


def no_bucket(s3: str) -> Storage:
    """There is no such bucket."""
    return Storage("s3://nowhere/p", {"endpoint_url": s3}, patience=8.0)


def bad_options(s3: str) -> Storage:
    """The storage does not take these."""
    return Storage(f"s3://{BUCKET}/p", {"endpoint_url": s3, "secrett": SECRET})


def no_folder(s3: str) -> Storage:  # noqa: ARG001 - as the others
    """No file can be made there."""
    return Storage("file:///proc/nowhere")


@pytest.mark.parametrize("made", [refused, no_bucket, bad_options, no_folder])
def test_a_storage_that_does_not_take_letters_is_told_without_secrets(
    here: Deployment, s3: str, made: Callable[[str], Storage]
) -> None:
    """Soon, and all of them are still there."""
    raws, started = bury(here, 2), time.monotonic()

    with pytest.raises(StorageFailed) as caught:
        export(here, made(s3))

    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert time.monotonic() - started < 20.0
    assert listed(here) == raws


def test_a_storage_that_never_answers_is_given_up(here: Deployment) -> None:
    """It takes the connection and says nothing."""
    raws, started = bury(here, 2), time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        storage = Storage(f"s3://{BUCKET}/p", {"endpoint_url": address}, patience=1.5)

        with pytest.raises(StorageFailed, match=r"no answer within 1\.5 s"):
            export(here, storage)

        assert time.monotonic() - started < 10.0
        assert listed(here) == raws
    until(lambda: all(thread.name != "storage" for thread in threading.enumerate()), 30.0)


def test_an_address_shows_no_password() -> None:
    """Neither in the repr nor in an error."""
    storage = Storage(f"carrier-pigeon://ops:{SECRET}@127.0.0.1:9/loft")

    with pytest.raises(StorageFailed) as caught:
        storage.keep("x", b"x")

    assert SECRET not in f"{storage!r} {caught.value}"


def test_settings_choose_the_storage() -> None:
    """An address by hand comes before; neither is none; nonsense is refused."""
    set_up = Deployment(url="redis://127.0.0.1:9/0", changed={"export_to": SecretStr("s3://a/b/")})
    plain = Deployment(url="redis://127.0.0.1:9/0").engine.settings

    assert chosen(plain) is None
    assert getattr(chosen(set_up.engine.settings), "place", "") == "s3://a/b"
    assert getattr(chosen(set_up.engine.settings, "file:///x"), "place", "") == "file:///x"
    with pytest.raises(ConfigurationError, match="must name a place"):
        chosen(plain, "nonsense")


def test_old_letters_are_overdue_and_exhausted_ones_after_a_day() -> None:
    """What says no time is never."""
    wanted = overdue(now=1_000_000.0, after=500_000.0)

    def failed(seconds: int, code: str = "upstream_error") -> dict[str, Any]:
        return {"code": code, "failed_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))}

    assert wanted(failed(499_999))
    assert not wanted(failed(500_001))
    assert wanted(failed(900_000, "exhausted"))
    assert not wanted(failed(950_000, "exhausted"))
    assert not wanted({"code": "exhausted"})


def test_a_submission_that_is_not_decided_is_never_overdue() -> None:
    """Its letter holds what would be sent; one that was refused may go."""
    wanted = overdue(now=1_000_000.0, after=10.0, submits=lambda task: task == "city.submit")
    old = {"failed_at": "1970-01-01T00:00:00Z"}

    assert not wanted({**old, "task": "city.submit", "code": "exhausted"})
    assert not wanted({**old, "task": "city.submit", "code": "upstream_error"})
    assert wanted({**old, "task": "city.submit", "code": "upstream_rejected"})
    assert wanted({**old, "task": "city.check", "code": "exhausted"})


def test_the_command_exports_what_is_asked_for(
    here: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By id and by filter; a rehearsal writes nothing and needs no storage."""
    raws = bury(here, 3)
    here.bury(letter("rejected", code="upstream_rejected"))

    assert here.narrows("dlq", "export", NAME, "--all", "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["letters"] == 4
    assert len(listed(here)) == 4
    to = f"file://{tmp_path}"
    assert here.narrows("dlq", "export", NAME, "--code", "upstream_rejected", "--to", to) == 0
    assert "1 dead letter in 1 object" in capsys.readouterr().out
    assert here.narrows("dlq", "export", NAME, "letter-1", "letter-9", "--to", to) == 1
    assert "no dead letter 'letter-9'" in capsys.readouterr().err
    assert here.narrows("dlq", "export", NAME, "letter-1", "--to", to, "--by", "ada") == 0
    assert listed(here) == [raws[0], raws[2]]
    assert here.engine.dead_letters(NAME).audit()[-1].by == "ada"


def test_the_command_says_what_is_wrong(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """No place, nonsense for one, and a place that refuses."""
    bury(here, 1)

    assert here.narrows("dlq", "export", NAME) == 2
    assert "--all" in capsys.readouterr().err
    assert here.narrows("dlq", "export", NAME, "--all") == 2
    assert "NARROWS_EXPORT_TO" in capsys.readouterr().err
    assert here.narrows("dlq", "export", NAME, "--all", "--to", "nonsense") == 2
    capsys.readouterr()
    assert here.narrows("dlq", "export", NAME, "--all", "--to", "file:///proc/nowhere") == 1
    assert "file:///proc/nowhere: " in capsys.readouterr().err
    assert len(listed(here)) == 1


def test_redis_gone_half_way_leaves_letters_that_are_exported_again(tmp_path: Path) -> None:
    """The object stands, the list too; the next export writes the object over."""
    with EmbeddedValkey(appendfsync="always") as valkey:
        own = Deployment(url=valkey.url)
        raws = bury(own, 3)

        class Fatal(Storage):
            """Redis goes away when the object is there."""

            def keep(self, name: str, content: bytes) -> str:
                where = super().keep(name, content)
                valkey.kill()
                return where

        with pytest.raises(RedisError):
            export(own, Fatal(f"file://{tmp_path}"))

        assert written(tmp_path) == raws
        valkey.start()
        with Redis.from_url(valkey.url) as again:
            again.delete(keys(NAME).exporting)
        assert export(own, Storage(f"file://{tmp_path}")).removed == 3
        assert written(tmp_path) == raws


def test_an_export_is_for_its_owner_alone(here: Deployment, tmp_path: Path) -> None:
    """Arguments may lie in it in clear: neither file nor folders that were made for it are for others."""
    bury(here, 1)

    export(here, Storage(f"file://{tmp_path}/exports/letters"))

    (path,) = tmp_path.rglob("*.jsonl.gz")
    modes = [each.stat().st_mode & 0o777 for each in (path, path.parent, *path.parents[1:3])]
    assert modes == [0o600, 0o700, 0o700, 0o700]


@pytest.mark.parametrize("address", ["memory://letters", "memory:///letters"])
def test_letters_are_not_exported_to_what_dies_with_us(address: str) -> None:
    """They would be read back, and gone from both places a moment later."""
    with pytest.raises(ValueError, match="outlives"):
        Storage(address)


def test_letters_in_doubt_stay_until_a_person_decides(here: Deployment, tmp_path: Path) -> None:
    """Neither beat nor a command for many takes them from who resolves them; one that names them does."""
    here.bury(letter("doubt", code="in_doubt"), letter("dead"))
    known = json.loads(letter("old", code="in_doubt", failed_at="1970-01-01T00:00:00Z").as_json())

    code = here.narrows("dlq", "export", NAME, "--all", "--to", f"file://{tmp_path}")
    left = [json.loads(raw)["id"] for raw in listed(here)]
    named = here.narrows("dlq", "export", NAME, "doubt", "--to", f"file://{tmp_path}")

    assert not overdue(now=time.time(), after=60.0)(known)
    assert (code, left) == (0, ["doubt"])
    assert (named, listed(here)) == (0, [])
