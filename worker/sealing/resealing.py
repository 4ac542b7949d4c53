"""Everything in the state Redis that is sealed with an older key, or lies in clear, sealed with the newest.

Each thing is compared and set, so that calls which move meanwhile are not harmed, and who is killed half-way
begins again with what is left.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from worker.errors import NarrowsError
from worker.redaction import excerpt
from worker.scripts import script
from worker.sealing.body import sealed_body
from worker.sealing.places import Places
from worker.sealing.sealer import is_sealed, key_ids

if TYPE_CHECKING:
    from redis import Redis

    from worker.sealing.places import Entry, Letters, Record
    from worker.sealing.sealer import Sealer

__all__ = ["CLEAR", "Census", "Resealing"]

CLEAR = ""
"""Stands for a key's id where there is none: arguments of a sealed task that lie in clear."""

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, NarrowsError)
"""What is raised by a document of another shape: somebody else's, which stays as it is."""

_MOST_PASSES = 5

Census = Mapping[str, Counter[str]]
"""For ``records``, ``letters`` and ``audit`` how many there are under each key's id."""

_KINDS = ("records", "letters", "audit")


def _unheard(done: int) -> None:
    """Nothing."""


class Resealing:
    """Counts and seals anew what lies at one provider.

    Args:
        tasks: The application's tasks by name.
        advance: Hears how many things were looked at just now.
    """

    def __init__(
        self,
        redis: Redis,
        sealer: Sealer,
        provider: str,
        *,
        tasks: Mapping[str, Any],
        advance: Callable[[int], None] = _unheard,
    ) -> None:
        self._redis, self._sealer, self._tasks, self._advance = redis, sealer, tasks, advance
        self._places = Places(redis, provider)

    @property
    def size(self) -> int:
        """How many things there are to look at, about."""
        return self._places.size()

    def census(self) -> Census:
        """What there is, under which key."""
        found: dict[str, Counter[str]] = {kind: Counter() for kind in _KINDS}
        for records in self._places.records():
            for record in records:
                found["records"].update(self._ids(record.message, self._called))
            self._advance(len(records))
        for letters in self._places.letters():
            for raw in letters.raws:
                found["letters"].update(self._ids(raw, _lettered))
            self._advance(len(letters.raws))
        for entries in self._places.audit():
            for entry in entries:
                ids = (self._ids(value, _lettered) for value in entry.fields.values())
                found["audit"].update(set().union(*ids))
            self._advance(len(entries))
        return found

    def rotate(self) -> int:
        """How many things were sealed anew. Walks until a walk finds none, for calls go on meanwhile."""
        done = 0
        for _ in range(_MOST_PASSES):
            sealed = self._pass()
            done += sealed
            if not sealed:
                break
        return done

    def _pass(self) -> int:
        done = 0
        for records in self._places.records():
            done += self._set_records(records)
            self._advance(len(records))
        for letters in self._places.letters():
            done += self._set_letters(letters)
            self._advance(len(letters.raws))
        for entries in self._places.audit():
            done += self._set_entries(entries)
            self._advance(len(entries))
        return done

    def _set_records(self, records: list[Record]) -> int:
        names: list[str] = []
        args: list[Any] = []
        for record in records:
            if (new := self._anew(record.message, self._message)) != record.message:
                names.append(record.key)
                args += [hashlib.sha1(record.message, usedforsecurity=False).hexdigest(), new]
        return int(script("reseal")(self._redis, names, args)) if names else 0

    def _set_letters(self, letters: Letters) -> int:
        pairs = [(raw, self._anew(raw, self._letter)) for raw in letters.raws]
        changed = [text for old, new in pairs if old != new for text in (old, new)]
        if not changed:
            return 0
        args = [letters.last, *changed]
        return int(script("reseal_letters")(self._redis, [self._places.keys.dlq], args))

    def _set_entries(self, entries: list[Entry]) -> int:
        args: list[Any] = []
        for entry in entries:
            new = {name: self._anew(value, self._letter) for name, value in entry.fields.items()}
            if new != entry.fields:
                flat = [text for pair in new.items() for text in pair]
                args += [entry.id, len(flat), *flat]
        return int(script("reseal_audit")(self._redis, [self._places.keys.audit], args)) if args else 0

    def _anew(self, raw: bytes, seal: Callable[[Any], Any]) -> bytes:
        """*raw* under the newest key, all of it that can be read and opened."""
        text = _text(raw)
        if self._sealer.patterns:
            text = _rewritten(text, seal)
        return self._sealer.resealed(text).encode(errors="surrogateescape")

    def _message(self, document: Any) -> Any:
        """A record's message, with nothing of it in clear."""
        headers, properties, body, options = document
        sealed = sealed_body(self._sealer, self._tasks, headers["task"], body)
        return [headers, properties, list(sealed), options]

    def _letter(self, letter: Any) -> Any:
        """A dead letter or what the audit stream keeps of one, the arguments sealed."""
        task, args, kwargs = _lettered(letter)
        if not self._operates(task) or not isinstance(args, list) or not isinstance(kwargs, dict):
            return letter
        args, kwargs = self._sealer.seal(task, args, kwargs)
        sealed = {**letter, "args": args, "kwargs": kwargs}
        if "payload_excerpt" in letter and is_sealed(args):
            sealed["payload_excerpt"] = excerpt(self._tasks[task].operation, args, kwargs)
        return sealed

    def _operates(self, name: str) -> bool:
        return bool(getattr(self._tasks.get(name), "guarded", False))

    def _ids(self, raw: bytes, read: Callable[[Any], tuple[Any, Any, Any]]) -> set[str]:
        """The keys that the arguments in *raw* are sealed with."""
        text = _text(raw)
        found = set(key_ids(text))
        if found or not self._sealer.patterns:
            return found
        try:
            name, args, kwargs = read(json.loads(text))
        except UNREADABLE:
            return found
        clear = (args or kwargs) and self._operates(name) and self._sealer.seals(name) and not is_sealed(args)
        return {CLEAR} if clear else found

    @staticmethod
    def _called(document: Any) -> tuple[Any, Any, Any]:
        headers, _, (args, kwargs, *_), _ = document
        return headers["task"], args, kwargs


def _lettered(letter: Any) -> tuple[Any, Any, Any]:
    return letter["task"], letter["args"], letter["kwargs"]


def _rewritten(text: str, seal: Callable[[Any], Any]) -> str:
    """The JSON in *text* as *seal* makes it; *text* when it cannot be read, opened, or is so already."""
    try:
        document = json.loads(text)
        sealed = seal(document)
    except UNREADABLE:
        return text
    return text if sealed == document else json.dumps(sealed, separators=(",", ":"))


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
