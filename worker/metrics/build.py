"""Which build runs here: ``narrows_build_info{version,python,celery}``, always 1."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["Build", "version"]


def version(name: str = "narrows") -> str:
    """The installed version of a package; ``unknown`` where it only lies on the path."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


class Build(Collector):
    """The one sample. Not a Gauge: with prefork those lie in files, one for each child."""

    def __init__(self) -> None:
        self._labels = [version(), platform.python_version(), version("celery")]

    def collect(self) -> Iterable[Metric]:
        """It."""
        family = GaugeMetricFamily(
            "narrows_build_info", "What runs here.", labels=["version", "python", "celery"]
        )
        family.add_metric(self._labels, 1)
        yield family
