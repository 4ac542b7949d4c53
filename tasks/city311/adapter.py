"""One published interface of a city's 311, as data: where it is asked, and what its fields are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tasks.city311.city import City
from tasks.city311.fields import mapped, placed, value_at
from worker.errors import ResponseUnreadable
from worker.provider import Auth
from worker.request import Request
from worker.submissions.external_id import external_id

__all__ = ["Base311Adapter", "Lookup"]

Document = Mapping[str, Any]

_LONGEST_STATUS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """How the city is asked for one service request; ``{id}`` stands for what it is asked by.

    Attributes:
        within: Where in the answer the entry lies, or a list of entries; "" is all of it.
    """

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    within: str = ""

    def request(self, name: str, *, label: str) -> Request:
        """The question for *name*."""
        params = {key: value.replace("{id}", name) for key, value in self.params.items()}
        path = self.path.replace("{id}", quote(name, safe=""))
        return Request(path=path, params=params, label=label, fresh=True)

    def is_none(self, data: Any) -> bool:
        """Whether the answer says that there is none: an empty list where entries lie, and nothing less."""
        found: object = value_at(data, self.within)
        return found == []

    def entries(self, data: Any) -> list[Document]:
        """What the answer holds, in the city's own order."""
        found = value_at(data, self.within)
        if not found:
            return []
        entries = found if isinstance(found, list) else [found]
        if not all(isinstance(each, Mapping) for each in entries):
            raise ResponseUnreadable
        return entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Base311Adapter:
    """What differs between one 311 and another.

    Attributes:
        contract: Its name, where a city publishes more than one interface.
        field_map: Our fields of a service request to theirs, dotted on both sides. Ours are those of
            ``ServiceRequest`` and, made from them, ``anonymous``, ``location.full_address`` and
            ``location.coordinates``.
        answer_map: ``external_id``, ``external_status``, ``agency`` and ``updated_at``, where their answers
            have them.
        constants: What every request says besides, by their dotted names.
        flags: How they write no and yes.
        zoneless: Their times are the city's own, and name no offset.
        statuses: What their statuses mean, in words; others stay as they are.
        closed: The words after which nothing changes any more.
        correlation: Where a request carries our own id for it, and where an entry gives it back.
        find: How the city is asked by that id.
    """

    city: City
    base_url: str
    auth: Auth
    submit_path: str
    check: Lookup
    field_map: Mapping[str, str]
    answer_map: Mapping[str, str]
    contract: str = ""
    constants: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[Any, Any] = (False, True)
    zoneless: bool = False
    statuses: Mapping[str, str] = field(default_factory=dict)
    closed: frozenset[str] = frozenset({"closed", "cancelled"})
    correlation: str = ""
    find: Lookup | None = None

    def submission(self, payload: Document) -> Request:
        """The request that submits *payload*; it is sent once."""
        return Request(method="POST", path=self.submit_path, data=self.body(payload), label="submit")

    def body(self, payload: Document) -> dict[str, Any]:
        """A checked service request in their words."""
        made = mapped(self._told(payload), self.field_map)
        for theirs, value in self.constants.items():
            made = placed(made, theirs, value)
        return made

    def number(self, entry: Any) -> str | None:
        """Their name for it in an answer or an entry; None when there is none that can be one."""
        return external_id(value_at(entry, self.answer_map["external_id"]))

    def status(self, entry: Document) -> str | None:
        """Its status, in a word where we know one."""
        found = self._said(entry, "external_status")
        if found is None:
            return None
        return self.statuses.get(found.casefold(), found[:_LONGEST_STATUS])

    def report(self, entry: Document, external_id: str) -> dict[str, Any]:
        """What ``check_service_request`` returns for *entry*."""
        status = self.status(entry)
        if status is None:
            raise ResponseUnreadable(f"{self.city.name}: an answer without a status")
        return {
            "external_id": external_id,
            "external_status": status,
            "agency": self._said(entry, "agency"),
            "closed": status in self.closed,
            "updated_at": self._said(entry, "updated_at"),
        }

    def entry(self, data: Any, external_id: str) -> Document | None:
        """What *data* says of *external_id*; None when it does not know it. Places in a list mean nothing."""
        entries = self.check.entries(data)
        named = [each for each in entries if self._is(self.number(each), external_id)]
        if named:
            return named[0]
        if len(entries) == 1 and self.number(entries[0]) is None and self.status(entries[0]) is not None:
            return entries[0]  # asked for one by its path, some do not repeat its number
        return None

    def tagged(self, request: Request, submission_id: str) -> Request:
        """*request* with our own id for it."""
        from dataclasses import replace

        return replace(request, data=placed(request.data, self.correlation, submission_id))

    def ours(self, entry: Document) -> str | None:
        """Our own id that *entry* gives back."""
        found = value_at(entry, self.correlation)
        return found if isinstance(found, str) else None

    def _told(self, payload: Document) -> Document:
        where = payload["location"]
        address = [where[part] for part in ("address", "borough", "zip") if where.get(part)]
        told = placed(payload, "anonymous", self.flags["contact" not in payload])
        if where.get("address"):
            told = placed(told, "location.full_address", ", ".join(address))
        if "latitude" in where:
            told = placed(told, "location.coordinates", f"{where['latitude']}, {where['longitude']}")
        if self.zoneless and "observed_at" in payload:
            when = datetime.fromisoformat(payload["observed_at"]).replace(tzinfo=None)
            told = placed(told, "observed_at", when.isoformat(timespec="seconds"))
        return told

    def _said(self, entry: Document, ours: str) -> str | None:
        found = value_at(entry, self.answer_map[ours]) if ours in self.answer_map else None
        return str(found).strip() or None if isinstance(found, str | int) else None

    @staticmethod
    def _is(found: str | None, asked: str) -> bool:
        return found is not None and found.casefold() == asked.casefold()
