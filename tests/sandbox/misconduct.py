"""The ways in which an answer goes wrong on the wire.

Each takes the wire, the fault and a *plea*: what the provider would say if all
were well, and what it says when it fails. A status is noted before it goes out.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tests.sandbox.message import JSON_TYPE, Reply
from tests.sandbox.player import with_headers
from tests.sandbox.server import Wire

if TYPE_CHECKING:
    from tests.sandbox.faults import Fault

__all__ = ["BOMB_BYTES", "MODES", "Mode", "Plea"]

Mode = Literal[
    "off", "headed", "accepted_202", "throttle", "redirect", "html", "garbage", "nonsense", "wrong_charset",
    "acted_error", "acted_hang_up", "acted_silent",
    "hang", "reset", "truncate", "endless", "gzip_bomb", "drip_headers", "drip_body",
]  # fmt: skip

_MEMBER_ZEROS = 16 * 1024 * 1024
BOMB_BYTES = 320 * _MEMBER_ZEROS  # 5 GiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Plea:
    """What misconduct may draw on.

    Attributes:
        answer: Makes the answer that would have been given.
        failure: Makes the provider's own answer for a status, with the fault's headers.
        elsewhere: The same path and query on another host that listens, for redirects.
        note: Takes the status for the journal.
    """

    answer: Callable[[], Awaitable[Reply]]
    failure: Callable[[int], Reply]
    elsewhere: str
    note: Callable[[int], None]


Misconduct = Callable[[Wire, "Fault", Plea], Awaitable[None]]


async def fail(wire: Wire, fault: Fault, plea: Plea) -> None:
    """The provider's own words for the fault's status."""
    _say(wire, plea, plea.failure(fault.status or 500))


async def head(wire: Wire, fault: Fault, plea: Plea) -> None:
    """The right answer, with the fault's headers."""
    _say(wire, plea, with_headers(await plea.answer(), fault.headers))


async def accept(wire: Wire, fault: Fault, plea: Plea) -> None:
    """202: being worked on, ask again (once per target; ``Faults`` sees to that)."""
    _say(wire, plea, plea.failure(fault.status or 202))


async def throttle(wire: Wire, fault: Fault, plea: Plea) -> None:
    """Too many requests, in the provider's own way."""
    _say(wire, plea, plea.failure(fault.status or 429))


async def redirect(wire: Wire, fault: Fault, plea: Plea) -> None:
    """To the same path on another host, which notes what it is given."""
    headers = {"Location": plea.elsewhere, "Content-Type": "text/html"}
    _say(wire, plea, Reply(status=fault.status or 302, headers=headers))


async def speak_html(wire: Wire, fault: Fault, plea: Plea) -> None:
    """A proxy's page where JSON was expected; with 200 unless a status is set."""
    body = b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Back soon.</body></html>\n"
    headers = {"Content-Type": "text/html; charset=utf-8"}
    _say(wire, plea, Reply(status=fault.status or 200, headers=headers, body=body))


async def speak_garbage(wire: Wire, fault: Fault, plea: Plea) -> None:
    """JSON by its header only."""
    headers = {"Content-Type": JSON_TYPE}
    _say(wire, plea, Reply(status=fault.status or 200, headers=headers, body=b'[{"bbl":"10126500'))


async def speak_nonsense(wire: Wire, fault: Fault, plea: Plea) -> None:
    """JSON in good order, of which nobody has promised a word; with 200 unless a status is set."""
    body = b'{"tide":[null,{"high":true}]}'
    _say(wire, plea, Reply(status=fault.status or 200, headers={"Content-Type": JSON_TYPE}, body=body))


async def mistake_charset(wire: Wire, fault: Fault, plea: Plea) -> None:
    """Latin-1 bytes under a UTF-8 header."""
    headers = {"Content-Type": JSON_TYPE}
    _say(wire, plea, Reply(status=fault.status or 200, headers=headers, body=b'[{"street":"CAF\xc9 ROW"}]'))


async def hang(wire: Wire, fault: Fault, plea: Plea) -> None:  # noqa: ARG001
    """Nothing, until the client hangs up."""
    await wire.left()


