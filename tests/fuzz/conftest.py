"""What the fuzz tests stand on: real servers and the sandbox, whose right answers are made wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import Ground

HERE = Path(__file__).parent
CELERYS_OWN = "Call to deprecated setex:DeprecationWarning"  # how its backend stores results


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Celery's own warnings fail nothing here."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(f"ignore:{CELERYS_OWN}"))


class _Ground(Ground):
    """Where imports may be written, too."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "NARROWS_IMPORT_TO": f"file://{self._folder}"}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Valkey, cache and sandbox, on which this process's engine stands."""
    with _Ground(tmp_path_factory.mktemp("imports")) as ground:
        yield ground
