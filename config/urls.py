"""Addresses of Redis and of a broker: which are understood, and how Celery wants them written."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

__all__ = [
    "bare",
    "broker_understood",
    "celery_form",
    "has_password",
    "is_rabbit",
    "is_tls",
    "nodes",
    "sentinels",
    "server",
    "understood",
]

SCHEMES = ("redis", "rediss", "unix", "sentinel")
RABBIT = ("amqp", "amqps")
_GUEST = "guest"
_PORTS = {"sentinel": 26379, "amqp": 5672, "amqps": 5671}


def understood(url: str) -> str:
    """*url* itself; ValueError when no Redis can be found with it. The message never shows it."""
    for node in nodes(url):
        if node.scheme not in SCHEMES:
            raise ValueError("must start with redis://, rediss://, unix:// or sentinel://")
        if node.scheme == "unix":
            _unix_is_whole(node)
        elif not node.hostname or _port(node) is None:
            raise ValueError("must name a host and a port below 65536, like redis://:PASSWORD@host:6379/0")
        elif not (node.path.strip("/") or "0").isdigit():
            raise ValueError("must end with the number of a database, like /0")
    return url


def broker_understood(url: str) -> str:
    """*url* itself, which may also lead to RabbitMQ; ValueError when no broker can be found with it."""
    if not is_rabbit(url):
        return understood(url)
    every = nodes(url)
    for node in every:
        if node.scheme != every[0].scheme:
            raise ValueError("must start with amqp:// or amqps://, the same for each server of several")
        if not node.hostname or _port(node) is None:
            raise ValueError("must name a host and a port below 65536, like amqp://USER:PASSWORD@host:5672//")
        if node.query or node.fragment:
            raise ValueError("takes nothing behind the virtual host; TLS is set by NARROWS_TLS__…")
    return url


def nodes(url: str) -> list[SplitResult]:
    """The servers that *url* names; only sentinel:// names several, with ``;`` between."""
    try:
        return [urlsplit(part.strip()) for part in url.split(";") if part.strip()] or [urlsplit("")]
    except ValueError:
        raise ValueError("is not an address; a password with / : @ or # in it must be %-encoded") from None


def has_password(url: str) -> bool:
    """Whether the server is asked with a password; a socket file is guarded by its permissions.

    RabbitMQ's ``guest`` with the password ``guest`` is what everybody knows.
    """
    return all(node.scheme == "unix" or _is_guarded(node) for node in nodes(url))


def is_tls(url: str) -> bool:
    """Whether the connection is encrypted."""
    return urlsplit(url).scheme in {"rediss", "amqps"}


def is_rabbit(url: str) -> bool:
    """Whether it is RabbitMQ's address."""
    return nodes(url)[0].scheme in RABBIT


def server(url: str) -> str:
    """Which server it is, whatever the database and the credentials."""
    return ";".join(sorted(node.path if node.scheme == "unix" else _place(node) for node in nodes(url)))


def sentinels(url: str) -> list[tuple[str, int]]:
    """Host and port of each Sentinel; empty for any other address."""
    return [(node.hostname or "", _port(node) or 26379) for node in nodes(url) if node.scheme == "sentinel"]


def bare(url: str) -> str:
    """*url*, which names one server, without user and password."""
    account, _, _ = urlsplit(url).netloc.rpartition("@")
    return url.replace(f"//{account}@", "//", 1)


def celery_form(url: str) -> str:
    """*url* as Celery and kombu write it: they know a socket file under another scheme."""
    node = urlsplit(url)
    if node.scheme != "unix":
        return url
    database = parse_qs(node.query).get("db", ["0"])[0]
    user, password = unquote(node.username or ""), unquote(node.password or "")
    account = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
    return f"redis+socket://{account}{node.path}?virtual_host={database}"


def _unix_is_whole(node: SplitResult) -> None:
    if not node.path.strip("/"):
        raise ValueError("must name a socket file, like unix:///run/valkey.sock?db=0")
    if not parse_qs(node.query).get("db", ["0"])[0].isdigit():
        raise ValueError("must name a database by number, like unix:///run/valkey.sock?db=0")


def _is_guarded(node: SplitResult) -> bool:
    open_to_all = node.scheme in RABBIT and node.password == _GUEST
    return bool(node.password) and not open_to_all


def _place(node: SplitResult) -> str:
    return f"{node.hostname}:{_port(node) or 6379}"


def _port(node: SplitResult) -> int | None:
    """The port, its scheme's own when none is named; None when it cannot be one."""
    try:
        return node.port or _PORTS.get(node.scheme, 6379)
    except ValueError:
        return None
