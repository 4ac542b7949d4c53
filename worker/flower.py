"""Flower as it may run: for one account, to be read only, bounded in memory.

However it is started (``celery --app worker flower``, ``narrows up``, compose), it comes by here before it
opens its port: its ``Flower`` imports the application's modules, and Celery says so. What was chosen on its
command line or in its environment (``FLOWER_…``) stays; but its buttons take ``FLOWER_READ_ONLY=false``.

Written against Flower 2.2: of its pages ``/metrics`` and ``/healthcheck`` ask nobody who they are, whatever
``--basic-auth`` says (mher/flower#1342), and ``/api/task/result`` hands out what tasks returned.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["MOST_TASKS", "PURGED_AFTER", "closed", "starts_here"]

MOST_TASKS = 5000
"""5 KB of memory each; its own bound would be 0.5 GB."""

_FLOWERS_OWN = 100_000

PURGED_AFTER = 60
"""Seconds after which a worker that has gone is forgotten. A new process has a new name in compose."""


def starts_here() -> bool:
    """Whether this process is a Flower that is being started by Celery's command line."""
    click = sys.modules.get("click")
    context = click.get_current_context(silent=True) if click is not None else None
    return context is not None and context.info_name == "flower"


def closed(options: Any, account: str, env: Mapping[str, str] = os.environ) -> None:
    """Close Flower to everybody else, and bound it; before it listens.

    Args:
        options: Flower's own, as chosen so far.
        account: ``user:password``, taken when Flower was given none; "" for none.
        env: Where ``FLOWER_READ_ONLY`` may say that its buttons are wanted.

    Raises:
        SystemExit: There is no account, or one that nobody could prove to have.
    """
    options.basic_auth = [each for each in options.basic_auth or () if each]  # "" would let anybody in
    if not (options.auth or options.basic_auth):
        if not account:
            raise SystemExit("Flower shows itself to nobody: set NARROWS_FLOWER_BASIC_AUTH=user:password")
        options.basic_auth = [account]
    if not all(all(each.partition(":")) for each in options.basic_auth):
        raise SystemExit("Flower takes NARROWS_FLOWER_BASIC_AUTH=user:password only, neither of them empty")
    if not all(each.isascii() for each in options.basic_auth):
        raise SystemExit("Flower compares ASCII only: NARROWS_FLOWER_BASIC_AUTH must hold nothing else")
    if options.max_tasks == _FLOWERS_OWN:
        options.max_tasks = MOST_TASKS
    if options.purge_offline_workers is None:
        options.purge_offline_workers = PURGED_AFTER
    if "FLOWER_READ_ONLY" not in env:
        options.read_only = True
    _close_pages()


def _close_pages() -> None:
    """``/metrics`` for who is known, results for nobody; ``/healthcheck`` stays: a probe reads OK there."""
    from flower.api.tasks import TaskResult
    from flower.views import BaseHandler
    from flower.views.monitor import Metrics
    from tornado.web import authenticated

    BaseHandler.get_current_user = _refusing(BaseHandler.get_current_user)
    Metrics.get = authenticated(Metrics.get)
    TaskResult.get = authenticated(_no_result)


def _refusing(known: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """*known*, to which credentials that are no ASCII are wrong ones, where Flower 2.2 answers 500."""
    from tornado.web import HTTPError

    def user(handler: Any) -> Any:
        try:
            return known(handler)
        except TypeError:
            raise HTTPError(401) from None

    return user


async def _no_result(handler: Any, task_id: str) -> None:  # noqa: ARG001 - as Flower calls it
    """403: a result may hold what nobody but the caller should read, such as where somebody lives."""
    handler.set_status(403)
    handler.finish("Results are for their callers")
