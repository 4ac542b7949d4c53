"""A proxy that stands before Redis and counts round trips.

A round trip is a turn of the conversation on one connection: the client speaks after the server has
spoken, or speaks first. A pipeline or a transaction that is sent at once is one; a command that needs
several packets is one; what the server says unasked is none. Neither is the handshake of a new connection,
which a worker that lives for days makes once.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Self

__all__ = ["Turns"]

HOST = "127.0.0.1"
HANDSHAKE = re.compile(rb"\*\d+\r\n\$\d+\r\n(HELLO|AUTH|CLIENT|SELECT)\r\n")
"""How the command begins (RESP, an array of bulk strings) with which a client introduces itself."""


class Turns:
    """``with Turns(port, roles) as turns:`` listens for each role on a port of its own.

    Attributes:
        ports: Where each role is to connect.
    """

    def __init__(self, port: int, roles: Iterable[str]) -> None:
        self._port, self._roles = port, tuple(roles)
        self._counts: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bench-turns", daemon=True)
        self.ports: Mapping[str, int] = {}

    def __enter__(self) -> Self:
        """The listening proxy."""
        self._thread.start()
        self.ports = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop all connections."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def counts(self) -> Counter[str]:
        """Round trips so far, by role."""
        return self._counts.copy()

    async def _listen(self) -> dict[str, int]:
        ports = {}
        for role in self._roles:
            server = await asyncio.start_server(partial(self._carry, role), HOST, 0)
            ports[role] = int(server.sockets[0].getsockname()[1])
        return ports

    async def _drop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _carry(self, role: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, for as long as both ends want it."""
        there, back = await asyncio.open_connection(HOST, self._port)
        asking = [False]  # whether the client spoke last

        async def up() -> None:
            while data := await reader.read(65536):
                if not asking[0]:
                    asking[0] = True
                    self._counts[role] += not HANDSHAKE.match(data)
                back.write(data)
                await back.drain()

        async def down() -> None:
            while data := await there.read(65536):
                asking[0] = False
                writer.write(data)
                await writer.drain()

        ends = [asyncio.ensure_future(up()), asyncio.ensure_future(down())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            for side in (back, writer):
                with contextlib.suppress(OSError):
                    side.close()
