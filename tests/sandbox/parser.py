"""HTTP/1.1 requests out of bytes, without a socket.

Only what clients of the sandbox send: any method, Content-Length and chunked
bodies, ``Expect: 100-continue``, pipelining. Syntax is RFC 9112.
"""

from __future__ import annotations

from tests.sandbox.message import Request, parsed_headers

__all__ = ["MAX_BODY", "MAX_HEAD", "Parser", "Unacceptable"]

MAX_HEAD = 64 * 1024
MAX_BODY = 32 * 1024 * 1024
_FRAMING = (b"content-length", b"transfer-encoding", b"connection", b"expect")


class Unacceptable(Exception):
    """The bytes are no request that this server takes; ``status`` says how to refuse them."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class Parser:
    """Collects bytes; :meth:`take` gives one request at a time.

    Attributes:
        keep_alive: Whether the last request wants the connection to stay.
        expects: The head is complete and its sender waits for ``100 Continue``.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._request: Request | None = None
        self._length: int | None = 0
        self._chunks: list[bytes] = []
        self.keep_alive = True
        self.expects = False

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what the socket gave."""
        self._buffer += data

    def take(self) -> Request | None:
        """The next whole request, or None until more bytes come; raises Unacceptable."""
        if self._request is None and not self._take_head():
            return None
        body = self._take_chunks() if self._length is None else self._take_body(self._length)
        if body is None or self._request is None:
            return None
        request, self._request, self.expects = self._request, None, False
        request.body = body
        return request

    def _take_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end > MAX_HEAD or (end < 0 and len(self._buffer) > MAX_HEAD):
            raise Unacceptable(431)
        if end < 0:
            return False
        first, _, head = bytes(self._buffer[:end]).partition(b"\r\n")
        del self._buffer[: end + 4]
        self._read_head(first, head)
        return True

    def _read_head(self, first: bytes, head: bytes) -> None:
        parts = first.split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1.") or not parts[1].startswith(b"/"):
            raise Unacceptable(400)
        request = Request(method=parts[0].decode("latin-1"), target=parts[1].decode("latin-1"), head=head)
        lowered = head.lower()
        self._length, self.keep_alive = 0, parts[2] != b"HTTP/1.0"
        # Most requests carry none of these, and parsing every header is a third of the work.
        if any(name in lowered for name in _FRAMING):
            self._read_framing(parsed_headers(head))
        self._request = request

    def _read_framing(self, headers: dict[str, str]) -> None:
        connection = headers.get("connection", "").lower()
        self.keep_alive = (self.keep_alive or "keep-alive" in connection) and "close" not in connection
        self.expects = headers.get("expect", "").lower() == "100-continue"
        if "chunked" in headers.get("transfer-encoding", "").lower():
            self._length, self._chunks = None, []
            return
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Unacceptable(400)
        if int(length) > MAX_BODY:
            raise Unacceptable(413)
        self._length = int(length)

    def _take_body(self, length: int) -> bytes | None:
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _take_chunks(self) -> bytes | None:
        while (end := self._buffer.find(b"\r\n")) >= 0:
            size = _chunk_size(bytes(self._buffer[:end]))
            if size + sum(map(len, self._chunks)) > MAX_BODY:
                raise Unacceptable(413)
            # Trailers are not read: no client of ours sends any.
            if len(self._buffer) < end + 2 + size + 2:
                return None
            self._chunks.append(bytes(self._buffer[end + 2 : end + 2 + size]))
            del self._buffer[: end + 2 + size + 2]
            if not size:
                return b"".join(self._chunks)
        if len(self._buffer) > MAX_HEAD:
            raise Unacceptable(400)
        return None


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError as error:
        raise Unacceptable(400) from error
