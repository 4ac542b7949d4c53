"""How letters leave their list: into the line, or back into the queue of a message that nobody could take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.cli.desk import Desk
    from worker.letters.deadletter import DeadLetters

__all__ = ["DONE", "Move", "Tally", "parking", "sending"]

_WHY = {
    "known": "its call lives again, or another submission has its idempotency key",
    "gone": "the letter is not there any more",
    "in_doubt": "it may have arrived: narrows submission resolve",
}
DONE = ("parked", "accepted", "sent")
_NAMED = 20
"""Letters of which it is said why they stayed; the others are counted."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of letters, by word; of some that stayed why; and the ids of those that left."""

    words: Counter[str] = field(default_factory=Counter)
    stayed: list[dict[str, str]] = field(default_factory=list)
    parked: set[str] = field(default_factory=set)


Move = Callable[[Sequence[bytes], Tally], None]


def parking(letters: DeadLetters, by: str) -> Move:
    """What moves letters into the line."""
    from worker.letters.letter import letter_of

    def move(raws: Sequence[bytes], tally: Tally) -> None:
        for raw, word in zip(raws, letters.replay(raws, by=by), strict=True):
            tally.words[word] += 1
            letter_id = str(letter_of(raw).get("id", ""))
            if word in DONE:
                tally.parked.add(letter_id)
            elif len(tally.stayed) < _NAMED:
                why = _WHY.get(word) or letters.refusal(raw) or word
                tally.stayed.append({"id": letter_id, "word": word, "why": why})

    return move


def sending(desk: Desk, letters: DeadLetters, by: str) -> Move:
    """What sends messages to their queues again that no worker could take."""
    from worker.errors import NarrowsError
    from worker.letters.letter import id_of, letter_of
    from worker.letters.unroutable import replay as send_again

    def move(raws: Sequence[bytes], tally: Tally) -> None:
        for raw in raws:
            try:
                word = "sent" if send_again(desk.app, letters, raw, by=by) else "gone"
            except NarrowsError as why:
                word = "invalid"
                if len(tally.stayed) < _NAMED:
                    tally.stayed.append({"id": id_of(letter_of(raw)), "word": word, "why": str(why)})
            tally.words[word] += 1

    return move
