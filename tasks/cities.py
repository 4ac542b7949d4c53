"""Cities from TOML files: each in the folder ``NARROWS_CITIES`` becomes the provider ``<slug>311``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["AddedCity", "add_city", "load_cities"]

SETTING = "NARROWS_CITIES"
BUILT_IN = frozenset({"nyc"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedCity:
    """What ``narrows city add`` found or wrote.

    Attributes:
        path: The file.
        written: Whether it is new; what was there before is never overwritten.
        unsaid: What a person should still fill in.
        loaded: Whether workers that are started with these settings serve it.
    """

    path: Path
    provider: str
    written: bool
    unsaid: tuple[str, ...]
    loaded: bool


def load_cities(folder: Path | None = None) -> tuple[str, ...]:
    """The names of the providers in *folder*, by default the setting's, their tasks made.

    Nothing is read, and pydantic is not loaded, unless the setting is there.

    Raises:
        SettingsError: A file cannot be used; with all that is wrong in all files.
    """
    folder = folder or _chosen()
    if folder is None:
        return ()
    from config.settings import SettingsError
    from tasks.city311.city_file import CityFile, CityFileInvalid
    from tasks.city311.declared import city_tasks
    from worker import registry

    if not folder.is_dir():
        raise SettingsError([f"{SETTING}: there is no folder {folder}"])
    cities: dict[str, CityFile] = {}
    problems: list[str] = []
    for path in _files(folder):
        try:
            cities[_provider(path.stem)] = CityFile.read(path)
        except CityFileInvalid as wrong:
            problems += wrong.problems
        if _provider(path.stem) in registry.names():
            problems.append(f"{path.name}: {_provider(path.stem)} is built in; take another name")
    if problems:
        raise SettingsError(f"{SETTING}: {problem}" for problem in problems)
    for name, city in cities.items():
        rate, quota = city.limits
        city_tasks(name, city.adapter, rate=rate, quota=quota, submits=city.submits)
    return tuple(cities)


def add_city(slug: str, name: str, base_url: str | None = None, folder: Path | None = None) -> AddedCity:
    """The file of that city, written unless it is there, and checked.

    Raises:
        SettingsError: The file that is there cannot be used, or none can be written.
    """
    from config.settings import SettingsError
    from tasks.city311.city_file import PLACEHOLDER, CityFile, CityFileInvalid
    from tasks.city311.template import template

    chosen = _chosen()
    folder = folder or chosen or Path("cities")
    file = f"{slug}.toml"
    if slug in BUILT_IN:
        raise SettingsError([f"{slug}311 is built in; take another slug"])
    text = template(slug, name, base_url or PLACEHOLDER)
    try:
        found = CityFile.parsed(text, file)  # nothing is written that would not load
        written = _written(folder, file, text)
        if not written:
            found = CityFile.read(folder / file)
    except CityFileInvalid as wrong:
        raise SettingsError(wrong.problems) from None
    except OSError as wrong:
        raise SettingsError([f"{folder / file}: cannot be written ({type(wrong).__name__})"]) from None
    loaded = chosen is not None and chosen.resolve() == folder.resolve()
    return AddedCity(
        path=folder / file,
        provider=_provider(slug),
        written=written,
        unsaid=tuple(found.unsaid),
        loaded=loaded,
    )


def _written(folder: Path, file: str, text: str) -> bool:
    """Whether it was, which takes that there is none of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / file).open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        return False
    return True


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))


def _provider(slug: str) -> str:
    return f"{slug}311"


def _chosen() -> Path | None:
    """The setting's folder; None, without a look at the other settings, when it is not there."""
    if not any(name.upper() == SETTING and value for name, value in os.environ.items()):
        return None
    from config.settings import settings

    return settings().cities
