"""A published document as it is read: YAML or JSON, with its errata corrected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema_path.handlers import file_handler

from tests.contract.errata import ERRATA, Erratum

__all__ = ["document", "origin", "published"]

SHAPES = {"properties", "additionalProperties", "allOf", "anyOf", "oneOf"}


def document(path: Path, errata: tuple[Erratum, ...] = ERRATA) -> dict[str, Any]:
    """What is published at *path*, corrected by those *errata* that are about it.

    Skips the test where it is no OpenAPI 3, which is all that openapi-core judges by.
    """
    with path.open(encoding="utf-8") as stream:
        found: dict[str, Any] = json.load(stream) if path.suffix == ".json" else file_handler(stream)
    if not str(found.get("openapi", "")).startswith("3"):
        pytest.skip(f"{path.name} is Swagger 2, which openapi-core does not read")
    for operations in found["paths"].values():
        operations.pop("servers", None)  # Twilio repeats them at each path
    for scheme in (found.get("components") or {}).get("securitySchemes", {}).values():
        if scheme["type"] == "oauth2":  # openapi-core knows no flows; what they end in is a bearer's token
            scheme.clear()
            scheme.update(type="http", scheme="bearer")
    _opened(found)
    _joined(found, found)
    for erratum in errata:
        if erratum.spec == path.name:
            erratum.correct(found)
    return found


def _opened(place: Any) -> None:
    """Let objects of which a document names no field have any: it says "anything" so."""
    if isinstance(place, dict):
        if place.get("type") == "object" and not place.keys() & SHAPES:
            place["additionalProperties"] = True
        for inner in place.values():
            _opened(inner)
    elif isinstance(place, list):
        for inner in place:
            _opened(inner)


def _joined(place: Any, root: Mapping[str, Any]) -> None:
    """Write the parts of an ``allOf`` as one: each by itself would refuse the fields of the others."""
    if isinstance(place, dict):
        if "allOf" in place:
            place.update(_one(place, root))
            del place["allOf"]
        for inner in place.values():
            _joined(inner, root)
    elif isinstance(place, list):
        for inner in place:
            _joined(inner, root)


def _one(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """What *schema* and its parts ask of an object together."""
    while "$ref" in schema:
        schema = reduce(getitem, schema["$ref"].removeprefix("#/").split("/"), root)
    parts = [_one(each, root) for each in schema.get("allOf", ())]
    whole = {name: value for each in (*parts, schema) for name, value in each.items() if name != "allOf"}
    asked = [(each.get("properties", {}), each.get("required", [])) for each in (*parts, schema)]
    whole["properties"] = {name: shape for fields, _ in asked for name, shape in fields.items()}
    whole["required"] = [name for _, names in asked for name in names]
    return whole


def published(found: Mapping[str, Any]) -> list[str]:
    """The owner's addresses."""
    return [each["url"].rstrip("/") for each in found["servers"]]


def origin(address: str) -> str:
    """*address* without its scheme: one old document says http where all the world is asked by https."""
    parts = urlsplit(address)
    return parts.netloc + parts.path.rstrip("/")
