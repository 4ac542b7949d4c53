"""What one storm counted, kept in ``build/chaos`` until the summary of all of them is made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["FOLDER", "STORMS", "Tally", "kept", "together"]

FOLDER = Path(__file__).resolve().parents[2] / "build" / "chaos"

STORMS = ("running", "waiting", "submitting", "replaying")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One storm, or a part of it.

    Attributes:
        faults: How often which was injected.
        calls: That were taken; of the storm over replays, letters.
        once: Came to one end; *lost* to none, *doubled* to several, or arrived several times.
        doubt: Submissions in doubt that a person is shown; None where nothing is submitted.
        recovery: Seconds at most until it went on; None where that is not measured.
        since: From what to what that is.
        held: Whether nothing at all was broken, also of what is not counted here.
    """

    storm: str
    faults: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    once: int = 0
    lost: int = 0
    doubled: int = 0
    doubt: int | None = None
    recovery: float | None = None
    since: str = ""
    held: bool = True

    @property
    def well(self) -> bool:
        """Whether each of some calls ended once, and all else held."""
        return self.held and self.lost == self.doubled == 0 < self.calls == self.once

    def keep(self, part: str = "", folder: Path = FOLDER) -> None:
        """Write it to *folder*, under the storm's name and that of the *part*, in place of an earlier one."""
        folder.mkdir(parents=True, exist_ok=True)
        name = "-".join(filter(None, [self.storm.replace(" ", "_"), part]))
        (folder / f"{name}.json").write_text(json.dumps(asdict(self), indent=1))


def kept(folder: Path = FOLDER) -> Iterator[Tally]:
    """All that lie in *folder*; what cannot be read was not kept."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield Tally(**json.loads(path.read_text()))
        except (ValueError, TypeError):
            continue


def together(storm: str, tallies: Iterable[Tally]) -> Tally:
    """Several as one of that name: sums, and the longest of the recoveries."""
    all_ = list(tallies)
    faults = Counter[str]()
    for each in all_:
        faults.update(each.faults)
    doubts = [each.doubt for each in all_ if each.doubt is not None]
    return Tally(
        storm=storm,
        faults=dict(faults),
        calls=sum(each.calls for each in all_),
        once=sum(each.once for each in all_),
        lost=sum(each.lost for each in all_),
        doubled=sum(each.doubled for each in all_),
        doubt=sum(doubts) if doubts else None,
        recovery=max((each.recovery for each in all_ if each.recovery is not None), default=None),
        since=all_[0].since if all_ else "",
        held=all(each.held for each in all_),
    )
