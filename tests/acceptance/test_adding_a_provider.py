"""docs/adding_a_provider.md, followed to the letter: its provider is added in a checkout of its own.

The page's files are written where it says; its tests pass there, and a real worker that includes the one new
module answers by the page's player.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.sandbox import TOKEN, Player, Sandbox
from worker.auth import pieces as auth
from worker.provider import Verdict
from worker.stack.lifeline import Lifeline

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding_a_provider.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:^<!-- (run|file): (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {name: text for kind, name, _, text in BLOCK.findall(PAGE) if name}
FILES = {name: text for kind, name, _, text in BLOCK.findall(PAGE) if kind == "file"}
PRINTED = "".join(text for _, _, language, text in BLOCK.findall(PAGE) if language == "text")

COPIED = ("config", "worker", "tasks", "tests", "pyproject.toml")

KEY = {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}
ISBN = {"type": "string", "pattern": "^[0-9]{13}$"}
BOOK = {
    "type": "object",
    "required": ["isbn", "title"],
    "properties": {"isbn": ISBN, "title": {"type": "string"}, "pages": {"type": "integer"}},
}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"enum": ["no_such_book"]}, "message": {"type": "string"}},
}
HOLD = {
    "type": "object",
    "required": ["isbn", "card", "branch"],
    "properties": {"isbn": ISBN, "card": {"type": "string"}, "branch": {"type": "string"}},
}
HELD = {"type": "object", "required": ["hold"], "properties": {"hold": {"type": "integer"}}}


def content(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A body of that schema."""
    return {"content": {"application/json": {"schema": schema}}}


PUBLISHED = {
    "openapi": "3.0.3",
    "info": {"title": "City library", "version": "1"},
    "servers": [{"url": "https://api.library.example/v1"}],
    "components": {"securitySchemes": KEY},
    "security": [{"key": []}],
    "paths": {
        "/books": {
            "get": {
                "parameters": [{"name": "isbn", "in": "query", "required": True, "schema": ISBN}],
                "responses": {"200": {"description": "One", **content({"oneOf": [BOOK, ERROR]})}},
            }
        },
        "/holds": {
            "post": {
                "requestBody": {"required": True, **content(HOLD)},
                "responses": {"201": {"description": "Taken", **content(HELD)}},
            }
        },
    },
}
"""What the owner of this library would publish."""

RECORDED = {"isbn": "9780679722762", "title": "Ulysses", "pages": 933, "shelf": "J"}


