"""A TLS door before a server that has none: to its clients, a Redis behind a terminator."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from types import TracebackType
from typing import Self

__all__ = ["TlsDoor"]


class TlsDoor:
    """Passes on to *port* of loopback whoever shakes hands by *context*; others are hung up on.

    Attributes:
        port: Where it listens, on loopback.
    """

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.port = 0
        self._behind, self._context = port, context
        self._loop = asyncio.new_event_loop()
        self._ready, self._ended = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="tls-door", daemon=True)

    def __enter__(self) -> Self:
        """It listens."""
        self._thread.start()
        assert self._ready.wait(10.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up on everybody."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.set_exception_handler(lambda *_: None)  # handshakes that fail are what some tests want
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close in the next round

    async def _pass(self, read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        try:
            there, away = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            write.close()
            return
        ways = [asyncio.create_task(_pump(read, away)), asyncio.create_task(_pump(there, write))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ways:
                task.cancel()
            away.transport.abort()  # not closed: TLS would wait for the goodbye of a client that is gone
            write.transport.abort()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
