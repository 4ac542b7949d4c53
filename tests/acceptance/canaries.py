"""Private things that are looked for wherever they should not be."""

from __future__ import annotations

import base64

__all__ = ["CANARIES", "OWN_KEY", "PERSON", "leaked"]

PERSON = {
    "name": "canaryname7d41",
    "phone": "2125550147901",
    "email": "canarymail7d41@example.org",
    "street": "77 Canarystreet7d41",
    "key": "canarykey7d41",
}
OWN_KEY = "canarycredential7d41"
"""With which the provider knows us."""

CANARIES = ("canaryname7d41", "2125550147901", "canarymail7d41", "Canarystreet7d41", "canarykey7d41", OWN_KEY)


def forms(canary: str) -> list[bytes]:
    """The canary as it stands, and as it may stand in base64, in any of its three places."""
    inside = [base64.b64encode(b"\0" * shift + canary.encode() + b"\0" * 3)[4:-4] for shift in range(3)]
    return [canary.encode(), *(each[:-4] for each in inside)]


FORMS = [form for canary in CANARIES for form in forms(canary)]


def leaked(text: str | bytes) -> list[str]:
    """What of the private things stands in *text*, and around where."""
    raw = text if isinstance(text, bytes) else text.encode()
    found = [(form, raw.find(form)) for form in FORMS if form in raw]
    return [repr(raw[max(0, at - 120) : at + len(form) + 40]) for form, at in found]
