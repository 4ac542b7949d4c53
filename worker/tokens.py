"""Access tokens of one provider: bought once for the whole fleet, kept in Redis, renewed before they end.

1. A process remembers the token that it used last; mostly that is all.
2. Otherwise Redis has it, or one call of the fleet buys it, under a lease, while the others wait for it.
3. EARLY seconds before a token ends, one call buys the next one; all others go on with the one they have.
4. A token that the provider refuses is forgotten and bought anew once. The one that follows may not be
   refused within SETTLED seconds: then it is the credential that is no good.

A token lies in Redis sealed under its own credential, so that it is of no use to whoever reads Redis.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from worker.errors import (
    CallError,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ResponseUnreadable,
    StateUnavailable,
)
from worker.lease import Lease
from worker.scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cryptography.fernet import Fernet

    from worker.auth import TokenAuth
    from worker.keys import Keys
    from worker.request import Answer, Request
    from worker.stores import Commands

__all__ = ["Token", "Tokens"]

EARLY = 300.0
"""Seconds before its end that a token is renewed; half of its life where that is shorter."""

LAST = 5.0
"""Seconds before its end from which a token is used no more: a request has to get there."""

SETTLED = 60.0
"""Seconds for which a token that was bought because another was refused must hold."""

PAUSE = 0.05
"""Seconds between two looks for a token that another call is buying."""

FAILED_FOR = 2.0
"""Seconds for which a token that could not be had is not asked for again."""

LOOK_AGAIN = 1.0
"""Seconds between two looks whether another call has renewed a token that is near its end."""

REFUSED = b"refused"
"""What stands in a token's place when the provider has refused it."""

