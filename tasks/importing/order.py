"""What is to be imported, and to where: the arguments of an import."""

from __future__ import annotations

import re
from typing import Annotated, Any

from tasks.arguments import Parsed
from tasks.datasets import DATASETS
from worker.errors import ArgumentsInvalid, ConfigurationError

__all__ = ["DatasetId", "FormatName", "Sink", "below", "dataset_id", "sink_name"]

_ID = re.compile(r"[a-z0-9]{4}-[a-z0-9]{4}")
_NAME = re.compile(r"\w[\w.-]{0,99}(?:/\w[\w.-]{0,99}){0,9}", re.ASCII)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^@?#\s]+")


def dataset_id(value: Any) -> str:
    """The four-by-four of *value*: itself, or that of one of our names."""
    if isinstance(value, str) and value in DATASETS:
        return DATASETS[value].id
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise ValueError(f"takes {', '.join(DATASETS)}, or the id of a data set, for example 'erm2-nwe9'")


def sink_name(value: Any) -> str:
    """*value* itself, when it names a folder: below NARROWS_IMPORT_TO, or by a whole address there."""
    wanted = "takes a folder's name below NARROWS_IMPORT_TO, for example 'open-data/complaints'"
    if not isinstance(value, str) or not value:
        raise ValueError(wanted)
    if "://" in value:
        if "@" in value or "?" in value:
            raise ValueError("must not hold credentials; those stand in NARROWS_IMPORT_OPTIONS")
        if not _URL.fullmatch(value) or ".." in value.split("/"):
            raise ValueError(wanted)
        return value.rstrip("/")
    if not _NAME.fullmatch(value):
        raise ValueError(wanted)
    return value


def some_format(value: Any) -> str:
    """*value* itself, when it is one that is written here."""
    if value in ("jsonl", "parquet"):
        return str(value)
    raise ValueError("takes 'jsonl' or 'parquet'")


def some_sink(value: Any) -> str | None:
    """As :func:`sink_name`; None is the data set's own id."""
    return None if value is None else sink_name(value)


def below(sink: str, place: str | None) -> str:
    """The name of *sink* below *place*, where alone imports are written.

    Raises:
        ConfigurationError: This deployment writes none.
        ArgumentsInvalid: It lies elsewhere: whoever may enqueue must not choose which files are written.
    """
    if place is None:
        raise ConfigurationError(
            "NARROWS_IMPORT_TO is not set: it says below which place imports are written, "
            "for example file:///var/lib/narrows/imports or s3://bucket/imports"
        )
    if "://" not in sink:
        return sink
    name = sink.removeprefix(f"{place}/")
    if name == sink or not _NAME.fullmatch(name):
        raise ArgumentsInvalid("import_dataset: sink: must lie below NARROWS_IMPORT_TO")
    return name


DatasetId = Annotated[str, Parsed(dataset_id)]
Sink = Annotated[str | None, Parsed(some_sink)]
FormatName = Annotated[str, Parsed(some_format)]
