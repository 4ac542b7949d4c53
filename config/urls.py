"""Redis addresses: which are understood, and how Celery wants them written."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

__all__ = ["celery_form", "has_password", "is_tls", "nodes", "sentinels", "server", "understood"]

SCHEMES = ("redis", "rediss", "unix", "sentinel")


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


def nodes(url: str) -> list[SplitResult]:
    """The servers that *url* names; only sentinel:// names several, with ``;`` between."""
    try:
        return [urlsplit(part.strip()) for part in url.split(";") if part.strip()] or [urlsplit("")]
    except ValueError:
        raise ValueError("is not an address; a password with / : @ or # in it must be %-encoded") from None


def has_password(url: str) -> bool:
    """Whether the server is asked with a password; a socket file is guarded by its permissions."""
    return all(node.scheme == "unix" or bool(node.password) for node in nodes(url))


def is_tls(url: str) -> bool:
    """Whether the connection is encrypted."""
    return urlsplit(url).scheme == "rediss"


def server(url: str) -> str:
    """Which server it is, whatever the database and the credentials."""
    return ";".join(sorted(node.path if node.scheme == "unix" else _place(node) for node in nodes(url)))


def sentinels(url: str) -> list[tuple[str, int]]:
    """Host and port of each Sentinel; empty for any other address."""
    return [(node.hostname or "", _port(node) or 26379) for node in nodes(url) if node.scheme == "sentinel"]


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


def _place(node: SplitResult) -> str:
    return f"{node.hostname}:{_port(node) or 6379}"


def _port(node: SplitResult) -> int | None:
    """The port, 6379 when none is named; None when it cannot be one."""
    try:
        return node.port or (26379 if node.scheme == "sentinel" else 6379)
    except ValueError:
        return None
