"""NYC Geoclient as the sandbox plays it."""

from tests.sandbox.geoclient.player import GeoclientPlayer

__all__ = ["GeoclientPlayer"]
