"""MusicBrainz, as its web service's clients see it."""

from tests.sandbox.musicbrainz.catalogue import ISRCS, UNKNOWN_ISRC
from tests.sandbox.musicbrainz.lucene import Clause, QueryInvalid, parsed
from tests.sandbox.musicbrainz.player import MusicBrainzPlayer

__all__ = ["ISRCS", "UNKNOWN_ISRC", "Clause", "MusicBrainzPlayer", "QueryInvalid", "parsed"]
