"""Spotify as the sandbox plays it: the accounts host and the Web API under one mount.

PROVIDERS.md section 5 says what is recorded and published. Assumed: which error an account without a Basic
header gets, and that a search takes a track when each of its words stands in title, artist or album.
"""

from tests.sandbox.spotify.catalogue import HAPPY, HAPPY_ISRC, Catalogue, numbered
from tests.sandbox.spotify.player import SpotifyPlayer

__all__ = ["HAPPY", "HAPPY_ISRC", "Catalogue", "SpotifyPlayer", "numbered"]
