"""Drives operations against a provider that says wrong things, by the real HTTP client and a real socket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

from tests.fuzz.oddities import CANARY
from tests.fuzz.wrong_peer import Reply, WrongPeer
from worker.claim import Claim
from worker.engine import engine
from worker.errors import CallError
from worker.gateway import Gateway
from worker.http.client import HttpClient
from worker.performing import Performance
from worker.provider import Timeouts
from worker.request import Answer, Request
from worker.steps import Steps, plain

__all__ = ["PATIENCE", "Drive", "judged"]

PATIENCE = 2.0
"""Seconds that one exchange may take here; nothing that is said here takes any time."""

SLACK = 20.0
"""Seconds more that a busy machine may take for all of a call."""

MOST = 6
"""Answers of one call that are wrong; the others are right, so that what never ends on wrong ones ends."""


class Drive:
    """In the place of the pipeline: no cache, no gate, and an answer that the test chooses."""

    def __init__(self) -> None:
        self._peer = WrongPeer()
        self._clients: dict[str, HttpClient] = {}
        self._right: dict[str, Answer | None] = {}
        self._chosen: Callable[[Answer | None], Reply] | None = None
        self._said = 0

    def __enter__(self) -> Self:
        """Listen."""
        self._peer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        for client in self._clients.values():
            client.close()
        self._peer.__exit__()

    def run(
        self, name: str, steps: Steps[Any], chosen: Callable[[Answer | None], Reply] | None = None
    ) -> Any:
        """What an operation of provider *name* returns, when *chosen* makes what is said of what is right.

        Without it all is as the sandbox says.
        """
        self._chosen, self._said = chosen, 0
        return Performance(self, name, "fuzzed", Claim(), lambda _: None).of(steps)  # type: ignore[arg-type]

    def gateway(self, name: str) -> Gateway:
        """The provider's own, for its name and its leases."""
        return engine().gateway(name)

    def call(self, gateway: Gateway, request: Request, claim: Claim, operation: str) -> Answer:  # noqa: ARG002
        """What the client makes of what is said."""
        if self._chosen is None:
            return gateway.http.send(request, extra_headers=_token(gateway))
        right = self._right_answer(gateway, request)
        self._said += 1
        if self._said > MOST:
            if right is None:
                raise CallError("the sandbox has nothing to say")
            return right
        self._peer.reply = self._chosen(right)
        return self._client(gateway).send(request, extra_headers=_token(gateway))

    def misled(self, gateway: Gateway, reply: Reply) -> Gateway:
        """*gateway*, whose provider says *reply*."""
        self._peer.reply = reply
        return replace(gateway, http=self._client(gateway), tokens=None)

    def _right_answer(self, gateway: Gateway, request: Request) -> Answer | None:
        """What the sandbox says; None where it refuses. It is asked once for each question."""
        key = f"{gateway.provider.name} {request.fingerprint}"
        if key not in self._right:
            try:
                self._right[key] = gateway.http.send(request, extra_headers=_token(gateway))
            except CallError:
                self._right[key] = None
        return self._right[key]

    def _client(self, gateway: Gateway) -> HttpClient:
        name = gateway.provider.name
        if name not in self._clients:
            provider = replace(gateway.provider, max_body=256 * 1024)
            limits = Timeouts(connect=PATIENCE, read=PATIENCE, total=PATIENCE)
            credential = (
                gateway.settings.credentials[0] if gateway.settings and gateway.settings.credentials else None
            )
            self._clients[name] = HttpClient(
                provider, base_url=self._peer.url, credential=credential, timeouts=limits
            )
        return self._clients[name]


def judged(call: Callable[[], Any], arguments: Mapping[str, Any]) -> CallError | None:
    """The error with which *call* ended. Fails for one that is not ours, or holds what must not be told.

    A result has to be JSON, as every reader of one knows it.
    """
    started = time.monotonic()
    try:
        result = plain(call())
    except CallError as why:
        said = f"{why} {why!r}"
        assert CANARY not in said
        assert not [value for value in _texts(arguments) if value in said]
        return why
    finally:
        assert time.monotonic() - started < MOST * PATIENCE + SLACK
    json.dumps(result, allow_nan=False).encode()
    return None


def _token(gateway: Gateway) -> Mapping[str, str]:
    return {} if gateway.tokens is None else gateway.tokens.headers(gateway.tokens.held(0))


def _texts(value: Any) -> list[str]:
    """The texts in *value* that are long enough to be somebody's."""
    if isinstance(value, str):
        return [value] if len(value) > 6 else []
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [text for each in inner for text in _texts(each)]
