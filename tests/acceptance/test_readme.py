"""README.md, followed to the letter: its blocks run in a copy of the checkout.

Nothing is installed and no host is asked: the copy's ``.venv`` hands over to the Python that runs the tests,
and the providers' addresses lead to the sandbox. All else is as a newcomer has it: ``make demo`` and
``make up``, another terminal that reads the stack's file, a service that has our code and one that has not.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.sandbox import TOKEN, Sandbox
from tests.sandbox.settings import DOORS
from worker.stack.lifeline import Lifeline

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:^<!-- (run|file): (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {name: (kind, language, text) for kind, name, language, text in BLOCK.findall(README) if name}
PRINTED = "".join(text for _, _, language, text in BLOCK.findall(README) if language == "text")

COPIED = ("config", "worker", "tasks", "tests", "requirements", "Makefile", "pyproject.toml")
CHEAP = "tests/unit/test_bbl.py"
"""What ``make test`` runs here; the whole of it would run this very test again."""

NOT_OURS = ("NARROWS_", "MAKE", "MFLAGS", "PYTEST_")
"""Of the run that we are part of: an outer make's variables would even go before those set here."""


class Newcomer:
    """Somebody who types what the README says, in a checkout of their own."""

    def __init__(self, place: Path, sandbox: Sandbox) -> None:
        self.place = place
        self._lifeline = Lifeline()
        self._stack: subprocess.Popen[str] | None = None
        self._demo: subprocess.Popen[str] | None = None
        self._file = ""
        prefix = f"{place / '.venv' / 'bin'}{os.pathsep}"
        mine = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
        self._env = {
            **mine,
            "PATH": prefix + os.environ.get("PATH", os.defpath),
            "NARROWS_PROVIDERS__NYC_OPEN_DATA__BASE_URL": sandbox.base_url("nyc_open_data"),
            "NARROWS_PROVIDERS__NYC311__BASE_URL": sandbox.base_url("nyc311"),
            "NARROWS_PROVIDERS__NYC311__API_KEY": TOKEN,
            "NARROWS_PROVIDERS__LIBRARY__BASE_URL": sandbox.base_url("stub"),
            "TESTS": CHEAP,
        }

    def clone(self) -> None:
        """Have the checkout, with the README's provider in it, and a ``.venv`` that is up to date."""
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.place / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, self.place / name)
        for name, (kind, _, text) in BLOCKS.items():
            if kind == "file":
                (self.place / name).write_text(text, encoding="utf-8")
                with (self.place / "tasks" / "__init__.py").open("a", encoding="utf-8") as listed:
                    listed.write(f"\nfrom tasks import {Path(name).stem}  # noqa\n")
        self._environment()

    def start(self) -> None:
        """Begin ``make up`` and, beside it, ``make demo``: both take their time."""
        self._stack = self._begun("make up")
        self._demo = self._begun(BLOCKS["demo"][2])
        out: IO[str] | None = self._stack.stdout
        seen = ""
        for line in out or ():
            seen += line
            if found := re.search(r"set -a; \. (\S+); set \+a", line):
                self._file = found[1]
                return
        pytest.fail(f"make up ended: {seen}")

    def stop(self) -> None:
        """Ctrl-C."""
        for child in (self._demo, self._stack):
            if child is not None and child.poll() is None:
                os.killpg(child.pid, signal.SIGINT)
        for child in (self._demo, self._stack):
            if child is not None:
                child.communicate(timeout=30)
                self._lifeline.release(child.pid)
        self._lifeline.close()

    def run(self, name: str, *, elsewhere: Path | None = None, after: str = "", **variables: str) -> str:
        """What the block of that name prints, in a terminal that has read the stack's file.

        *variables* are set there beside the file's.
        """
        _, language, text = BLOCKS[name]
        program = f'exec "{sys.executable}" -' if language == "python" else "exec sh -e"
        done: subprocess.CompletedProcess[str] = subprocess.run(
            ["/bin/sh", "-e", "-c", f'set -a; . "{self._file}"; set +a; {program}'],
            input=text + after,
            cwd=elsewhere or self.place,
            env={**self._env, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shown(self) -> str:
        """What ``make demo`` printed, once it has ended well."""
        assert self._demo is not None
        out: str = self._demo.communicate(timeout=120)[0]
        assert self._demo.returncode == 0, out
        return out

    def _begun(self, command: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            ["/bin/sh", "-e", "-c", command],
            cwd=self.place,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lifeline.hold(child.pid)
        return child

    def _environment(self) -> None:
        """``.venv`` as make leaves it, but for the installing."""
        tools = self.place / ".venv" / "bin"
        tools.mkdir(parents=True)
        command = f'exec "{sys.executable}" -c "from worker.cli import main; main()" "$@"'
        for name, line in {"narrows": command, "python": f'exec "{sys.executable}" "$@"'}.items():
            (tools / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
            (tools / name).chmod(0o755)
        for stamp in (".locked", ".installed"):
            (tools.parent / stamp).touch()


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Everything set up, ``make up`` and ``make demo`` running."""
    with Sandbox() as sandbox:
        one = Newcomer(tmp_path_factory.mktemp("checkout"), sandbox)
        one.clone()
        try:
            one.start()
            yield one
        finally:
            one.stop()


def test_every_block_that_can_be_run_is_run() -> None:
    """A block of Python or shell without a mark would be one that nobody tries."""
    unmarked = [
        text for kind, _, language, text in BLOCK.findall(README) if language in {"sh", "python"} and not kind
    ]

    assert unmarked == []
    assert set(BLOCKS) == {
        "demo", "tests", "service", "many", "submit", "stranger", "tasks/library.py", "library", "operate",
    }  # fmt: skip


def test_a_service_with_our_code_gets_what_the_readme_prints(newcomer: Newcomer) -> None:
    """The first answer is a live one; the block handles every error that it names."""
    shown = newcomer.run("service")

    assert shown in PRINTED
    assert shown == "2 {'from': 'live', 'age': 0.0}\n"


def test_many_calls_at_once_are_enqueued_once(newcomer: Newcomer) -> None:
    """The block prints what the README says; run again, as after a crash, it enqueues nothing."""
    first, again = newcomer.run("many"), newcomer.run("many")

    assert first in PRINTED
    assert first.splitlines() == ["3 of 3 are new", "5 permits of the first"]
    assert again.splitlines() == ["0 of 3 are new", "5 permits of the first"]


def test_what_is_submitted_twice_under_one_key_is_one_submission(newcomer: Newcomer) -> None:
    """The block prints what the README says; run again, it is the same submission still."""
    assert newcomer.run("submit") == newcomer.run("submit") == "accepted DOT True\n"


def test_a_service_without_our_code_needs_none_of_it(newcomer: Newcomer, tmp_path: Path) -> None:
    """A plain Celery app, in a folder where there is nothing else."""
    check = "\nimport sys\nassert not {'config', 'tasks', 'worker'} & set(sys.modules)\n"

    shown = newcomer.run("stranger", elsewhere=tmp_path, after=check)

    assert re.fullmatch(r"\{'from': '(live|cache)', 'age': [\d.e-]+\}\n", shown)


def test_the_provider_in_one_file_is_served(newcomer: Newcomer) -> None:
    """By workers that know it from its line in tasks, through a queue of its own."""
    assert newcomer.run("library") == "{'ok': True}\n"


def test_the_commands_for_operators_show_what_was_done(newcomer: Newcomer) -> None:
    """All in their order, on the stack that runs, and on a call that it has made."""
    *_, task_id = newcomer.run("service", after="\nprint(call.id)\n").splitlines()

    shown = newcomer.run("operate", TASK_ID=task_id)

    assert "0 failed" in shown
    assert re.search(r"library +closed", shown)
    assert "finished · SUCCESS" in shown
    assert "nyc_open_data: was closed, is open, probes in 10 m" in shown
    assert "nyc_open_data: was open, probes in" in shown
    assert re.search(r"nyc_open_data: \d+ answers forgotten", shown)


def test_make_test_runs_the_tests(newcomer: Newcomer) -> None:
    """Here a few of them."""
    assert re.search(r"\d+ passed in", newcomer.run("tests"))


def test_make_demo_shows_what_the_readme_says(newcomer: Newcomer) -> None:
    """Its acts by their titles, an answer of every provider, and the counts of the first building."""
    shown = newcomer.shown()

    titles = re.findall(r"^\d\. .+$", PRINTED, re.MULTILINE)
    assert len(titles) == 8
    assert [title for title in titles if title not in shown] == []
    assert [name for name in DOORS if not re.search(rf"^{name} +\w+\(.*\) +\S", shown, re.MULTILINE)] == []
    assert re.search(r"1012650001 +30 Rockefeller Plaza +8 +2 +\d+ +5 +live", shown)
    assert "12 of 12 waiting calls answered" in shown
