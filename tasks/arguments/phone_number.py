"""Telephone numbers of the whole world, and whatever else a text message may come from."""

from __future__ import annotations

import re
from typing import Annotated, Any

from tasks.arguments import Parsed

__all__ = ["PhoneNumber", "Sender", "phone_number", "sender"]

WANTED = "takes a telephone number with its country's, as E.164 has it: +12125550123"
SENDERS = "takes a telephone number (+12125550123), a short code (12345) or a name of 1 to 11 characters"

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9 _+&-]{0,9}[A-Za-z0-9_+&-])?")


def phone_number(value: Any) -> str:
    """*value* as it is, which has to be E.164.

    Nothing is put right: a guess at a country, or at a zero in brackets, writes to a stranger.

    Raises:
        ValueError: It is another text.
    """
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ValueError(WANTED)
    return value


def sender(value: Any) -> str:
    """The same of whom a message is from: a number, a short code or a name with a letter in it."""
    if not isinstance(value, str) or not any(kind.fullmatch(value) for kind in (_NUMBER, _SHORT_CODE, _NAME)):
        raise ValueError(SENDERS)
    return value


PhoneNumber = Annotated[str, Parsed(phone_number)]
Sender = Annotated[str, Parsed(sender)]
