"""Whether a message that Twilio lists is the one that we sent and heard nothing of.

Twilio takes no id of ours and gives none back, so a message is known by whom it went to, whom it is from,
what it says, whether there is a picture in it, and when it was made. That is no proof: another program of
the same account may have sent the very same. Whatever is less sure than this, such as two of them, stays in
doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.twilio_search import Message
from worker.errors import ResponseUnreadable

__all__ = ["Sent", "chosen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What we sent, as far as Twilio shows it again.

    Attributes:
        sender: Whom it is from; None where a service chose that.
        service: The service that did.
        picture: Whether there is one.
        named: The caller named the sender. The deployment's own may be another by now than when it was sent.
    """

    body: str
    sender: str | None = None
    service: str | None = None
    picture: bool = False
    named: bool = False

    @classmethod
    def of(cls, form: Mapping[str, str], *, named: bool) -> Sent:
        """What the *form* of a message says."""
        return cls(
            body=form["Body"],
            sender=form.get("From"),
            service=form.get("MessagingServiceSid"),
            picture="MediaUrl" in form,
            named=named,
        )

    def alike(self, listed: Message) -> bool:
        """Whether *listed* says the same, however it is spaced."""
        return listed.body.split() == self.body.split()

    def same(self, listed: Message) -> bool:
        """Whether *listed* is the same in all that Twilio shows."""
        return (
            listed.body.strip() == self.body.strip()
            and listed.pictures is not None
            and (listed.pictures > 0) == self.picture
            and (_plain(listed.sender) == _plain(self.sender) if self.sender else True)
            and (listed.service == self.service if self.service else True)
        )

    def foreign(self, listed: Message) -> bool:
        """Whether *listed* is certainly another's: from another sender, or by another service.

        One that says the same is that only where the caller named the sender.
        """
        differs = _differ(self.sender, listed.sender) or _differ(self.service, listed.service)
        return differs and (self.named or not self.alike(listed))


def chosen(free: Sequence[Message], sent: Sent, until: float) -> Message | None:
    """The one of *free*, which are no other submission's, that is *sent*; None when it cannot be among them.

    How far Twilio came with it does not matter: one that failed was taken, and is not sent again.

    Raises:
        ResponseUnreadable: More than one may be it, or one may be it that is not the same in everything.
    """
    ours = [each for each in free if not sent.foreign(each)]
    same = [each for each in ours if sent.same(each)]
    alike = [each for each in ours if sent.alike(each)]
    near = [each for each in ours if each.made is None or each.made <= until]
    if not alike and not near:
        return None
    if len(same) == 1 and same[0] in near:
        return same[0]
    raise ResponseUnreadable(
        f"twilio has {len(alike)} messages of that text, {len(same)} of them the same in all else, and "
        f"{len(near)} of that time: which it is is unclear"
    )


def _differ(ours: str | None, theirs: str | None) -> bool:
    return bool(ours) and bool(theirs) and _plain(ours) != _plain(theirs)


def _plain(sender: str | None) -> str:
    """A number without its sign, a name in small letters."""
    return (sender or "").lstrip("+").casefold()
