"""NYC Open Data as the sandbox plays it: Socrata's SODA 2.1 over rows of our own.

PROVIDERS.md section 1 says what is recorded and what is assumed. Not played:
``$query``, ``$having``, arithmetic, geometry, and formats other than JSON.
"""

from tests.sandbox.soda.claims import bbls_in
from tests.sandbox.soda.generated import BUSY_BBL, LOTS, generated_rows, service_requests
from tests.sandbox.soda.player import POISON, SodaPlayer
from tests.sandbox.soda.recorded import load_recorded

__all__ = [
    "BUSY_BBL",
    "LOTS",
    "POISON",
    "SodaPlayer",
    "bbls_in",
    "generated_rows",
    "load_recorded",
    "service_requests",
]
