"""A city's 311 as the sandbox plays it: the handbook's interface and the City's API management.

PROVIDERS.md section 2 says what is recorded. Assumed: every create, the handbook's interface as a whole, the
answer for a number that is not known, and the gateway's 429 and spent quota.
"""

from tests.sandbox.city311.player import CityPlayer
from tests.sandbox.city311.requests import Filed

__all__ = ["CityPlayer", "Filed"]
