"""Arguments sealed where a call is enqueued, and opened where it runs: who reads Redis reads nothing of them.

A sealed call has one argument, ``{"narrows_sealed": "<key id>.<token>"}``. The token is a Fernet token
(https://github.com/fernet/spec/blob/master/Spec.md) around the JSON object ``{"task", "args", "kwargs"}``;
the task's name is in it so that nobody moves it to another task. The key's id is a digest of it, so a key
is found without trying. Who seals nothing pays for a look at one argument; cryptography loads at first use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from worker.errors import ConfigurationError, SealBroken
from worker.keys import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.fernet import Fernet

    from config.settings import Settings

__all__ = ["MARK", "Sealer", "chosen_sealer", "is_sealed", "key_ids"]

MARK = "narrows_sealed"

_TOKEN = re.compile(r"\b([0-9a-f]{12})\.(gAAAAA[\w=-]+)", re.ASCII)
"""A token with its key's id, however often the text around it was quoted. Each begins with the version byte
0x80 and the upper half of its time."""


def is_sealed(args: object) -> bool:
    """Whether *args* are sealed, or the last of them: Celery puts a result before the next step's own."""
    if not isinstance(args, list | tuple) or not args:
        return False
    last = args[-1]
    return isinstance(last, dict) and len(last) == 1 and isinstance(last.get(MARK), str)


def key_ids(text: str) -> list[str]:
    """The key of each token in *text*, by its id."""
    return [found[1] for found in _TOKEN.finditer(text)]


def chosen_sealer(settings: Settings) -> Sealer:
    """What seals and opens as *settings* say.

    Raises:
        ConfigurationError: A setting names a task that there is not; with the nearest that there is.
    """
    if settings.sealed_tasks:
        _check(settings.sealed_tasks)
    return Sealer((key.get_secret_value() for key in settings.sealing_keys), settings.sealed_tasks)


def _check(patterns: Sequence[str]) -> None:
    from config.environment import nearest
    from worker.application import app

    known = [name for name, task in app.tasks.items() if getattr(task, "guarded", False)]
    every = [*known, *sorted({f"{name.partition('.')[0]}.*" for name in known})]
    strange = [
        f"{one!r} is no provider's task{nearest(one, every)}"
        for one in patterns
        if not any(fnmatchcase(name, one) for name in known)
    ]
    if strange:
        raise ConfigurationError("NARROWS_SEALED_TASKS: " + "; ".join(strange))


class Sealer:
    """Seals and opens the arguments of the deployment's chosen tasks.

    Args:
        keys: Newest first, which seals; the others only open.
        patterns: Names of operations whose arguments are sealed, ``provider.*`` or ``*``.

    Attributes:
        newest: The id of the key that seals; "" when there is none.
    """

    __slots__ = ("_chosen", "_fernets", "_keys", "newest", "patterns")

    def __init__(self, keys: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        self._keys = {digest(key): key for key in keys}
        self.newest = next(iter(self._keys), "")
        self.patterns = tuple(patterns)
        if self.patterns and not self._keys:
            raise ConfigurationError("sealed tasks need a key: `narrows seal key` makes one")
        self._chosen: dict[str, bool] = {}
        self._fernets: dict[str, Fernet] = {}

    def seals(self, task_name: str) -> bool:
        """Whether the arguments of the operation of that name are sealed."""
        if not self.patterns:
            return False
        chosen = self._chosen.get(task_name)
        if chosen is None:
            chosen = any(fnmatchcase(task_name, pattern) for pattern in self.patterns)
            self._chosen[task_name] = chosen
        return chosen

    def seal(
        self, task_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as they may lie in Redis; those of other tasks as they are."""
        if not self.seals(task_name) or not (args or kwargs) or _is_whole(args, kwargs):
            return list(args), dict(kwargs)
        args, kwargs = self.open(task_name, args, kwargs)
        from kombu.utils.json import dumps

        inside = {"task": task_name, "args": args, "kwargs": kwargs}
        token = self._fernet(self.newest).encrypt(dumps(inside, separators=(",", ":")).encode()).decode()
        return [{MARK: f"{self.newest}.{token}"}], {}

    def open(
        self, task_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments in clear; as they are when they are not sealed.

        Raises:
            SealBroken: The key is not there, the token was changed, or it is another task's.
        """
        if not is_sealed(args):
            return list(args), dict(kwargs)
        *before, envelope = args
        inside, named = self._inside(task_name, envelope[MARK])
        return [*before, *inside], {**named, **kwargs}

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all keys, newest first."""
        return tuple(self._keys)

    def opens(self, key_id: str) -> bool:
        """Whether the key of that id is here."""
        return key_id in self._keys

    def resealed(self, text: str) -> str:
        """*text* with each token of an older key under the newest; those that cannot be opened stay."""
        return _TOKEN.sub(self._renewed, text)

    def _renewed(self, found: re.Match[str]) -> str:
        key_id, token = found.groups()
        if key_id == self.newest or key_id not in self._keys:
            return found[0]
        from cryptography.fernet import InvalidToken

        try:
            inside = self._fernet(key_id).decrypt(token)
        except InvalidToken:
            return found[0]
        return f"{self.newest}.{self._fernet(self.newest).encrypt(inside).decode()}"

    def _inside(self, task: str, sealed: str) -> tuple[list[Any], dict[str, Any]]:
        """Arguments by place and by name."""
        from cryptography.fernet import InvalidToken
        from kombu.utils.json import loads

        key_id, _, token = sealed.partition(".")
        if key_id not in self._keys:
            which = f"key {key_id}" if _is_id(key_id) else "a key"
            raise SealBroken(f"{task}: its arguments are sealed with {which}, which is not here")
        try:
            inside = loads(self._fernet(key_id).decrypt(token))
            args, kwargs = inside["args"], inside["kwargs"]
            fits = isinstance(args, list) and isinstance(kwargs, dict) and inside["task"] == task
        except (InvalidToken, ValueError, TypeError, KeyError):
            raise SealBroken(f"{task}: its sealed arguments were changed on their way") from None
        if not fits:
            raise SealBroken(f"{task}: its sealed arguments were meant for another task")
        return args, kwargs

    def _fernet(self, key_id: str) -> Fernet:
        found = self._fernets.get(key_id)
        if found is None:
            from cryptography.fernet import Fernet

            found = self._fernets[key_id] = Fernet(self._keys[key_id])
        return found


def _is_whole(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return is_sealed(args) and len(args) == 1 and not kwargs


def _is_id(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{12}", text) is not None