async def reset(wire: Wire, fault: Fault, plea: Plea) -> None:  # noqa: ARG001
    """A TCP reset once the request was read."""
    wire.reset()


async def act_and_fail(wire: Wire, fault: Fault, plea: Plea) -> None:
    """What was asked is done, and told as a failure."""
    await plea.answer()
    _say(wire, plea, plea.failure(fault.status or 500))


async def act_and_hang_up(wire: Wire, fault: Fault, plea: Plea) -> None:  # noqa: ARG001
    """What was asked is done, and the connection ends without a word of it."""
    await plea.answer()
    wire.close()


async def act_in_silence(wire: Wire, fault: Fault, plea: Plea) -> None:  # noqa: ARG001
    """What was asked is done, and nothing said until the client hangs up."""
    await plea.answer()
    await wire.left()


async def truncate(wire: Wire, fault: Fault, plea: Plea) -> None:  # noqa: ARG001
    """The right answer, cut in the middle of its body."""
    reply = replace(await plea.answer(), chunked=False)
    plea.note(reply.status)
    wire.write(reply.head(length=max(len(reply.body), 2), close=True) + reply.body[: len(reply.body) // 2])
    wire.close()


async def never_end(wire: Wire, fault: Fault, plea: Plea) -> None:  # noqa: ARG001
    """Row after row until the client hangs up."""
    reply = Reply(headers={"Content-Type": JSON_TYPE}, chunked=True)
    plea.note(reply.status)
    rows = b'{"bbl":"1012650001"}\n,' * 2048
    wire.write(reply.head() + b"1\r\n[\r\n")
    while await wire.drained():
        wire.write(b"%x\r\n%b\r\n" % (len(rows), rows))


async def bomb(wire: Wire, fault: Fault, plea: Plea) -> None:  # noqa: ARG001
    """About 5 MB that unpack to 5 GiB of zeros."""
    member, count = _member(), BOMB_BYTES // _MEMBER_ZEROS
    reply = Reply(headers={"Content-Type": JSON_TYPE, "Content-Encoding": "gzip"})
    plea.note(reply.status)
    wire.write(reply.head(length=len(member) * count))
    for _ in range(count):
        wire.write(member)
        if not await wire.drained():
            break


async def drip_headers(wire: Wire, fault: Fault, plea: Plea) -> None:
    """The right answer, byte by byte from its status line on."""
    reply = replace(await plea.answer(), chunked=False)
    plea.note(reply.status)
    await _drip(wire, reply.encoded(close=True), fault)


async def drip_body(wire: Wire, fault: Fault, plea: Plea) -> None:
    """The right head at once, its body byte by byte."""
    reply = replace(await plea.answer(), chunked=False)
    plea.note(reply.status)
    wire.write(reply.head(close=True))
    await _drip(wire, reply.body, fault)


MODES: dict[Mode, Misconduct] = {
    "off": fail,
    "headed": head,
    "accepted_202": accept,
    "throttle": throttle,
    "redirect": redirect,
    "html": speak_html,
    "garbage": speak_garbage,
    "nonsense": speak_nonsense,
    "wrong_charset": mistake_charset,
    "acted_error": act_and_fail,
    "acted_hang_up": act_and_hang_up,
    "acted_silent": act_in_silence,
    "hang": hang,
    "reset": reset,
    "truncate": truncate,
    "endless": never_end,
    "gzip_bomb": bomb,
    "drip_headers": drip_headers,
    "drip_body": drip_body,
}


def _say(wire: Wire, plea: Plea, reply: Reply) -> None:
    plea.note(reply.status)
    wire.send(reply)


async def _drip(wire: Wire, data: bytes, fault: Fault) -> None:
    for byte in data:
        wire.write(bytes((byte,)))
        if await wire.left(within=fault.pause_ms / 1000):
            break
    wire.close()


@functools.cache
def _member() -> bytes:
    """One gzip member; a stream of members is a gzip file too (RFC 1952, 2.2)."""
    return gzip.compress(bytes(_MEMBER_ZEROS), 9, mtime=0)
