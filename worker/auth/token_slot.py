"""One access token, and where it is kept: in a process, and in Redis, sealed under its own credential.

Whoever reads Redis can do nothing with it: key and name both come from the credential, dearly (scrypt).
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from worker.scripts import script

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

    from worker.keys import Keys
    from worker.stores import Commands

__all__ = ["EARLY", "LAST", "SETTLED", "Slot", "Token"]

EARLY = 300.0
"""Seconds before its end that a token is renewed; half of its life where that is shorter."""

LAST = 5.0
"""Seconds before its end from which a token is used no more: a request has to get there."""

SETTLED = 60.0
"""Seconds for which a token that was bought because another was refused must hold."""

REFUSED = b"refused"
"""What stands in a token's place when the provider has refused it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token. Times in seconds since the epoch.

    Attributes:
        since: When it was bought; *until* it is good.
        anew: It was bought because the one before was refused; see :meth:`Slot.settling`.
        sealed: As it lies in Redis.
    """

    text: str
    since: float
    until: float
    anew: bool = False
    sealed: bytes = b""

    def __repr__(self) -> str:
        """Its end; the token itself stays out of logs."""
        return f"<Token until {self.until:.0f}>"

    @property
    def renew_at(self) -> float:
        """From when on the next one is bought."""
        return self.until - min(EARLY, (self.until - self.since) / 2)

    def good(self, now: float) -> bool:
        """Whether a request may still carry it."""
        return now < self.until - min(LAST, (self.until - self.since) / 4)


class Slot:
    """Where one credential's token is kept, here and in Redis."""

    def __init__(self, provider: str, credential: str, keys: Keys) -> None:
        self.credential, self._salt, self._keys = credential, provider.encode(), keys
        self.kept: tuple[Token | None, float] = (None, 0.0)
        self._deriving = threading.Lock()
        self._derived = b""

    def _bytes(self) -> bytes:
        """32 bytes of a key and 6 of a name, dear to guess from: a credential may be a password.

        Made once, in one thread: each time takes 16 MB and 50 ms.
        """
        with self._deriving:
            if not self._derived:
                salt = b"narrows token " + self._salt
                self._derived = hashlib.scrypt(
                    self.credential.encode(), salt=salt, n=2**14, r=8, p=1, dklen=38
                )
            return self._derived

    @cached_property
    def _seal(self) -> Fernet:
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(self._bytes()[:32]))

    @cached_property
    def key(self) -> str:
        """Of the token."""
        return self._keys.token(self._bytes()[32:].hex())

    @property
    def asking(self) -> str:
        """Of the lease on buying one."""
        return f"{self.key}:asking"

    @property
    def anew(self) -> str:
        """Of the time in which a token that was bought for a refusal must hold."""
        return f"{self.key}:anew"

    @property
    def failed(self) -> str:
        """Of the reason why there is none."""
        return f"{self.key}:failed"

    def keep(self, token: Token, *, until: float | None = None) -> Token:
        """*token*, remembered here, to be looked for anew when it is near its end or *until*."""
        self.kept = token, token.renew_at if until is None else until
        return token

    def read(self, redis: Commands) -> Token | None:
        """What Redis has."""
        from cryptography.fernet import InvalidToken

        raw = redis.execute_command("GET", self.key)
        if raw is None or raw == REFUSED:
            return None
        try:
            told: dict[str, Any] = json.loads(self._seal.decrypt(raw))
            return Token(**told, sealed=raw)
        except (InvalidToken, TypeError, ValueError):  # somebody else's bytes, or another release's
            return None

    def write(self, redis: Commands, token: Token, now: float) -> Token:
        """*token*, which the fleet has now; one that was bought for a refusal has to hold from here on."""
        ms = max(1000, round((token.until - now) * 1000))
        told = {"text": token.text, "since": token.since, "until": token.until, "anew": token.anew}
        sealed = self._seal.encrypt(json.dumps(told).encode())
        if token.anew:
            redis.execute_command("SET", self.anew, 1, "PX", min(ms, round(SETTLED * 1000)))
        redis.execute_command("SET", self.key, sealed, "PX", ms)
        return replace(token, sealed=sealed)

    def forget(self, redis: Commands, token: Token) -> None:
        """No token, and a mark that it was refused; another that the fleet has by now stays."""
        self.kept = None, 0.0
        script("disown")(redis, [self.key], [token.sealed, REFUSED, round(SETTLED * 1000)])

    def refused(self, redis: Commands) -> bool:
        """Whether the last token was refused, so that the next one is bought for that."""
        return bool(redis.execute_command("GET", self.key) == REFUSED)

    def settling(self, redis: Commands) -> bool:
        """Whether the last token that was bought for a refusal is so new that it may not be refused as well.

        By Redis's clock alone: a buyer's may be minutes from that of whoever hears the next refusal.
        """
        return bool(redis.execute_command("EXISTS", self.anew))
