"""What the documents tell people to type: the lines of their shell blocks, and commands in code spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCUMENTS", "PROGRAMS", "ROOT", "Told", "blocks", "spans"]

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md") if (ROOT / name).exists()),
    *sorted((ROOT / "docs").glob("*.md")),
]
SHELLS = ("sh", "console", "bash", "shell")
PROGRAMS = ("narrows", "celery", "make", "docker compose", "kubectl", "python -m")

_FENCE = re.compile(r"(?:^<!-- run: (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One command.

    Attributes:
        document: The name of its file.
        line: As it is typed: without prompt and comment, continued lines joined.
        mark: The mark of the block, where it has one: the README's are run by ``test_readme.py``.
    """

    document: str
    line: str
    mark: str = ""


def blocks(path: Path) -> Iterator[Told]:
    """Each line of the shell blocks; of ``console`` blocks those behind a prompt."""
    for mark, language, text in _FENCE.findall(path.read_text(encoding="utf-8")):
        if language not in SHELLS:
            continue
        lines = text.replace("\\\n", " ").splitlines()
        if language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in lines:
            if typed := " ".join(re.sub(r"(?:^|\s)#\s.*$", "", line).split()):
                yield Told(document=path.name, line=typed, mark=mark)


def spans(path: Path) -> Iterator[Told]:
    """Each code span that begins with one of :data:`PROGRAMS` and says more than its name."""
    for span in _SPAN.findall(_FENCE.sub("", path.read_text(encoding="utf-8"))):
        if span.startswith(tuple(f"{program} " for program in PROGRAMS)):
            yield Told(document=path.name, line=" ".join(span.split()))
