"""All that is declared of a provider, put together for whoever shows it."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

from worker.cli.provider_source import Source, source
from worker.provider import Signs, no_opinion

if TYPE_CHECKING:
    from celery import Celery

    from worker.provider import Provider

__all__ = ["Facts", "Offer", "facts"]

_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One task of a provider.

    Attributes:
        call: Its name and parameters: ``fetch_bbl(bbl, days_311=30)``.
        does: The first paragraph of its docstring.
        resend: What becomes of it when it may have arrived; "" where it changes nothing outside.
    """

    task: str
    call: str
    does: str
    lane: str = ""
    resend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One provider, as its module has it: no setting is in it.

    Attributes:
        judge: What its judge says of itself, when it is a function of its own.
        signs: Those of its judge that are data.
    """

    provider: Provider
    source: Source
    offers: tuple[Offer, ...]
    judge: str
    signs: Signs | None

    @property
    def data(self) -> dict[str, Any]:
        """The same for programs."""
        each = self.provider
        same = (
            "max_concurrency",
            "cooldown",
            "max_cooldown",
            "too_long",
            "fails_open",
            "health",
            "identifies",
        )
        parts = ("rate", "quota", "breaker", "retry", "caching", "timeouts")
        return {
            "name": each.name,
            **asdict(self.source),
            "base_url": each.base_url,
            "contract": each.contract,
            "contracts": {name: one.base_url for name, one in each.contracts.items()},
            "auth": _kind(each.auth),
            **{name: _object(getattr(each, name)) for name in parts},
            **{name: getattr(each, name) for name in same},
            "max_body": each.max_body,
            "judge": self.judge,
            "signs": _object(self.signs),
            "options": {
                name: {"about": one.about, "default": _plain(one.default)}
                for name, one in each.options.items()
            },
            "tasks": [asdict(offer) for offer in self.offers],
        }


def facts(app: Celery, provider: Provider) -> Facts:
    """All that is declared of *provider*, whose tasks *app* knows."""
    tasks = {name: task for name, task in sorted(app.tasks.items()) if name.startswith(f"{provider.name}.")}
    functions = [task.operation.function for task in tasks.values() if hasattr(task, "operation")]
    judge = provider.judge
    signs = judge if isinstance(judge, Signs) else _used(judge)
    return Facts(
        provider=provider,
        source=source(provider, functions),
        offers=tuple(_offer(name, task) for name, task in tasks.items()),
        judge="" if judge is no_opinion or isinstance(judge, Signs) else _paragraph(judge),
        signs=signs,
    )


def _offer(name: str, task: Any) -> Offer:
    operation = getattr(task, "operation", None)
    function = operation.function if operation else task.run
    submission = operation.submission if operation else None
    return Offer(
        task=name,
        call=f"{name.partition('.')[2]}({', '.join(map(_parameter, _parameters(function)))})",
        does=_paragraph(function),
        lane=operation.lane if operation else "",
        resend=submission.resend if submission else "",
    )


def _parameters(function: Any) -> list[inspect.Parameter]:
    return [each for each in inspect.signature(function).parameters.values() if each.name != "self"]


def _parameter(each: inspect.Parameter) -> str:
    if each.default is each.empty:
        return each.name
    return f"{each.name}={each.default!r}" if isinstance(each.default, _PLAIN) else f"{each.name}=…"


def _used(judge: Any) -> Signs | None:
    """Signs that a judge of its own falls back on."""
    used = inspect.getclosurevars(judge)
    found = [each for each in (*used.globals.values(), *used.nonlocals.values()) if isinstance(each, Signs)]
    return found[0] if found else None


def _paragraph(function: Any) -> str:
    """The first of its docstring; names stand between single backticks."""
    first = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return " ".join(_ROLE.sub(r"`\1`", first).replace("``", "`").split())


def _kind(auth: Any) -> dict[str, Any] | None:
    return (
        {"kind": type(auth).__name__, **asdict(auth)}
        if is_dataclass(auth) and not isinstance(auth, type)
        else None
    )


def _object(part: Any) -> dict[str, Any] | None:
    return None if part is None else asdict(part)


def _plain(value: Any) -> Any:
    return value if isinstance(value, _PLAIN) else str(value)
