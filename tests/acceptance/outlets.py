"""What was to be seen, by the place where it was seen; and what of it should not have been."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from tests.acceptance.canaries import forms, hits

__all__ = ["Outlets"]


class Outlets:
    """Texts by outlet, searched for what each of them must not show."""

    def __init__(self) -> None:
        self._texts: defaultdict[str, list[bytes]] = defaultdict(list)
        self._found: dict[str, list[str]] = {}

    def note(self, outlet: str, text: object) -> None:
        """Somebody saw *text* there."""
        seen = text if isinstance(text, bytes) else (text if isinstance(text, str) else repr(text)).encode()
        self._texts[outlet].append(seen)

    def names(self) -> list[str]:
        """Every outlet at which something was seen."""
        return sorted(self._texts)

    def size(self, outlet: str) -> int:
        """Bytes seen there."""
        return sum(map(len, self._texts[outlet]))

    def found(self, outlet: str, private: Mapping[str, str]) -> list[str]:
        """What of *private* was seen there, and around where; looked for once."""
        if outlet not in self._found:
            self._found[outlet] = hits(b"\n".join(self._texts[outlet]), private.values())
        return self._found[outlet]

    def shows(self, outlet: str, what: str) -> bool:
        """Whether *what* was seen there, by the same search."""
        assert forms(what), "too short to be looked for"
        return bool(hits(b"\n".join(self._texts[outlet]), (what,)))

    def table(self, outlets: Iterable[str], private: Mapping[str, str]) -> str:
        """Outlet, bytes that were searched, hits."""
        rows = [
            (name, f"{self.size(name):,}", str(len(self.found(name, private)))) for name in sorted(outlets)
        ]
        lines = [("outlet", "bytes", "hits"), *rows]
        return "\n".join(f"{name:<22}{size:>14}{count:>7}" for name, size, count in lines)
