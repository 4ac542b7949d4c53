"""Cities that take service requests (311): what they have in common, and how one differs from another.

A city is two values: a :class:`City` (its agencies, its zips, where it lies) and a
:class:`Base311Adapter` for each interface that it publishes. ``city_tasks`` makes its tasks of them.
"""

from tasks.city311.adapter import Base311Adapter, Lookup
from tasks.city311.city import Area, City
from tasks.city311.declared import CityTasks, city_tasks

__all__ = ["Area", "Base311Adapter", "City", "CityTasks", "Lookup", "city_tasks"]
