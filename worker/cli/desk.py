"""What the commands work with: engine, Celery application and servers, each when it is first needed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from celery import Celery
    from redis import Redis

    from worker.breaker import FleetBreaker
    from worker.cache.cache import Cache
    from worker.engine import Engine
    from worker.provider import Provider

__all__ = ["Desk", "desk_of"]


class Desk:
    """One command's view of a deployment, this process's own unless *engine* and *app* are handed in.

    Attributes:
        asked: The role of the Redis that was asked last, for the message when it does not answer.
    """

    def __init__(self, engine: Engine | None = None, app: Celery | None = None) -> None:
        self._engine, self._app = engine, app
        self.asked = "state"

    @cached_property
    def engine(self) -> Engine:
        """The engine, with every provider known to it.

        Raises:
            SettingsError: The environment is wrong.
        """
        from worker.application import app
        from worker.engine import engine

        found = self._engine or engine()
        app.loader.import_default_modules()
        return found

    @cached_property
    def app(self) -> Celery:
        """The Celery application, with every task."""
        from worker.application import app

        self.engine  # noqa: B018 - whose making imports the tasks
        return self._app or app

    @property
    def state(self) -> Redis:
        """The state Redis."""
        self.asked = "state"
        return self.engine.state

    @property
    def cache(self) -> Cache:
        """The kept answers."""
        self.asked = "cache"
        return self.engine.cache

    @cached_property
    def cache_redis(self) -> Redis:
        """The server that keeps them, to be asked about itself."""
        from worker.stores import connect

        self.asked = "cache"
        settings = self.engine.settings
        return connect(settings.cache_url.get_secret_value(), settings)

    def names(self) -> tuple[str, ...]:
        """Every provider's name."""
        from worker import registry

        self.engine  # noqa: B018 - as above
        return registry.names()

    def provider(self, name: str, *others: str) -> str:
        """*name* itself, when it is a provider's; *others* would have done, too.

        Raises:
            typer.BadParameter: It is not; with the nearest that is.
        """
        from config.environment import nearest

        names = self.names()
        if name not in names:
            hint = nearest(name, [*names, *others]) or f"; there are {', '.join(names)}"
            raise typer.BadParameter(f"there is no provider {name!r}{hint}", param_hint="PROVIDER")
        return name

    def declared(self, name: str) -> Provider:
        """A provider with what the deployment overrides."""
        from worker import registry
        from worker.overrides import overridden

        return overridden(registry.provider(self.provider(name)), self.engine.settings.providers.get(name))

    def breaker(self, name: str) -> FleetBreaker:
        """The fleet's breaker of a provider."""
        from worker.breaker import FleetBreaker
        from worker.gate import Gate

        return FleetBreaker(Gate(self.state, self.declared(name)), self.state)

    def address(self, role: str) -> str:
        """Where the Redis of *role* is, without its password."""
        from worker.redaction import mask_url

        return mask_url(getattr(self.engine.settings, f"{role}_url").get_secret_value())


def desk_of(ctx: typer.Context) -> Desk:
    """The desk that the command was started with."""
    desk: Desk | None = ctx.find_object(Desk)
    return desk or Desk()
