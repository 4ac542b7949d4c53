"""One exchange with a provider: a request goes out, an answer or a typed error comes back.

requests' adapter builds the pool (TLS, proxies); each call then asks the pool itself, below
``Session`` and ``HTTPAdapter.send``, which double the CPU of a call.

What holds for every call, whatever the provider does:

- the total deadline covers name resolution, handshakes, headers and body (worker.http.deadline);
- a body is read against ``max_body`` after decompression, and never further;
- redirects stay on the provider's origin or are refused before anything is sent;
- a submission takes a fresh connection, so that a stale one never leaves it in doubt;
- no error holds a query, a header or a body, nor a foreign exception that might.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from urllib3 import Retry, Timeout
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.response import BaseHTTPResponse

from worker.errors import CallError, CredentialsRefused, ResponseUnreadable
from worker.http.auth import WireAuth, wire_auth
from worker.http.body import BodyTooLarge, parsed, read_body
from worker.http.connection import CURRENT, Exchange
from worker.http.deadline import WATCHDOG
from worker.http.origin import Origin
from worker.http.outage import outage
from worker.http.verdict import NOT_MODIFIED, failure, verdict
from worker.http.wire import USER_AGENT, Wire, WireRequest
from worker.provider import Provider, Timeouts
from worker.request import Answer, Request

__all__ = ["HttpClient"]

SAFE = frozenset({"GET", "HEAD"})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 3

KEPT = frozenset(
    {
        "content-type",
        "date",
        "etag",
        "last-modified",
        "location",
        "retry-after",
        "x-message-id",
        "x-socrata-requestid",
    }
)
KEPT_PREFIXES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-", "x-soda2-")

_NO_RETRIES = Retry(total=False, redirect=False)  # ours are counted, and made by the engine
_TRANSPORT = (HTTPError, OSError, ValueError, BodyTooLarge)


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    """One credential, and how it is put on the wire."""

    secret: str | None
    auth: WireAuth
    wire: Wire


@dataclass(slots=True, repr=False)
class _Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient:
    """A provider's HTTP, once per process; any number of threads share it and none waits for another.

    Args:
        provider: Whose auth, headers, judge and ``max_body`` hold.
        base_url: Where it lives; nothing is ever sent elsewhere.
        credential: Its API key; *others* may take its place.
        timeouts: Also the total, after which the call ends whatever the socket does.
        verify: Whether TLS certificates are checked, or the file of authorities to check them against.
        user_agent: Unless the provider declares its own.
        proxy: See :func:`worker.http.origin.environment_proxy`; the environment is never read here.

    Raises:
        ConfigurationError: The address or the credential cannot be used.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        base_url: str,
        credential: str | None,
        others: Sequence[str] = (),
        timeouts: Timeouts,
        verify: bool | str = True,
        user_agent: str = USER_AGENT,
        proxy: str | None = None,
    ) -> None:
        self._origin = Origin(base_url, verify=verify, proxy=proxy)
        self._keys = [
            _Key(secret, auth, Wire(provider, auth, user_agent=user_agent, prefix=self._origin.prefix))
            for secret in (credential, *others)
            for auth in [wire_auth(provider, secret)]
        ]
        self._provider, self._timeouts = provider, timeouts
        self._limits = Timeout(
            connect=min(timeouts.connect, timeouts.total), read=min(timeouts.read, timeouts.total)
        )

    def send(
        self, request: Request, *, extra_headers: Mapping[str, str] | None = None, credential: int = 0
    ) -> Answer:
        """What the provider says to *request*, asked with that *credential*; a 304 is an answer too.

        Raises:
            CallFailed: It may work later: ``retry_after`` says when, if the provider did. ``neutral``
                when the provider only asks for patience.
            CallRejected: Asking again cannot help.
                Both carry ``sent``: False when no byte of the request can have left.
        """
        key = self._keys[credential]
        if key.auth.missing:
            raise CredentialsRefused(f"{self._provider.name} needs a credential and has none")
        reply = self._reply(key.wire.ready(request, extra_headers), key.wire)
        token = (extra_headers or {}).get("Authorization", "").rpartition(" ")[2]
        return self._answer(reply, ":".join(filter(None, (key.secret, token))))

    def close(self) -> None:
        """Close the idle connections; the next call opens anew."""
        self._origin.close()

    def _reply(self, wire: WireRequest, signer: Wire) -> _Reply:
        exchange = Exchange(WATCHDOG.arm(self._timeouts.total), fresh=wire.method not in SAFE)
        CURRENT.exchange = exchange
        problem: Exception | None = None
        try:
            reply = self._asked(wire, signer, exchange)
            if not exchange.deadline.expired:
                return reply
        except _TRANSPORT as error:
            problem = error
        finally:
            exchange.deadline.end()
        # Raised out here, so that no foreign exception hangs on it: theirs quote addresses.
        raise outage(self._provider, self._timeouts, exchange, problem)

    def _asked(self, wire: WireRequest, signer: Wire, exchange: Exchange) -> _Reply:
        target = wire.target
        for _ in range(MAX_REDIRECTS + 1):
            response = self._response(wire, target, exchange)
            try:
                if response.status not in REDIRECTS:
                    headers = {name.lower(): value for name, value in response.headers.items()}
                    return _Reply(response.status, headers, read_body(response, self._provider.max_body))
                target = signer.signed(self._next(wire, target, response))
            except BaseException:
                response.close()  # what is left unread must not meet the next call
                raise
            response.close()
        raise self._unreadable("redirected too often", response.status)

    def _response(self, wire: WireRequest, target: str, exchange: Exchange) -> BaseHTTPResponse:
        try:
            return self._opened(wire, target)
        except ProtocolError as error:
            stale = not exchange.connected and not exchange.deadline.expired and _hung_up(error)
            if not (stale and wire.method in SAFE):
                raise
        # The peer closed an idle connection as we took it from the pool: no answer had begun.
        exchange.fresh = True
        return self._opened(wire, target)

    def _opened(self, wire: WireRequest, target: str) -> BaseHTTPResponse:
        return self._origin.pool.urlopen(
            wire.method,
            self._origin.target_prefix + target,
            body=wire.body,
            headers=wire.headers,
            retries=_NO_RETRIES,
            redirect=False,
            assert_same_host=False,
            timeout=self._limits,
            preload_content=False,
        )

    def _next(self, wire: WireRequest, target: str, response: BaseHTTPResponse) -> str:
        if wire.method not in SAFE:
            raise self._unreadable(f"redirected a {wire.method}", response.status)
        followed = self._origin.follow(target, response.headers.get("Location", ""))
        if followed is None:
            raise self._unreadable("redirected to another place, where nothing was sent", response.status)
        return followed

    def _answer(self, reply: _Reply, secret: str | None) -> Answer:
        readable, data = True, None
        if reply.body and not reply.body.isspace():
            try:
                data = parsed(reply.body, reply.headers.get("content-type", ""))
            except ValueError:
                readable = False
        meaning = verdict(self._provider, reply.status, reply.headers, data)
        if meaning not in {"ok", "empty"}:
            raise failure(self._provider, meaning, reply.status, reply.headers, data, secret=secret)
        if not readable and reply.status != NOT_MODIFIED:
            raise self._unreadable("sent a body that is not JSON", reply.status)
        headers = _kept(reply.headers)
        return Answer(status=reply.status, data=data, headers=headers, empty=meaning == "empty")

    def _unreadable(self, said: str, status: int) -> CallError:
        error = ResponseUnreadable(f"{self._provider.name} {said} ({status})", status=status)
        error.sent = True
        return error


def _hung_up(error: ProtocolError) -> bool:
    cause = error.args[1] if len(error.args) > 1 else None
    return isinstance(cause, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}
