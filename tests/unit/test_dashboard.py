"""The dashboard is one that Grafana reads: checked by the types of its published schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.monitoring import CONFIG, read

GRAFANA = CONFIG / "grafana"
KINDS = {"row", "stat", "state-timeline", "timeseries"}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    """It, as it lies there."""
    found: dict[str, Any] = json.loads((GRAFANA / "dashboard.json").read_text(encoding="utf-8"))
    return found


def read_back(dashboard: dict[str, Any]) -> Any:
    """What is left of it once the schema's types have read it and written it."""
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))


def lost(given: Any, kept: Any, at: str = "") -> Iterator[str]:
    """Where *kept* has not what *given* has; more is no loss: the schema's defaults."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            yield from lost(value, kept.get(name), f"{at}/{name}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{at}/{number}")
    elif given != kept:
        yield at


def test_the_schema_knows_every_field_of_it(dashboard: dict[str, Any]) -> None:
    """What it did not know would be gone after reading."""
    assert list(lost(dashboard, read_back(dashboard))) == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ((), "titel"),
        (("panels", 1), "gridPosition"),
        (("panels", 1, "targets", 0), "expression"),
        (("panels", 1, "options"), "colourMode"),
        (("panels", 9, "fieldConfig", "defaults", "custom"), "fillColour"),
        (("templating", "list", 0), "includesAll"),
    ],
    ids=str,
)
def test_a_field_that_is_misspelt_is_noticed(
    dashboard: dict[str, Any], path: tuple[str | int, ...], field: str
) -> None:
    """Grafana itself would pass over it in silence."""
    wrong = json.loads(json.dumps(dashboard))
    place = wrong
    for step in path:
        place = place[step]
    place[field] = "x"

    assert list(lost(wrong, read_back(wrong))) == ["/".join(["", *map(str, path), field])]


def test_every_panel_is_of_a_known_kind_has_a_title_and_asks_for_something(dashboard: dict[str, Any]) -> None:
    """And no two have one number or one title in the same row."""
    panels = dashboard["panels"]

    assert {panel["type"] for panel in panels} == KINDS
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)
    assert all(panel["targets"] for panel in panels if panel["type"] != "row")
    assert all(one["title"] != other["title"] for one, other in pairwise(panels))


def test_no_panel_lies_on_another(dashboard: dict[str, Any]) -> None:
    """Each cell of the grid, 24 wide, belongs to one."""
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_grafana_is_told_where_both_are() -> None:
    """The data source by the name that the dashboard's variable has, and the folder that is mounted."""
    (source,) = read(GRAFANA / "datasource.yml")["datasources"]
    (folder,) = read(GRAFANA / "dashboards.yml")["providers"]
    variable = json.loads((GRAFANA / "dashboard.json").read_text("utf-8"))["templating"]["list"][0]

    assert (source["uid"], source["type"]) == (variable["current"]["value"], variable["query"])
    assert (folder["type"], folder["options"]["path"]) == ("file", "/etc/grafana/dashboards")
