"""A running sandbox: the server in a thread of its own, or in the caller's loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from datetime import date
from types import TracebackType
from typing import Self

from tests.sandbox.benefits import BenefitsPlayer
from tests.sandbox.city311 import CityPlayer
from tests.sandbox.control import Control
from tests.sandbox.geoclient import GeoclientPlayer
from tests.sandbox.lastfm import LastfmPlayer
from tests.sandbox.mapbox import MapboxPlayer
from tests.sandbox.musicbrainz import MusicBrainzPlayer
from tests.sandbox.openweather import WeatherPlayer
from tests.sandbox.player import Player, StubPlayer
from tests.sandbox.sendgrid import SendGridPlayer
from tests.sandbox.server import Wire, listen
from tests.sandbox.soda import SodaPlayer, generated_rows
from tests.sandbox.soda.player import Rows
from tests.sandbox.spotify import SpotifyPlayer
from tests.sandbox.stage import Stage
from tests.sandbox.storage import StoragePlayer
from tests.sandbox.twilio import TwilioPlayer

__all__ = ["TOKEN", "Sandbox"]

TOKEN = "sandbox-token"
"""The app token that NYC Open Data knows, and the key that NYC 311 does, unless others are given."""


class Sandbox:
    """Every provider on one port, of loopback unless told otherwise.

    A provider is mounted under its name: ``sandbox.base_url("nyc_open_data")``.

    Args:
        rows: NYC Open Data's rows by dataset id; ``generated_rows`` unless given.
        host: The one address that it listens on; a name is looked up once.
        players: More providers, or others under a known name.
        tokens: App tokens that NYC Open Data knows, and keys that NYC 311 does.
        today: The day at which generated 311 rows end; the machine's unless given.

    Attributes:
        control: Faults and journals.
        nyc_open_data: The player, for what only a test changes (rows, tokens, a stale replica).
        nyc311: The same of NYC 311 (arrivals, statuses, a lag).
        geoclient: The same of Geoclient (keys, a spent day).
        mapbox: The same of Mapbox (keys).
        benefits: The same of the screening (how long tokens last, ending them, a tired rules engine).
        openweather: The same of OpenWeather (keys).
        musicbrainz: The same of MusicBrainz (the rate that it bears).
        lastfm: The same of Last.fm (keys, an error for everybody).
        spotify: The same of Spotify (its clients, how long tokens last, revoking them).
        sendgrid: The same of SendGrid (mails that were taken, how often, credits).
        twilio: The same of Twilio (messages, how often each was taken, who does not want any).
        storage: The same of the storage service (its watermarks, its health).
    """

    def __init__(
        self,
        rows: Rows | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        players: Iterable[Player] = (),
        tokens: Iterable[str] = (TOKEN,),
        today: date | None = None,
        seed: int = 0,
    ) -> None:
        day = today or date.today()  # noqa: DTZ011 - a day off does no harm
        tokens = tuple(tokens)
        given = rows if rows is not None else generated_rows(seed=seed, today=day)
        self.nyc_open_data = SodaPlayer(given, today=day, tokens=tokens, seed=seed)
        self.nyc311 = CityPlayer(keys=tokens)
        self.geoclient = GeoclientPlayer(keys=tokens)
        self.mapbox = MapboxPlayer(keys=tokens)
        self.benefits = BenefitsPlayer(keys=tokens)
        self.openweather = WeatherPlayer(keys=tokens)
        self.musicbrainz = MusicBrainzPlayer()
        self.lastfm = LastfmPlayer(tokens=tokens)
        self.spotify = SpotifyPlayer(tokens=tokens)
        self.sendgrid = SendGridPlayer(tokens=tokens)
        self.twilio = TwilioPlayer(tokens=tokens)
        self.storage = StoragePlayer(tokens=tokens)
        everyone: list[Player] = [
            StubPlayer(),
            self.nyc_open_data,
            self.nyc311,
            self.geoclient,
            self.mapbox,
            self.benefits,
            self.openweather,
            self.musicbrainz,
            self.lastfm,
            self.spotify,
            self.sendgrid,
            self.twilio,
            self.storage,
            *players,
        ]
        cast = {each.name: each for each in everyone}
        self.control = Control(cast, seed=seed)
        self._stage = Stage(cast.values(), self.control)
        self._host, self._port = host, port
        self._wires: set[Wire] = set()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """``http://HOST:PORT``."""
        return f"http://{self._host}:{self._port}"

    @property
    def elsewhere(self) -> str:
        """The other host's origin, to which redirects lead."""
        return self._stage.elsewhere

    @property
    def errors(self) -> list[Exception]:
        """What players raised, which is always the sandbox's own fault."""
        return self._stage.errors

    def base_url(self, provider: str) -> str:
        """The base address to configure for *provider*."""
        return f"{self.url}/{provider}"

    def start(self) -> Self:
        """Listen, in a thread of its own; raises OSError when the port is taken. May follow a stop."""
        self._ready.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Drop all connections and end the thread; nothing to do when it is not running."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def serve(self, stopping: asyncio.Event, *, ready: threading.Event | asyncio.Event) -> None:
        """Listen until *stopping* is set; *ready* is set once it does."""
        servers = await self._listen()
        ready.set()
        try:
            await stopping.wait()
        finally:
            for server in servers:
                server.close()
            for wire in list(self._wires):
                wire.cancel()
            await asyncio.gather(*(wire.ended() for wire in list(self._wires)))

    async def _listen(self) -> list[asyncio.Server]:
        home = await listen(self._stage.serve, self._wires, (self._host, self._port))
        self._stage.home = home.sockets[0].getsockname()[:2]
        self._port = self._stage.home[1]
        try:
            other = await listen(self._stage.serve, self._wires, ("127.0.0.2", self._port))
        except OSError:  # macOS has one loopback address: another port is another origin too
            other = await listen(self._stage.serve, self._wires, ("127.0.0.1", 0))
        host, port = other.sockets[0].getsockname()[:2]
        self._stage.elsewhere = f"http://{host}:{port}"
        return [home, other]

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - start() raises it where it can be seen
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        await self.serve(self._stopping, ready=self._ready)
