"""Servers as production has them: behind TLS with client certificates, and for a user with the least rights.

The users are those of ``config/redis/*.acl``, to the letter. The embedded Valkey has no TLS of its own, so a
door stands before it; the handshake, the certificates and every check of ours are the real ones.
"""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import trustme
from redis import Redis

from tests.fleet import Ground
from tests.integration.tls_door import TlsDoor
from worker.stack.embedded import EmbeddedValkey

__all__ = ["CONFIG", "Authority", "Guarded", "admit", "rules"]

CONFIG = Path(__file__).resolve().parents[2] / "config" / "redis"
PASSWORD = "p@ss/word"
"""Of a kind that has to be %-encoded in an address."""

QUOTED = "p%40ss%2Fword"


class Authority:
    """A company's own authority, and what it has signed, as files in *folder*."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._signer = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.cert_file, self.key_file = folder / "cert.pem", folder / "key.pem"
        self._signer.cert_pem.write_to_path(str(self.ca_file))
        ours = self._signer.issue_cert("narrows@example.org")
        ours.private_key_pem.write_to_path(str(self.key_file))
        ours.cert_chain_pems[0].write_to_path(str(self.cert_file))

    def context(self, *, wants_certificate: bool = True) -> ssl.SSLContext:
        """A server's, which lets nobody in without a certificate of ours unless told otherwise."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._signer.issue_cert("localhost").configure_cert(context)
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self._signer.configure_trust(context)
        return context

    @property
    def env(self) -> dict[str, str]:
        """The settings by which a process shows its certificate, and trusts."""
        return {
            "NARROWS_TLS__CA_FILE": str(self.ca_file),
            "NARROWS_TLS__CERT_FILE": str(self.cert_file),
            "NARROWS_TLS__KEY_FILE": str(self.key_file),
        }


def rules(name: str) -> list[str]:
    """The rules of the user ``narrows`` in that file."""
    lines = (CONFIG / name).read_text(encoding="utf-8").splitlines()
    (found,) = [line.split()[2:] for line in lines if line.startswith("user narrows ")]
    return found


def admit(client: Redis, name: str, *, password: str = PASSWORD) -> None:
    """Have the user of that file on the server."""
    client.execute_command("ACL", "SETUSER", "narrows", *rules(name), f">{password}")


class Guarded(Ground):
    """The ground with both doors closed; this process goes through them as every other.

    Attributes:
        doors: The state's and the cache's.
    """

    def __init__(self, authority: Authority, **options: Any) -> None:
        super().__init__(**options)
        self.authority = authority
        self.doors: list[TlsDoor] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Start it, and have this process enqueue on it."""
        try:
            for server, name in ((self.valkey, "state.acl"), (self.cache, "cache.acl")):
                server.start()
                with server.client() as client:
                    admit(client, name)
                door = TlsDoor(server.port, self.authority.context())
                self.doors.append(self._open.enter_context(door))
            return super().__enter__()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        """Stop it, and leave this process as it was."""
        super().__exit__()
        self._open.close()

    @property
    def env(self) -> dict[str, str]:
        """The settings that lead here."""
        state, cache = (f"rediss://narrows:{QUOTED}@localhost:{door.port}/0" for door in self.doors)
        lasting = ("NARROWS_BROKER_URL", "NARROWS_STATE_URL", "NARROWS_RESULT_URL")
        own = {**dict.fromkeys(lasting, state), "NARROWS_CACHE_URL": cache}
        return {**super().env, **own, **self.authority.env}

    def refused(self) -> list[str]:
        """What the servers have refused for lack of rights since the last look: what, and where."""
        found = []
        for server in (self.valkey, self.cache):
            found += _refused(server)
        return found


UNTOLD = "config|get"
"""It would show the server's own password; doctor asks, and says that it was not told."""


def _refused(server: EmbeddedValkey) -> list[str]:
    with server.client() as client:
        entries: Any = client.acl_log()
        client.acl_log_reset()
    return [
        f"{one['reason']} {one['object']} ({one['context']})" for one in entries if one["object"] != UNTOLD
    ]
