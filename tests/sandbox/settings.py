"""The settings by which a deployment asks the sandbox instead of the providers themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.sandbox.twilio.player import ACCOUNT_SID, FROM_NUMBER

__all__ = ["DOORS", "Door", "settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How one provider is entered.

    Attributes:
        path: Of its base address, below its mount.
        user: The first part of its credential, where that has two; "" where it is the token alone.
        keyed: It is asked with a credential.
        token_url: Where tokens are bought, below its mount, when that is not below its base address.
        options: What else has to be said before it can be used.
    """

    path: str = ""
    user: str = ""
    keyed: bool = True
    token_url: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


DOORS: Mapping[str, Door] = {
    "nyc_open_data": Door(keyed=False),
    "nyc311": Door(),
    "geoclient": Door(),
    "mapbox": Door(),
    "benefits": Door(user="sandbox"),
    "spotify": Door(path="/v1", user="sandbox", token_url="/api/token"),
    "musicbrainz": Door(keyed=False),
    "lastfm": Door(),
    "sendgrid": Door(options={"from_email": "narrows@example.org"}),
    "twilio": Door(user=ACCOUNT_SID, options={"from_number": FROM_NUMBER}),
    "openweather": Door(),
    "storage": Door(),
}


def settings(url: str, token: str) -> dict[str, str]:
    """The variables of the environment for the sandbox at *url*, of which *token* is known, all providers."""
    found = dict[str, str]()
    for name, door in DOORS.items():
        prefix, mount = f"NARROWS_PROVIDERS__{name.upper()}__", f"{url}/{name}"
        found[f"{prefix}BASE_URL"] = mount + door.path
        if door.keyed:
            found[f"{prefix}API_KEY"] = f"{door.user}:{token}" if door.user else token
        if door.token_url:
            found[f"{prefix}TOKEN_URL"] = mount + door.token_url
        for option, value in door.options.items():
            found[f"{prefix}OPTIONS__{option.upper()}"] = value
    return found
