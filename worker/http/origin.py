"""Where a provider lives: one pool of connections, and what counts as the same place."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import certifi
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3 import disable_warnings
from urllib3.exceptions import InsecureRequestWarning

from worker.errors import ConfigurationError
from worker.http.connection import GuardedHTTPConnection, GuardedHTTPSConnection

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from urllib3 import HTTPConnectionPool, PoolManager

__all__ = ["Origin", "environment_proxy", "tls"]

POOL_SIZE = 64
"""Idle connections kept; a burst beyond it connects anew and closes again, it never waits."""

PORTS = {"http": 80, "https": 443}


class Origin:
    """The scheme, host and port that a provider's calls go to, and to no other.

    Args:
        base_url: With or without a path, which stands before every request's own.
        verify: Whether TLS certificates are checked, or the file of authorities to check them against.
        proxy: An address to go through.

    Raises:
        ConfigurationError: *base_url* is not an http(s) address.
    """

    def __init__(self, base_url: str, *, verify: bool | str = True, proxy: str | None = None) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ConfigurationError("a base address is http(s)://host[:port][/path] and nothing else")
        self.prefix = parts.path.rstrip("/")
        self._url = f"{parts.scheme}://{parts.netloc}"
        self._place = _place(parts)
        self._verify, self._proxy = verify, proxy
        # A plain proxy is told the whole address; a tunnel and a direct connection only the path.
        self.target_prefix = self._url if proxy and parts.scheme == "http" else ""
        self._pools = [self._new_pool()]
        self._pid = os.getpid()

    @property
    def pool(self) -> HTTPConnectionPool:
        """This process's pool. A forked child gets its own: two cannot share a connection."""
        if self._pid != os.getpid():
            # The parent's stays referenced: to close it takes its lock, which no thread here may hold.
            self._pools.append(self._new_pool())
            self._pid = os.getpid()
        return self._pools[-1]

    def follow(self, target: str, location: str) -> str | None:
        """The target that *location* leads to from *target*; None when that is anywhere else."""
        try:
            parts = urlsplit(urljoin(self._url + target, location))
            same = _place(parts) == self._place and parts.username is None
        except ValueError:
            return None
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "") if same else None

    def close(self) -> None:
        """Close the idle connections; the next call opens anew."""
        if self._pid == os.getpid():
            self._pools.pop().close()
            self._pools.append(self._new_pool())

    def _new_pool(self) -> HTTPConnectionPool:
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=POOL_SIZE, max_retries=0, pool_block=False)
        manager: PoolManager = adapter.proxy_manager_for(self._proxy) if self._proxy else adapter.poolmanager
        secure = self._place[0] == "https"
        options = {"ssl_context": tls(self._verify)} if secure else None
        pool = manager.connection_from_url(self._url, pool_kwargs=options)
        pool.ConnectionCls = GuardedHTTPSConnection if secure else GuardedHTTPConnection
        return pool


def environment_proxy(base_url: str) -> str | None:
    """The proxy that ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` name for *base_url*.

    To be asked once, where clients are built: a client itself never reads the environment.
    """
    return select_proxy(base_url, get_environ_proxies(base_url))


def _place(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


@cache
def tls(verify: bool | str) -> ssl.SSLContext:  # noqa: FBT001 - requests' own parameter
    """One context for all providers: loading the authorities takes milliseconds.

    Raises:
        OSError: Their file cannot be read, or holds none.
    """
    if verify is not False:
        return ssl.create_default_context(cafile=certifi.where() if verify is True else verify)
    disable_warnings(InsecureRequestWarning)  # somebody chose it; once a call is no news
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