class Newcomer:
    """Somebody who adds the page's provider to a checkout of their own."""

    def __init__(self, place: Path) -> None:
        self.place = place / "checkout"
        self._lifeline = Lifeline()
        self._worker: subprocess.Popen[bytes] | None = None
        mine = {
            name: value for name, value in os.environ.items() if not name.startswith(("NARROWS_", "PYTEST_"))
        }
        bin_ = Path(sys.executable).parent
        self.env = {**mine, "PATH": f"{bin_}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

    def clone(self) -> None:
        """Have the checkout with the page's files in it, and the owner's publications beside it."""
        self.place.mkdir()
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.place / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, self.place / name)
        for name, text in FILES.items():
            assert not (ROOT / name).exists(), f"{name} is a real one by now"
            (self.place / name).write_text(text, encoding="utf-8")
        shared = self.place.parent / "shared" / "contracts"
        (shared / "specs").mkdir(parents=True)
        (shared / "recorded" / "library").mkdir(parents=True)
        (shared / "specs" / "library-openapi.json").write_text(json.dumps(PUBLISHED), encoding="utf-8")
        (shared / "recorded" / "library" / "book.json").write_text(json.dumps(RECORDED), encoding="utf-8")

    def player(self) -> Player:
        """The page's own."""
        spec = importlib.util.spec_from_file_location(
            "played_library", self.place / "tests/sandbox/library.py"
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        player: Player = module.LibraryPlayer()
        return player

    def work(self) -> None:
        """Start the page's worker."""
        self._worker = subprocess.Popen(
            ["/bin/sh", "-e", "-c", BLOCKS["worker"]],
            cwd=self.place,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._lifeline.hold(self._worker.pid)

    def stop(self) -> None:
        """End the worker, if there is one."""
        if self._worker is not None:
            os.killpg(self._worker.pid, signal.SIGTERM)
            self._worker.wait(timeout=60)
            self._lifeline.release(self._worker.pid)
        self._lifeline.close()

    def run(self, *args: str, text: str = "") -> str:
        """What Python prints there."""
        done = subprocess.run(
            [sys.executable, *args],
            input=text,
            cwd=self.place,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """In a checkout to which the provider was added."""
    one = Newcomer(tmp_path_factory.mktemp("newcomer"))
    one.clone()
    try:
        yield one
    finally:
        one.stop()


def test_every_block_of_code_is_used() -> None:
    """A block without a mark would be one that nobody tries."""
    unmarked = [
        text for kind, _, language, text in BLOCK.findall(PAGE) if language in {"sh", "python"} and not kind
    ]

    assert unmarked == []
    assert set(BLOCKS) == {*FILES, "worker", "ask"}
    assert set(FILES) == {
        "tasks/library.py",
        "tests/sandbox/library.py",
        "tests/unit/test_library.py",
        "tests/contract/test_recorded_library.py",
    }


def test_the_page_tells_every_verdict() -> None:
    """In its table of them, and none besides."""
    rows = PAGE.partition("| verdict |")[2].partition("\n\n")[0].splitlines()

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1:2][0])} == set(
        get_args(Verdict)
    )


def test_the_page_tells_every_piece_of_auth() -> None:
    """By the names under which modules import them."""
    rows = PAGE.partition("| piece of auth |")[2].partition("\n\n")[0].splitlines()
    pieces = {name for name in auth.__all__ if name[0].isupper()} - {"TokenAuth", "TokenGrant"}

    assert {name for row in rows for name in re.findall(r"\| `(\w+)\(", row)} == pieces


def test_the_pages_code_keeps_our_laws(newcomer: Newcomer) -> None:
    """Form and lint, as ``make check`` asks."""
    ruff = str(Path(sys.executable).parent / "ruff")
    for command in (["format", "--check"], ["check", "--no-cache"]):
        done = subprocess.run(
            [ruff, *command, *FILES], cwd=newcomer.place, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_pages_tests_pass_and_are_counted(newcomer: Newcomer) -> None:
    """Ours, and those against what the owner publishes."""
    shown = newcomer.run(
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/unit/test_library.py",
        "tests/contract/test_recorded_library.py",
    )

    assert re.search(r"^9 passed", shown, re.MULTILINE), shown
    assert re.search(r"^library +2 +3 +1$", shown, re.MULTILINE), shown


def test_a_worker_that_includes_the_module_answers(newcomer: Newcomer, redis_url: str) -> None:
    """What the page prints; the hold reaches the library once, under its key."""
    player = newcomer.player()
    with Sandbox(players=[player]) as sandbox:
        roles = ("BROKER", "STATE", "RESULT", "CACHE")
        newcomer.env |= {f"NARROWS_{role}_URL": redis_url for role in roles}
        newcomer.env |= {
            "NARROWS_METRICS_PORT": "0",
            "NARROWS_PROVIDERS__LIBRARY__BASE_URL": sandbox.base_url("library"),
            "NARROWS_PROVIDERS__LIBRARY__API_KEY": TOKEN,
            "NARROWS_PROVIDERS__LIBRARY__OPTIONS__BRANCH": "main",
        }
        newcomer.work()

        shown = newcomer.run("-", text=BLOCKS["ask"])
        again = newcomer.run("-", text=BLOCKS["ask"])

    assert shown == again == PRINTED
    assert sandbox.control.counts("library")["count"] == 3
