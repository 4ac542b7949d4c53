"""A real RabbitMQ for tests, where one is installed: on free ports, with a name, data and cookie of its own.

Debian's wrapper wants to be root or rabbitmq; the script behind it runs for anybody. Erlang's port mapper is
started here too, on a port of its own and in the foreground, so that none is left behind.
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
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from worker.stack.embedded import HOST, free_port
from worker.stack.group import start_group
from worker.stack.lifeline import Lifeline

__all__ = ["Rabbit", "missing"]

_SERVERS = (Path("/usr/lib/rabbitmq/bin/rabbitmq-server"), Path("/usr/local/sbin/rabbitmq-server"))
_START_WITHIN = 90.0


def missing() -> str:
    """Why there is no RabbitMQ to test with; nothing when there is one."""
    if not any(map(Path.exists, _SERVERS)):
        return "rabbitmq-server is not installed; `apt-get install rabbitmq-server` brings it"
    return "" if shutil.which("epmd") else "epmd, which comes with Erlang, is not installed"


class Rabbit:
    """One server, which a :meth:`start` after a :meth:`kill` brings back with the same data.

    Args:
        tls: Files of its certificate, by ``cacertfile``, ``certfile`` and ``keyfile``; it speaks TLS, too.
    """

    def __init__(self, *, tls: Mapping[str, str] | None = None) -> None:
        self._tls = dict(tls or {})
        self._password, self._lifeline = secrets.token_hex(12), Lifeline()
        self.port, self._tls_port, self._dist, self._mapper_port = (free_port() for _ in range(4))
        self.directory = Path(tempfile.mkdtemp(prefix="narrows-rabbit-"))
        self._lifeline.remove(self.directory)
        self._mapper: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """The server, which takes connections."""
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and its port mapper, and remove its data."""
        self._reap(self._server, signal.SIGKILL)
        self._reap(self._mapper, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)
        self._lifeline.close()

    @property
    def url(self) -> str:
        """Its address, with a user who may do everything."""
        return f"amqp://narrows:{self._password}@{HOST}:{self.port}//"

    @property
    def tls_url(self) -> str:
        """The same where it speaks TLS."""
        return f"amqps://narrows:{self._password}@{HOST}:{self._tls_port}//"

    def start(self) -> None:
        """Run it until it takes connections."""
        if self._mapper is None:
            self._mapper = start_group(
                [str(shutil.which("epmd")), "-address", HOST, "-port", str(self._mapper_port)],
                cwd=self.directory,
                env=self._env,
            )
            self._lifeline.hold(self._mapper.pid)
            _wait(self._mapper_port, self._mapper, 10.0)
        (self.directory / "rabbitmq.conf").write_text(self._settings, encoding="utf-8")
        with (self.directory / "output.log").open("ab") as log:
            self._server = start_group([self._script], cwd=self.directory, env=self._env, output=log)
        self._lifeline.hold(self._server.pid)
        try:
            _wait(self.port, self._server, _START_WITHIN)
        except TimeoutError as late:
            words = (self.directory / "output.log").read_text(errors="replace")[-2000:]
            raise TimeoutError(f"RabbitMQ: {late}: {words}") from None

    def kill(self) -> None:
        """End it as a crash would; nobody listens on its port any more."""
        self._reap(self._server, signal.SIGKILL)
        deadline = time.monotonic() + 10.0
        while (
            _listens(self.port) and time.monotonic() < deadline
        ):  # the script is gone before what it started
            time.sleep(0.02)

    def freeze(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGCONT)

    @property
    def _script(self) -> str:
        return str(next(filter(Path.exists, _SERVERS)))

    @property
    def _env(self) -> dict[str, str]:
        here = self.directory
        return {
            "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "HOME": str(here),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": f"narrows{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(here / "none.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(here / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(here / "data"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_PID_FILE": str(here / "pid"),
        }

    @property
    def _settings(self) -> str:
        secured = f"listeners.ssl.1 = {HOST}:{self._tls_port}\n" if self._tls else ""
        secured += "".join(f"ssl_options.{name} = {path}\n" for name, path in self._tls.items())
        return f"""
listeners.tcp.1 = {HOST}:{self.port}
{secured}default_user = narrows
default_pass = {self._password}
loopback_users = none
disk_free_limit.absolute = 20MB
raft.wal_max_size_bytes = 33554432
"""

    def _reap(self, process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait()
        self._lifeline.release(process.pid)


def _wait(port: int, process: subprocess.Popen[bytes], within: float) -> None:
    """Return when somebody listens on *port*."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and process.poll() is None:
        if _listens(port):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}; exit code {process.poll()}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0
