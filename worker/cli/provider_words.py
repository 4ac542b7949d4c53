"""What a provider declares, in words: the same for a terminal and for docs/providers.md.

Names that a reader may type or search for stand between backticks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.auth.pieces import Auth, Basic, Login, Pair
from worker.cli.output import span
from worker.provider import Signs

if TYPE_CHECKING:
    from worker.provider import Breaker, Caching, Option, Provider, Quota, Rate, Retry, Timeouts

__all__ = ["breaker", "caching", "declared", "meanings", "option", "quota", "rate", "resend"]

_RESEND = {
    "idempotent": "sent again: it is taken once",
    "verify": "asked for before it is sent again",
    "never": "never sent again: a person decides",
}
_WHOLE_MINUTES = 120.0


def declared(provider: Provider, *, kept: str = "") -> dict[str, str]:
    """What each aspect of *provider* is; what it does not have is left out.

    *kept* is for :func:`caching`.
    """
    rows = {
        "address": f"`{provider.base_url}`",
        "credential": _auth(provider),
        "rate": rate(provider.rate),
        "quota": quota(provider.quota),
        "in flight": f"{provider.max_concurrency} at most" if provider.max_concurrency else "",
        "breaker": breaker(provider.breaker),
        "retries": _retry(provider.retry),
        "throttled": _cooldown(provider),
        "kept": caching(provider.caching, kept),
        "time-outs": _timeouts(provider.timeouts),
        "body": f"{provider.max_body / 2**20:g} MiB at most",
        "without state": "asked all the same, at this process's share of its rate"
        if provider.fails_open
        else "",
        "health": f"`{provider.health}`, asked before production starts" if provider.health else "",
        "contact": "wants to know whom to write to: `NARROWS_CONTACT`" if provider.identifies else "",
        "contract": _contracts(provider),
    }
    return {name: words for name, words in rows.items() if words}


def rate(declared_rate: Rate | None) -> str:
    """Calls in their time, and at once."""
    if declared_rate is None:
        return ""
    per = "s" if declared_rate.per == 1 else _time(declared_rate.per)
    return f"{declared_rate.calls:g} in {per}, {declared_rate.burst} at once".replace(" in s,", " a second,")


def quota(declared_quota: Quota | None) -> str:
    """Calls of a day, and whose day it is."""
    if declared_quota is None:
        return ""
    then = "; then calls fail" if declared_quota.spent == "fail" else ""
    return f"{declared_quota.limit:,} a day and credential ({declared_quota.zone}){then}"


def breaker(rules: Breaker) -> str:
    """When it opens and closes."""
    opens = [
        f"{rules.failures} failures in a row" if rules.failures else "",
        f"{rules.ratio:.0%} of the last {rules.window} calls" if rules.ratio else "",
    ]
    back = f"asks again after {_time(rules.reset_after)}, closes after {_times(rules.successes, 'success')}"
    return f"{' or '.join(each for each in opens if each)}; {back}"


def caching(kept: Caching | None, otherwise: str = "") -> str:
    """How long answers are good, and which *otherwise*: a request may have its own."""
    if kept is None:
        return otherwise
    words = [
        f"{_time(kept.redis)} in Redis" if kept.redis else "",
        f"{_time(kept.memory)} in each process" if kept.memory else "",
        f"empty ones {_time(min(kept.empty, kept.redis))}" if kept.empty < kept.redis else "",
        f"{_time(kept.stale_if_error)} where it is down" if kept.stale_if_error else "",
    ]
    usual = ", ".join(each for each in words if each)
    return f"{usual}; {otherwise}" if otherwise else usual


def option(each: Option) -> str:
    """What an option is, and what it is unless somebody chooses."""
    if each.default is None:
        return f"{each.about}; has no default"
    return f"{each.about}; `{plain(each.default)}` unless set"


def plain(value: Any) -> str:
    """A default as somebody would write it."""
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(plain, value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def resend(rule: str) -> str:
    """What becomes of a submission that may have arrived."""
    return _RESEND[rule]


def meanings(signs: Signs) -> dict[str, str]:
    """By verdict, the signs of a provider's own."""
    found: dict[str, dict[str, list[str]]] = {}
    for code, meaning in signs.codes.items():
        found.setdefault(meaning, {}).setdefault(f"`{signs.at}` is", []).append(f"`{code}`")
    for words, meaning in signs.words.items():
        found.setdefault(meaning, {}).setdefault(f"`{signs.message}` holds", []).append(f"“{words}”")
    for status, meaning in signs.statuses.items():
        found.setdefault(meaning, {}).setdefault("status", []).append(str(status))
    return {
        meaning: "; ".join(f"{sign} {_either(values)}" for sign, values in signs_of.items())
        for meaning, signs_of in found.items()
    }


def _either(values: list[str]) -> str:
    *most, last = values
    return f"{', '.join(most)} or {last}" if most else last


def _auth(provider: Provider) -> str:
    auth = provider.auth
    if auth is None:
        return "none"
    if isinstance(auth, Auth):
        place = f"the header `{auth.header}`" if auth.header else f"the query parameter `{auth.query}`"
        words = f"a key in {place}" + (f", behind `{auth.scheme}`" if auth.scheme else "")
    elif isinstance(auth, Basic):
        words = "`user:password` in the header `Authorization` (Basic)"
    elif isinstance(auth, Pair):
        words = "`id:key`, in the query parameters " + " and ".join(f"`{name}`" for name in auth.query)
    else:
        two = "user:password" if isinstance(auth, Login) else "id:secret"
        words = f"`{two}`, which buys an access token at `{auth.url}`"
    return words if auth.required else f"{words}; may be left out"


def _retry(rules: Retry) -> str:
    if rules.attempts == 1:
        return "none"
    share = "" if rules.budget is None else f"; {rules.budget:.0%} of the fleet's calls at most"
    return (
        f"{rules.attempts} attempts within {_time(rules.within)}, "
        f"{_time(rules.first)} to {_time(rules.most)} apart{share}"
    )


def _cooldown(provider: Provider) -> str:
    longest = "a call fails" if provider.too_long == "fail" else "a call waits on"
    return (
        f"{_time(provider.cooldown)} of pause unless it names one; "
        f"beyond {_time(provider.max_cooldown)} {longest}"
    )


def _timeouts(limits: Timeouts) -> str:
    return (
        f"{limits.connect:g} s to connect, {_time(limits.read)} between bytes, {_time(limits.total)} in all"
    )


def _contracts(provider: Provider) -> str:
    if not provider.contracts:
        return ""
    others = [
        f"`{name}` (`{each.base_url}`, {_auth(each)})"
        for name, each in provider.contracts.items()
        if name != provider.contract
    ]
    return f"`{provider.contract}`; to be chosen: {', '.join(others)}"


def _times(count: int, what: str) -> str:
    return f"{count} {what}" + ("es" if count != 1 else "")


def _time(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < _WHOLE_MINUTES else span(seconds)
