"""The controls: what goes wrong and what arrived, from Python or over HTTP.

    GET, POST, DELETE  /_control/<provider>   the faults: look, set (an object or a list), clear
    GET, DELETE        /_journal/<provider>   the requests; ?count=1 counts them, ?raw=1 shows credentials

``elsewhere`` is in the journal as well: the other host, to which redirects lead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.sandbox.faults import Fault, FaultInvalid, Faults
from tests.sandbox.journal import Journal
from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["ELSEWHERE", "Control"]

ELSEWHERE = "elsewhere"


class Control:
    """Faults and journals of all providers; safe to use from any thread."""

    def __init__(self, names: Iterable[str], *, seed: int = 0) -> None:
        names = list(names)
        self.faults = {name: Faults(seed=seed) for name in names}
        self.journals = {name: Journal() for name in [*names, ELSEWHERE]}

    def fault(self, provider: str, **fields: Any) -> None:
        """Let *provider* go wrong as *fields* say (see ``faults``), in place of what was set before."""
        self.faults[provider].set([Fault.parsed(fields)])

    def clear(self, provider: str | None = None) -> None:
        """Let *provider*, or everyone, behave."""
        for name in [provider] if provider else self.faults:
            self.faults[name].set([])

    def journal(self, provider: str, *, raw: bool = False) -> list[dict[str, Any]]:
        """What arrived for *provider*, oldest first; credentials as they came when *raw*."""
        return self.journals[provider].entries(raw=raw)

    def counts(self, provider: str) -> dict[str, Any]:
        """``count, in_flight, max_in_flight, per_second, statuses`` of *provider*."""
        return self.journals[provider].counts()

    def reset(self) -> None:
        """Clear all faults and journals."""
        self.clear()
        for journal in self.journals.values():
            journal.clear()

    def answer(self, request: Request) -> Reply:
        """The answer to a request under ``/_control`` or ``/_journal``."""
        _, board, name, *rest = [*request.path.split("/"), ""]
        if any(rest) or name not in (self.faults if board == "_control" else self.journals):
            return json_reply({"error": f"no provider {name!r}"}, status=404)
        try:
            return (self._on_faults if board == "_control" else self._on_journal)(name, request)
        except ValueError as error:
            return json_reply({"error": str(error)}, status=400)

    def _on_faults(self, name: str, request: Request) -> Reply:
        if request.method == "POST":
            data = request.json()
            self.faults[name].set(
                [Fault.parsed(each) for each in (data if isinstance(data, list) else [data])]
            )
        elif request.method == "DELETE":
            self.faults[name].set([])
        elif request.method != "GET":
            raise FaultInvalid("GET, POST or DELETE")
        return json_reply({"provider": name, "faults": self.faults[name].shown()})

    def _on_journal(self, name: str, request: Request) -> Reply:
        if request.method == "DELETE":
            self.journals[name].clear()
        elif request.method != "GET":
            raise ValueError("GET or DELETE")
        if request.params.get("count") == "1" or request.method == "DELETE":
            return json_reply(self.counts(name))
        return json_reply(self.journal(name, raw=request.params.get("raw") == "1"))
