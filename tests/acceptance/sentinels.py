"""A Valkey with replicas, and Sentinels that say which of them is the primary: real servers on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from redis import Redis, RedisError
from redis.sentinel import Sentinel

from tests.fleet import Ground, until
from worker.stack.embedded import HOST, EmbeddedValkey, _binary, free_port
from worker.stack.group import start_group

__all__ = ["PRIMARY", "Node", "SentinelGround"]

PRIMARY = "harbour"
DOWN_AFTER = 2.0
"""Seconds of silence after which a Sentinel takes a server for gone."""


class Node(EmbeddedValkey):
    """One of the servers; it writes only while another one follows it."""

    def __init__(self, password: str, follows: int = 0) -> None:
        super().__init__(appendfsync="everysec")
        self._password, self.follows = password, follows

    def pause(self) -> None:
        """Let it hang, as a machine does that swaps."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _settings(self, port: int) -> str:
        follows = f"replicaof {HOST} {self.follows}\n" if self.follows else ""
        more = f"masterauth {self._password}\nmin-replicas-to-write 1\nmin-replicas-max-lag 10\n"
        return f"{super()._settings(port)}{more}repl-diskless-sync-delay 0\n{follows}"


class SentinelGround(Ground):
    """A ground whose lasting Redis is three servers, found by way of three Sentinels."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._password, self._own = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        self.valkey = Node(self._password)
        self.nodes = [self.valkey]
        self._directory = Path(tempfile.mkdtemp(prefix="narrows-sentinel-"))
        self._sentinels: list[tuple[int, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        """Start the servers, then their Sentinels, then the rest."""
        try:
            self.valkey.start()
            for _ in range(2):
                self.nodes.append(replica := Node(self._password, follows=self.valkey.port))
                replica.start()
            self._sentinels = [self._watched_by(number) for number in range(3)]
            until(self._watched, 30.0)
            super().__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Stop everything."""
        for node in self.nodes:
            if node.pid:
                node.resume()
        try:
            super().__exit__(*error)  # clients part from their servers, which they find by the Sentinels
        finally:
            for _, process in self._sentinels:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for node in self.nodes:
                node.stop()
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def env(self) -> dict[str, str]:
        """The settings that lead here, by way of the Sentinels."""
        url = ";".join(f"sentinel://:{self._password}@{HOST}:{port}/0" for port, _ in self._sentinels)
        lasting = ("NARROWS_BROKER_URL", "NARROWS_STATE_URL", "NARROWS_RESULT_URL")
        account = {"NARROWS_SENTINEL__PRIMARY": PRIMARY, "NARROWS_SENTINEL__PASSWORD": self._own}
        return {**super().env, **dict.fromkeys(lasting, url), **account}

    def primary(self) -> Node:
        """The server that two of three Sentinels take for the primary, and that takes itself for it."""
        told = [self._told(port) for port, _ in self._sentinels]
        (node,) = [node for node in self.nodes if told.count(node.port) > 1]
        return node

    def client(self) -> Redis:
        """A client of the primary."""
        return self.primary().client()

    def replicas(self) -> int:
        """How many follow the primary just now."""
        with self.client() as client:
            return int(client.info("replication")["connected_slaves"])

    def _told(self, port: int) -> int:
        """The primary's port, as one Sentinel says."""
        with (
            suppress(RedisError),
            Redis(host=HOST, port=port, password=self._own, socket_timeout=2.0) as sentinel,
        ):
            return int(sentinel.sentinel_get_master_addr_by_name(PRIMARY)[1])
        return 0

    def _watched(self) -> bool:
        """Whether each Sentinel knows the other two and both replicas."""
        asked = Sentinel(
            [(HOST, port) for port, _ in self._sentinels],
            sentinel_kwargs={"password": self._own, "socket_timeout": 2.0},
        )
        try:
            told: list[Any] = [each.sentinel_masters() for each in asked.sentinels]
        except RedisError:
            return False
        finally:
            for each in asked.sentinels:
                each.close()
        known = [each[PRIMARY] for each in told]
        return all((it["num-slaves"], it["num-other-sentinels"]) == (2, 2) for it in known)

    def _watched_by(self, number: int) -> tuple[int, subprocess.Popen[bytes]]:
        folder = self._directory / str(number)
        folder.mkdir(mode=0o700)
        port = free_port()
        file = folder / "sentinel.conf"
        file.write_text(
            f"""
bind {HOST}
port {port}
dir "{folder}"
logfile "{folder / "sentinel.log"}"
requirepass {self._own}
sentinel sentinel-pass {self._own}
sentinel monitor {PRIMARY} {HOST} {self.valkey.port} 2
sentinel auth-pass {PRIMARY} {self._password}
sentinel down-after-milliseconds {PRIMARY} {round(DOWN_AFTER * 1000)}
sentinel failover-timeout {PRIMARY} 10000
sentinel parallel-syncs {PRIMARY} 2
"""
        )
        return port, start_group([str(_binary()), str(file), "--sentinel"], cwd=folder)
