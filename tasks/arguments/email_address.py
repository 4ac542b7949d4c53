"""E-mail addresses as callers give them: bare ones, since a mail's other parts have fields of their own."""

from __future__ import annotations

import re
from typing import Annotated, Any

from tasks.arguments import Parsed

__all__ = ["EmailAddress", "Recipients", "email_address"]

MOST = 1000
WANTED = "takes an e-mail address, for example ada@example.org"

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{3,254}}\Z)(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z]{_LABEL}")
"""RFC 5321, 4.1.2, without quoted names and addresses in brackets, which no mail service takes."""


def email_address(value: Any) -> str:
    """*value* without the spaces around it.

    A line break, with which a header could be smuggled in, is refused wherever it stands.

    Raises:
        ValueError: It is no address, or has a name before it.
    """
    text = value.strip(" ") if isinstance(value, str) else ""
    if not _ADDRESS.fullmatch(text):
        raise ValueError(WANTED)
    return text


def _recipients(value: Any) -> list[Any]:
    """A list, of one address or several; what each is comes later."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not 1 <= len(given) <= MOST:
        raise ValueError(f'{WANTED}, or a list of 1 to {MOST}: ["ada@example.org", "bob@example.org"]')
    plain = [each.strip(" ").lower() for each in given if isinstance(each, str)]
    if len(set(plain)) < len(plain):
        raise ValueError("takes each address once; one is there twice")
    return list(given)


EmailAddress = Annotated[str, Parsed(email_address)]

Recipients = Annotated[list[EmailAddress], Parsed(_recipients)]
"""One address or a list of them, none twice."""
