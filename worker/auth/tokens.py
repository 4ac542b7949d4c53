"""Access tokens of one provider: bought once for the whole fleet, kept in Redis, renewed before they end.

1. A process remembers the token that it used last; mostly that is all.
2. Otherwise Redis has it, or one call of the fleet buys it, under a lease, while the others wait for it.
3. EARLY seconds before a token ends, one call buys the next one; all others go on with the one they have.
4. A token that the provider refuses is forgotten and bought anew once. The one that follows may not be
   refused within SETTLED seconds: then it is the credential that is no good.

How it lies there: :mod:`worker.auth.token_slot`.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from worker.auth.pieces import LONGEST_LIFE
from worker.auth.token_slot import Slot, Token
from worker.errors import (
    CallError,
    CallRejected,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    RequestInvalid,
    ResourceMissing,
    ResponseUnreadable,
    StateUnavailable,
)
from worker.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from worker.auth.pieces import TokenAuth, TokenGrant
    from worker.keys import Keys
    from worker.request import Answer, Request
    from worker.stores import Commands

__all__ = ["Token", "Tokens"]

GRACE = 5.0
"""Seconds beyond an exchange's own for which its buyer may take to put the token into Redis."""

PAUSE = 0.05
"""Seconds between two looks for a token that another call is buying."""

FAILED_FOR = 2.0
"""Seconds for which a token that could not be had is not asked for again."""

LOOK_AGAIN = 1.0
"""Seconds between two looks whether another call has renewed a token that is near its end."""

_FAILURES: Mapping[str, type[CallError]] = {
    kind.__name__: kind for kind in (CredentialsRefused, ProviderThrottled, ProviderUnavailable)
}


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
        self._slots = [Slot(provider, secret, keys) for secret in credentials]

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
        token, ask_at = slot.kept
        if token is not None and now < ask_at and token.good(now):
            return token
        try:
            return self._shared(slot)
        except RedisError as gone:
            raise StateUnavailable from gone
        except CallError as why:
            why.sent = False
            # A refusal there says nothing of the provider's own host, well or not.
            why.neutral = why.neutral or isinstance(why, CallRejected)
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
            if token.anew and slot.settling(self._redis):
                return False
            slot.forget(self._redis, token)
        except RedisError as gone:
            raise StateUnavailable from gone
        return True

    def _shared(self, slot: Slot) -> Token:
        """The fleet's token: the one that is there, or a new one."""
        held = self._within + GRACE  # nobody buys for longer, so who holds it then is dead
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

    def _next(self, slot: Slot, usable: Token | None, lease: Lease) -> Token:
        """A new token, bought under *lease*; the one that still holds when there is none to be had."""
        try:
            known = slot.read(self._redis)  # the lease may be ours because somebody has just bought one
            if known is not None and self._clock() < known.renew_at:
                return slot.keep(known)
            failure = self._failure(slot)  # or could not
            if failure is not None:
                raise failure
            return slot.keep(self._buy(slot, usable))
        except CallError:
            if usable is None:
                raise
            return slot.keep(usable, until=self._clock() + LOOK_AGAIN)
        finally:
            lease.drop()

    def _buy(self, slot: Slot, usable: Token | None) -> Token:
        try:
            text, seconds = self._asked(slot.credential)
        except CallError as why:
            self._bought(why.code)
            self._note(slot, why, usable)
            raise
        self._bought("success")
        now = self._clock()
        token = Token(text=text, since=now, until=now + seconds, anew=slot.refused(self._redis))
        return slot.write(self._redis, token, now)

    def _asked(self, credential: str) -> TokenGrant:
        """What the token host grants.

        Nonsense from there is no answer of the provider's, and may be over in a moment: calls wait for it.
        """
        try:
            answer = self._send(self._auth.request(self._path, credential))
            return self._auth.grant(answer.data)
        except (RequestInvalid, ResourceMissing, ResponseUnreadable) as why:
            said = f"{self._provider}: its token host gives no token: {why}"
            raise ProviderUnavailable(said, status=why.status) from None

    def _note(self, slot: Slot, why: CallError, usable: Token | None) -> None:
        """Tell those who want the same token that there is none, for as long as the token host says.

        Not beyond the end of the one that is *usable*; without one calls pause for that long by themselves.
        """
        kind = type(why).__name__
        wait = getattr(why, "retry_after", None)
        told = {
            "kind": kind if kind in _FAILURES else ProviderUnavailable.__name__,
            "said": str(why),
            "status": getattr(why, "status", None),
            "wait": wait,
        }
        most = usable.until - self._clock() if usable else self._within
        ms = round(1000 * max(FAILED_FOR, min(wait or 0.0, most)))
        self._redis.execute_command("SET", slot.failed, json.dumps(told), "PX", ms)

    def _failure(self, slot: Slot) -> CallError | None:
        """Why there was no token a moment ago."""
        raw = self._redis.execute_command("GET", slot.failed)
        if raw is None:
            return None
        try:
            told: dict[str, Any] = json.loads(raw)
            kind = _FAILURES.get(told["kind"], ProviderUnavailable)
            said, status, wait = str(told["said"]), told["status"], told["wait"]
            status = None if status is None else int(status)
            wait = None if wait is None else min(float(wait), LONGEST_LIFE)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None  # somebody else's bytes, or another release's
        if issubclass(kind, ProviderThrottled | ProviderUnavailable):
            return kind(said, status=status, retry_after=wait)
        return kind(said, status=status)  # type: ignore[call-arg]
