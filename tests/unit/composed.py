"""The compose files as one process after the other would see them: anchors resolved, files merged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["INTEGRATION", "LIVE", "ROOT", "VARIABLES", "composed", "environment", "filled"]

ROOT = Path(__file__).resolve().parents[2]
LIVE = ("docker-compose.yml",)
INTEGRATION = (*LIVE, "docker-compose.integration.yml")
VARIABLES = {"STATE_PASSWORD": "hunter2", "CACHE_PASSWORD": "hunter3", "FLOWER_BASIC_AUTH": "ada:hunter4"}

_VARIABLE = re.compile(r"\$\{(\w+)(?::[-?][^}]*)?\}")


def composed(*files: str) -> dict[str, Any]:
    """The *files*, the later over the earlier: mappings are merged, all else is replaced.

    Lists that compose would join are in none of our overrides.
    """
    whole: dict[str, Any] = {}
    for name in files:
        text = (ROOT / name).read_text(encoding="utf-8")
        whole = _merged(whole, YAML(typ="safe", pure=True).load(text))
    return whole


def environment(service: Mapping[str, Any], variables: Mapping[str, str] = VARIABLES) -> dict[str, str]:
    """What the service's process sees when .env holds *variables*."""
    return {name: filled(value, variables) for name, value in service.get("environment", {}).items()}


def filled(text: str, variables: Mapping[str, str] = VARIABLES) -> str:
    """*text* with *variables* in it, as compose writes it."""
    return _VARIABLE.sub(lambda found: variables.get(found[1], ""), text).replace("$$", "$")


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {
            name: _merged(below.get(name), above.get(name, below.get(name))) for name in {**below, **above}
        }
    return above
