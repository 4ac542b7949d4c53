"""Where requests meet players: mounts, faults, the journal and the other host."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

from tests.sandbox.control import ELSEWHERE, Control
from tests.sandbox.faults import Fault
from tests.sandbox.journal import CREDENTIAL_HEADERS, CREDENTIAL_PARAMS
from tests.sandbox.message import Request, json_reply
from tests.sandbox.misconduct import MODES, Plea
from tests.sandbox.player import Player, with_headers
from tests.sandbox.server import Wire

__all__ = ["Stage"]

log = logging.getLogger("sandbox")


class Stage:
    """Answers every request that reaches the sandbox.

    Attributes:
        home: The address players live on; whatever comes in by another is ``elsewhere``.
        elsewhere: The origin of the other host (``http://127.0.0.2:PORT``).
        errors: What players raised; a test that looks at nothing else should look here.
    """

    def __init__(self, players: Iterable[Player], control: Control) -> None:
        self.players = {player.name: player for player in players}
        self.control = control
        self.home = ("", 0)
        self.elsewhere = ""
        self.errors: list[Exception] = []

    async def serve(self, request: Request, wire: Wire) -> None:
        """Answer *request* on *wire*; a player's exception becomes a 500 and is kept."""
        try:
            await self._route(request, wire)
        except Exception as error:
            self.errors.append(error)
            log.exception("player failed")
            wire.send(json_reply({"error": "the sandbox failed; see its log"}, status=500))

    async def _route(self, request: Request, wire: Wire) -> None:
        if wire.address != self.home:
            self._note_elsewhere(request, wire)
            return
        _, name, *_ = request.target.partition("?")[0].split("/", 2)
        if (player := self.players.get(name)) is not None:
            below = request.target[len(name) + 1 :]
            await self._play(player, request, request.below(below if below[:1] == "/" else "/" + below), wire)
        elif name in {"_control", "_journal"}:
            wire.send(self.control.answer(request))
        else:
            wire.send(json_reply({"error": f"no provider {name!r}"}, status=404))

    async def _play(self, player: Player, request: Request, below: Request, wire: Wire) -> None:
        journal = self.control.journals[player.name]
        entry = journal.opened(below)
        try:
            wait, fault = self.control.faults[player.name].draw(below.target, below.method)
            if wait and await wire.left(within=wait):
                return
            if fault is not None:
                plea = self._plea(player, request, below, fault, partial(journal.answered, entry))
                await MODES[fault.mode](wire, fault, plea)
                return
            reply = await player.answer(below)
            journal.answered(entry, reply.status)
        finally:
            journal.closed(entry)
        wire.send(reply)

    def _plea(
        self, player: Player, request: Request, below: Request, fault: Fault, note: Callable[[int], None]
    ) -> Plea:
        wait = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return Plea(
            answer=lambda: player.answer(below),
            failure=lambda status: with_headers(player.failure(status), {**fault.headers, **wait}),
            elsewhere=self.elsewhere + request.target,
            note=note,
        )

    def _note_elsewhere(self, request: Request, wire: Wire) -> None:
        journal = self.control.journals[ELSEWHERE]
        entry = journal.opened(request)
        carried = bool(CREDENTIAL_HEADERS & set(request.headers) or CREDENTIAL_PARAMS & set(request.params))
        journal.answered(entry, 200)
        journal.closed(entry)
        wire.send(json_reply({"elsewhere": True, "credentials": carried}))