_FAILURES: Mapping[str, type[CallError]] = {
    kind.__name__: kind
    for kind in (CredentialsRefused, ProviderThrottled, ProviderUnavailable, ResponseUnreadable)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token. Times in seconds since the epoch.

    Attributes:
        since: When it was bought; *until* it is good.
        anew: It was bought because the one before was refused.
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


class Tokens:
    """The access tokens that a provider's credentials buy, for one process; any number of threads.

    Args:
        provider: Its name, for errors.
        auth: How a token is asked for, and shown.
        path: Below the token host.
        send: What asks the token host.
        credentials: In their order.
        within: Seconds that one exchange with the token host may take.
        bought: Hears how each exchange ended: ``success`` or an error's code.
    """

    def __init__(  # noqa: PLR0913 - all that it is made of
        self,
        provider: str,
        auth: TokenAuth,
        path: str,
        send: Callable[[Request], Answer],
        credentials: Sequence[str],
        redis: Commands,
        keys: Keys,
        *,
        within: float,
        bought: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._provider, self._auth, self._path, self._send = provider, auth, path, send
        self._redis, self._within, self._bought = redis, within, bought
        self._clock, self._sleep = clock, sleep
        self._slots = [_Slot(provider, secret, keys) for secret in credentials]

    def headers(self, token: Token) -> Mapping[str, str]:
        """What a request carries that shows *token*."""
        return self._auth.headers(token.text)

    def held(self, number: int) -> Token:
        """A token of the credential of that *number*, good for a request now. Mostly no round trip.

        Raises:
            CallError: There is none to be had; ``sent`` is False: nothing left for the provider.
            StateUnavailable: Redis does not answer.
        """
        slot, now = self._slots[number], self._clock()
        if slot.token and now < slot.ask_at and slot.token.good(now):
            return slot.token
        try:
            return self._shared(slot)
        except RedisError as gone:
            raise StateUnavailable from gone
        except CallError as why:
            why.sent = False
            raise

    def renews(self, number: int, token: Token, why: CredentialsRefused) -> bool:
        """Whether a new token may be taken where *token* was: it is forgotten then, by the fleet too."""
        slot = self._slots[number]
        if why.status not in self._auth.refused:
            return False
        try:
            known = slot.read(self._redis)
            if known is not None and known.text != token.text:
                slot.keep(known)  # somebody else has heard the same, and bought another
                return True
            if token.anew and self._clock() < token.since + SETTLED:
                return False
            slot.forget(self._redis, token)
        except RedisError as gone:
            raise StateUnavailable from gone
        return True

    def _shared(self, slot: _Slot) -> Token:
        """The fleet's token: the one that is there, or a new one."""
        held = self._within + LAST  # nobody buys for longer, so who holds it then is dead
        deadline = self._clock() + 2 * held
        lease = Lease(self._redis, slot.asking, seconds=held)
        while True:
            known, now = slot.read(self._redis), self._clock()
            if known is not None and now < known.renew_at:
                return slot.keep(known)
            usable = known if known is not None and known.good(now) else None
            failure = self._failure(slot)
            if failure is None and lease.take():
                return self._next(slot, usable, lease)
            if usable:
                return slot.keep(usable, until=now + LOOK_AGAIN)
            if failure is not None:
                raise failure
            if now > deadline:
                raise ProviderUnavailable(f"{self._provider}: nobody got an access token in time")
            self._sleep(PAUSE)

    def _next(self, slot: _Slot, usable: Token | None, lease: Lease) -> Token:
        """A new token, bought under *lease*; the one that still holds when there is none to be had."""
        try:
            known = slot.read(self._redis)  # the lease may be ours because somebody has just bought one
            if known is not None and self._clock() < known.renew_at:
                return slot.keep(known)
            return slot.keep(self._buy(slot))
        except CallError as why:
            self._note(slot, why)
            if usable is None:
                raise
            return slot.keep(usable, until=self._clock() + LOOK_AGAIN)
        finally:
            lease.drop()

    def _buy(self, slot: _Slot) -> Token:
        try:
            answer = self._send(self._auth.request(self._path, slot.credential))
            text, seconds = self._auth.grant(answer.data)
        except CallError as why:
            self._bought(why.code)
            raise
        self._bought("success")
        now = self._clock()
        token = Token(text=text, since=now, until=now + seconds, anew=slot.refused(self._redis))
        return slot.write(self._redis, token, now)

    def _note(self, slot: _Slot, why: CallError) -> None:
        """Tell those who wait for the same token that there is none."""
        kind = type(why).__name__
        wait = getattr(why, "retry_after", None)
        told = {
            "kind": kind if kind in _FAILURES else ProviderUnavailable.__name__,
            "said": str(why),
            "status": getattr(why, "status", None),
            "wait": wait,
        }
        ms = round(1000 * max(FAILED_FOR, min(wait or 0.0, self._within)))
        self._redis.execute_command("SET", slot.failed, json.dumps(told), "PX", ms)

    def _failure(self, slot: _Slot) -> CallError | None:
        """Why there was no token a moment ago."""
        raw = self._redis.execute_command("GET", slot.failed)
        if raw is None:
            return None
        told = json.loads(raw)
        kind = _FAILURES[told["kind"]]
        if issubclass(kind, ProviderThrottled | ProviderUnavailable):
            return kind(told["said"], status=told["status"], retry_after=told["wait"])
        return kind(told["said"], status=told["status"])  # type: ignore[call-arg]


class _Slot:
    """Where one credential's token is kept, here and in Redis."""

    def __init__(self, provider: str, credential: str, keys: Keys) -> None:
        self.credential, self._salt, self._keys = credential, provider.encode(), keys
        self.token: Token | None = None
        self.ask_at = 0.0

    @cached_property
    def _derived(self) -> bytes:
        """32 bytes of a key and 6 of a name, dear to guess from: a credential may be a password."""
        secret = self.credential.encode()
        return hashlib.scrypt(secret, salt=b"narrows token " + self._salt, n=2**14, r=8, p=1, dklen=38)

    @cached_property
    def _seal(self) -> Fernet:
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(self._derived[:32]))

    @cached_property
    def key(self) -> str:
        """Of the token."""
        return self._keys.token(self._derived[32:].hex())

    @property
    def asking(self) -> str:
        """Of the lease on buying one."""
        return f"{self.key}:asking"

    @property
    def failed(self) -> str:
        """Of the reason why there is none."""
        return f"{self.key}:failed"

    def keep(self, token: Token, *, until: float | None = None) -> Token:
        """*token*, remembered here, to be looked for anew when it is near its end or *until*."""
        self.token, self.ask_at = token, token.renew_at if until is None else until
        return token

    def read(self, redis: Commands) -> Token | None:
        """What Redis has."""
        from cryptography.fernet import InvalidToken

        raw = redis.execute_command("GET", self.key)
        if raw is None or raw == REFUSED:
            return None
        try:
            told: dict[str, Any] = json.loads(self._seal.decrypt(raw))
        except (InvalidToken, ValueError):  # somebody else's bytes under our key
            return None
        return Token(**told, sealed=raw)

    def write(self, redis: Commands, token: Token, now: float) -> Token:
        """*token*, which the fleet has now."""
        told = {"text": token.text, "since": token.since, "until": token.until, "anew": token.anew}
        sealed = self._seal.encrypt(json.dumps(told).encode())
        redis.execute_command("SET", self.key, sealed, "PX", max(1000, round((token.until - now) * 1000)))
        return replace(token, sealed=sealed)

    def forget(self, redis: Commands, token: Token) -> None:
        """No token, and a mark that it was refused; another that the fleet has by now stays."""
        self.token = None
        script("disown")(redis, [self.key], [token.sealed, REFUSED, round(SETTLED * 1000)])

    def refused(self, redis: Commands) -> bool:
        """Whether the last token was refused, so that the next one is bought for that."""
        return bool(redis.execute_command("GET", self.key) == REFUSED)
