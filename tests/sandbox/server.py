"""The transport: sockets on one side, a coroutine per request on the other.

An :class:`asyncio.Protocol` of our own, because faults need the socket itself
(a reset, half a body, a body without end) and benchmarks need it to be cheap.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

from tests.sandbox.message import Reply, Request
from tests.sandbox.parser import MAX_HEAD, Parser, Unacceptable

__all__ = ["Handler", "Wire", "listen"]

Handler = Callable[[Request, "Wire"], Awaitable[None]]
"""Answers one request by writing to its wire."""

_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds


class Wire(asyncio.Protocol):
    """One client's connection: whole answers, raw bytes, or a violent end."""

    def __init__(self, handler: Handler, wires: set[Wire]) -> None:
        self._handler = handler
        self._wires = wires
        self._parser = Parser()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._bodiless = False
        self.gone = asyncio.Event()
        self.address = ("", 0)

    # What asyncio calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]
        self._wires.add(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.gone.set()
        self._writable.set()
        self._arrived.set()
        self._wires.discard(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        self._arrived.set()
        if len(self._parser) > MAX_HEAD and self._transport is not None:
            self._transport.pause_reading()  # until the request before is answered

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What handlers call ------------------------------------------------------------------------

    def send(self, reply: Reply) -> None:
        """Write a whole answer."""
        self.write(reply.encoded(bodiless=self._bodiless, close=not self._parser.keep_alive))

    def write(self, data: bytes) -> None:
        """Write raw bytes; dropped when the client has gone."""
        if self._transport is not None and not self.gone.is_set():
            self._transport.write(data)

    async def drained(self) -> bool:
        """Wait until the client has taken enough; False when it has gone."""
        await self._writable.wait()
        # A client that reads as fast as we write would otherwise starve everyone else.
        await asyncio.sleep(0)
        return not self.gone.is_set()

    async def left(self, *, within: float | None = None) -> bool:
        """Wait for the client to hang up, *within* seconds at most; whether it did."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), within)
        return self.gone.is_set()

    def close(self) -> None:
        """End the connection after what was written."""
        self._parser.keep_alive = False
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        if self._transport is None:
            return
        handle = self._transport.get_extra_info("socket")
        if handle is not None and handle.fileno() >= 0:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        self._parser.keep_alive = False
        self._transport.abort()

    def cancel(self) -> None:
        """Drop the connection and whatever is being answered on it."""
        if self._transport is not None:
            self._transport.abort()
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """Wait for the conversation's task, cancelled or not."""
        if self._task is not None:
            await asyncio.wait([self._task])

    # The conversation --------------------------------------------------------------------------

    async def _serve(self) -> None:
        try:
            while (request := await self._next()) is not None:
                self._bodiless = request.method == "HEAD"
                await self._handler(request, self)
                if not self._parser.keep_alive:
                    break
        except Unacceptable as error:
            self.write(Reply(status=error.status).encoded(close=True))
        finally:
            self.close()

    async def _next(self) -> Request | None:
        while (request := self._parser.take()) is None:
            if self.gone.is_set():
                return None
            if self._parser.expects:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._parser.expects = False
            self._arrived.clear()
            if self._transport is not None:
                self._transport.resume_reading()
            await self._arrived.wait()
        return request


async def listen(handler: Handler, wires: set[Wire], address: tuple[str, int]) -> asyncio.Server:
    """A server on *address*, accepting; port 0 takes a free port."""
    loop = asyncio.get_running_loop()
    host, port = address
    return await loop.create_server(lambda: Wire(handler, wires), host, port, backlog=1024)
