"""A deployment in which every command of the documents has something to do, and their open words."""

from __future__ import annotations

import io
import itertools
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tasks import send_email
from tests.command_lines import narrows
from tests.fleet import Ground, until
from tests.integration.deployment import NAME, letter
from worker import find_submission
from worker.cli.root import run
from worker.engine import engine
from worker.keys import keys
from worker.submissions.suppressed import Suppressed

__all__ = ["Scene", "completed", "typed"]

MAILS = "sendgrid"
"""Its doubts are for a person, at once: it cannot be asked."""

NAMES = ("narrows submission show", "narrows dlq replay unroutable")
"""What names its command, though its parser would take it so: it says itself what it lacks."""

RECIPIENT = "ada@example.org"
SILENT = "bob@example.org"
"""Who does not want to be written to."""

EVERY = ("upstream_error", "upstream_rejected", "validation_error", "sealed")
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where commands are typed.

    Args:
        ground: Whose servers and sandbox.
        call: The id of a call that is known.
        folder: For whatever is written to files.
    """

    ground: Ground
    call: str
    folder: Path

    def words(self, line: str) -> Mapping[str, str]:
        """What stands for the words in capitals of that line, with everything that they speak of in place."""
        provider, found = NAME, {"TASK_ID": self.call, "TRACE": "0af7651916cd43dd", "OPERATION": "send_email"}
        command = line.split()[1:2]
        if command == ["dlq"]:
            found["ID"] = self._buried()
        elif command == ["submission"]:
            provider = MAILS
            found |= self._submitted(doubted="resolve" in line)
        elif command == ["suppression"]:
            provider = MAILS
            Suppressed(engine().state, keys(MAILS)).add(SILENT, now=time.time())
        else:
            found["ID"] = self.call
        found |= {"PROVIDER": provider, "RECIPIENT": SILENT, "s3://bucket/prefix": f"file://{self.folder}"}
        return found

    def _buried(self) -> str:
        """The first of some dead letters, one for each code that commands speak of."""
        names = [f"letter-{next(_numbers)}" for _ in EVERY]
        engine().state.delete(keys(NAME).dlq)
        for name, code in zip(names, EVERY, strict=True):
            status = 401 if code == "upstream_rejected" else 500
            raw = letter(name, code=code, status=status, kwargs={}).as_json()
            engine().state.rpush(keys(NAME).dlq, raw)
        return names[0]

    def _submitted(self, *, doubted: bool) -> Mapping[str, str]:
        """A mail that was taken, or of which nobody knows."""
        key = f"key-{next(_numbers)}"
        if doubted:
            self.ground.sandbox.control.fault(MAILS, mode="truncate", method="POST", times=1)
        sent = send_email.delay(RECIPIENT, "Hello", "A word.", idempotency_key=key)
        wanted = "in_doubt" if doubted else "accepted"
        known: Any = until(lambda: _found(sent.id, wanted), 20.0)
        if doubted:
            until(lambda: engine().state.llen(keys(MAILS).dlq), 20.0)
        number = str(known.get("external_id") or "number-1")
        return {"ID": sent.id, "KEY": key, "NUMBER": number, "…": number}


def _found(submission_id: str, state: str) -> Any:
    known: Any = find_submission(submission_id, MAILS)
    raw = engine().state.zscore(f"{keys(MAILS).submissions}:{state}", submission_id)
    return known if raw is not None else None


def completed(line: str, words: Mapping[str, str]) -> list[str]:
    """The arguments of *line*, its open words filled in; ``--help`` behind a mere name."""
    given = [words.get(word, word) for word in line.replace("<", "").replace(">", "").split()[1:]]
    return given if line not in NAMES and _is_whole(given) else [*given, "--help"]


def _is_whole(given: list[str]) -> bool:
    """Whether the command has all that it wants."""
    command = narrows()
    rest = list(given)
    while inner := getattr(command, "commands", None):
        if not rest or rest[0] not in inner:
            return False
        command = inner[rest.pop(0)]
    try:
        command.make_context("narrows", rest, resilient_parsing=False)
    except (click.UsageError, SystemExit):
        return False
    except Exception as wrong:  # noqa: BLE001 - typer may have a click of its own
        return "Missing" not in str(wrong) and type(wrong).__name__ not in {
            "MissingParameter",
            "NoArgsIsHelpError",
        }
    return True


def typed(given: list[str]) -> int:
    """The exit code of the command, run here, by somebody who says yes to whatever it asks."""
    with _saying("y\n" * 9):
        return run(given)


@contextmanager
def _saying(words: str) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.StringIO(words)
    try:
        yield
    finally:
        sys.stdin = before
