"""Real Prometheus and Alertmanager for tests, where they are installed, with our own configuration of them.

What is changed in it: addresses, since there is no compose network here, and times, since nobody waits five
minutes for a test. Both listen on loopback, write into a directory of their own, and end with us.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from ruamel.yaml import YAML

from worker.stack.embedded import HOST, free_port
from worker.stack.group import start_group
from worker.stack.lifeline import Lifeline

__all__ = ["CONFIG", "Alertmanager", "Pager", "Prometheus", "missing", "read", "shortened", "tool"]

CONFIG = Path(__file__).resolve().parents[1] / "config"
READY_WITHIN = 60.0


def tool(name: str) -> str:
    """Where the program *name* is; Debian puts its own prefix before some. Empty when it is not there."""
    return shutil.which(name) or shutil.which(f"prometheus-{name}") or ""


def missing(*names: str) -> str:
    """Why there is no monitoring to test with; nothing when there is."""
    lacking = [name for name in names if not tool(name)]
    return f"not installed: {', '.join(lacking)}; Debian has prometheus and prometheus-alertmanager" * bool(
        lacking
    )


def read(path: Path) -> Any:
    """The YAML in *path*, as plain data."""
    return YAML(typ="safe", pure=True).load(path)


def shortened(rules: str) -> str:
    """The rules with a second for every minute, and a minute for every hour."""
    shorter = re.sub(r"(\[|offset |for: )(\d+)m", r"\1\2s", rules)
    return re.sub(r"(offset |for: )(\d+)h", r"\1\2m", shorter)


class Server(ABC):
    """One of the two, from ``with`` to its end."""

    def __init__(self, program: str) -> None:
        self.program, self.port = program, free_port()
        self.directory = Path(tempfile.mkdtemp(prefix=f"narrows-{program}-"))
        self._lifeline = Lifeline()
        self._lifeline.remove(self.directory)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    @abstractmethod
    def configured(self) -> Sequence[str]:
        """Write what it reads; the arguments that it is started with."""

    def __enter__(self) -> Self:
        """It, ready."""
        try:
            command = [tool(self.program), *self.configured()]
            with (self.directory / "log").open("wb") as log:
                self._process = start_group(command, cwd=self.directory, output=log)
            self._lifeline.hold(self._process.pid)
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and remove what it wrote."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._lifeline.release(self._process.pid)
        shutil.rmtree(self.directory, ignore_errors=True)
        self._lifeline.close()

    def ask(self, path: str, **parameters: str | float) -> Any:
        """What it answers, as JSON."""
        with urlopen(f"{self.url}{path}?{urlencode(parameters)}", timeout=20) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not self._is_ready():
            words = (self.directory / "log").read_text(errors="replace")[-2000:]
            assert self._process is not None
            assert self._process.poll() is None, words
            assert time.monotonic() < deadline, words
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=5) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)
        except (URLError, HTTPException, OSError):
            return False


class Prometheus(Server):
    """Scrapes what it is told by our ``prometheus.yml``, and works out our rules.

    Args:
        targets: The addresses of each of our jobs.
        every: Seconds between two scrapes, and between two looks at the rules.
        rules: Their text; those of the checkout when None.
        alertmanager: Its ``host:port``.
    """

    def __init__(
        self,
        targets: Mapping[str, Sequence[str]],
        *,
        every: float = 1.0,
        rules: str | None = None,
        alertmanager: str = "",
    ) -> None:
        super().__init__("prometheus")
        self._targets, self._alertmanager = targets, alertmanager
        self._every = f"{round(every * 1000)}ms"
        self._rules = (CONFIG / "prometheus" / "rules.yml").read_text("utf-8") if rules is None else rules

    def configured(self) -> Sequence[str]:
        """Our own files, with the addresses of this place."""
        told = read(CONFIG / "prometheus" / "prometheus.yml")
        told["global"] = dict.fromkeys(
            ("scrape_interval", "scrape_timeout", "evaluation_interval"), self._every
        )
        told["scrape_configs"] = [
            {
                "job_name": job["job_name"],
                "static_configs": [{"targets": list(self._targets[job["job_name"]])}],
            }
            for job in told["scrape_configs"]
            if job["job_name"] in self._targets
        ]
        managers = [self._alertmanager] if self._alertmanager else []
        told["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": managers}]}]
        (self.directory / "rules.yml").write_text(self._rules, encoding="utf-8")
        (self.directory / "prometheus.yml").write_text(json.dumps(told), encoding="utf-8")  # JSON is YAML
        return (
            f"--config.file={self.directory}/prometheus.yml",
            f"--storage.tsdb.path={self.directory}/data",
            f"--web.listen-address={HOST}:{self.port}",
            "--log.level=warn",
        )

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples that *expression* has now: ``metric`` and ``value`` of each."""
        found: list[dict[str, Any]] = self.ask("/api/v1/query", query=expression)["data"]["result"]
        return found

    def series(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """What it was from *start* to *end*: ``metric`` and ``values`` of each."""
        told = self.ask("/api/v1/query_range", query=expression, start=start, end=end, step=step)
        found: list[dict[str, Any]] = told["data"]["result"]
        return found


class Alertmanager(Server):
    """Our ``alertmanager.yml``, with *pager* in PagerDuty's place, and seconds for minutes."""

    def __init__(self, pager: Pager) -> None:
        super().__init__("alertmanager")
        self._pager = pager

    def configured(self) -> Sequence[str]:
        """Our own file, with the pager's address and key."""
        key = self.directory / "key"
        key.write_text(self._pager.key, encoding="utf-8")
        told = read(CONFIG / "alertmanager" / "alertmanager.yml")
        told["global"]["pagerduty_url"] = self._pager.url
        for route in (told["route"], *told["route"]["routes"]):
            route.update(group_wait="500ms", group_interval="1s")
        for receiver in told["receivers"]:
            for duty in receiver["pagerduty_configs"]:
                assert duty["routing_key_file"] == "/run/secrets/pagerduty_routing_key"
                duty["routing_key_file"] = str(key)
        (self.directory / "alertmanager.yml").write_text(json.dumps(told), encoding="utf-8")
        return (
            f"--config.file={self.directory}/alertmanager.yml",
            f"--storage.path={self.directory}/data",
            f"--web.listen-address={HOST}:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        )


class Pager:
    """Stands where PagerDuty's Events API is, and keeps what it is told.

    Attributes:
        events: Each event, in the order of their coming.
        key: The routing key that it knows.
    """

    key = "0123456789abcdef0123456789abcdef"

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where events go."""
        return f"http://{HOST}:{self._server.server_port}/v2/enqueue"

    def __enter__(self) -> Self:
        """It, listening."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        events = self.events

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(202)
                self.end_headers()
                self.wfile.write(b'{"status": "success"}')

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
                pass

        return Handler
