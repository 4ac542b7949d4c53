"""A city in a TOML file, read and checked. Loads pydantic: only where there are such files.

What is wrong is told by file and key, with what the key takes; all of it at once.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from tasks.city311.adapter import Base311Adapter
from tasks.city311.city import Area, City
from tasks.city311.city_tables import (
    Address,
    Answered,
    AreaTable,
    AuthTable,
    LookupTable,
    Positive,
    SubmitTable,
    Table,
    Word,
    Zips,
    Zone,
)
from tasks.city311.doubt import resending
from tasks.city311.told_fields import untold
from worker.provider import Auth, Quota, Rate
from worker.submissions.submission import Submits

__all__ = ["CityFile", "CityFileInvalid"]

PLACEHOLDER = "https://311.example.org"
"""Stands in a new file until somebody knows better."""

_FILE = re.compile(r"[a-z][a-z0-9]{1,19}\.toml")
_LONGEST = 256 * 1024


class CityFileInvalid(ValueError):
    """A city's file cannot be used.

    Attributes:
        problems: A line for each thing that is wrong.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class CityFile(Table):
    """One city; its name as a provider is the file's, with 311 behind it."""

    name: Word
    base_url: Address
    zone: Zone = "America/New_York"
    rate: Positive = 5.0
    burst: Annotated[int, Field(gt=0)] = 5
    daily_quota: Annotated[int, Field(gt=0)] | None = None
    agencies: list[Word] = Field(default_factory=list)
    boroughs: list[Word] = Field(default_factory=list)
    zips: Zips = Field(default_factory=list)
    area: AreaTable | None = None
    auth: AuthTable
    submit: SubmitTable
    check_: Annotated[LookupTable, Field(alias="check")]
    find: LookupTable | None = None
    answer: Answered
    statuses: dict[str, Word] = Field(default_factory=dict)
    closed: list[Word] = Field(default_factory=lambda: ["closed", "cancelled"])

    @model_validator(mode="after")
    def _whole(self) -> CityFile:
        if not {"external_id", "external_status"} <= set(self.answer):
            raise ValueError("answer: takes external_id and external_status at least")
        asked = self.find is not None and bool(self.submit.correlation)
        if self.submit.resend == "verify" and not asked:
            raise ValueError(
                'submit.resend: "verify" takes submit.correlation, the field for our own id, '
                "and a table [find] that asks by it"
            )
        return self

    @classmethod
    def read(cls, path: Path) -> CityFile:
        """The city in the file at *path*.

        Raises:
            CityFileInvalid: With every problem that was found, each with the file's name and the key.
        """
        try:
            with path.open("rb") as file:
                text = file.read(_LONGEST).decode()
        except (OSError, UnicodeDecodeError) as wrong:
            raise CityFileInvalid([f"{path.name}: cannot be read ({type(wrong).__name__})"]) from None
        return cls.parsed(text, path.name)

    @classmethod
    def parsed(cls, text: str, file: str) -> CityFile:
        """The city in *text*, which lies or will lie in the file of that name. Raises as :meth:`read`."""
        if not _FILE.fullmatch(file):
            raise CityFileInvalid([f"{file}: takes a name such as bos.toml, of 2 to 20 letters and digits"])
        try:
            return cls.model_validate(tomllib.loads(text))
        except ValidationError as wrong:
            problems = wrong.errors(include_input=False, include_url=False)
            raise CityFileInvalid([f"{file}: {_told(each)}" for each in problems]) from None
        except tomllib.TOMLDecodeError as wrong:
            raise CityFileInvalid([f"{file}: is no TOML: {wrong}"]) from None

    @property
    def city(self) -> City:
        """What a service request must fit."""
        return City(
            name=self.name,
            zone=self.zone,
            agencies=tuple(self.agencies),
            boroughs=tuple(self.boroughs),
            zips=tuple(self.zips),
            area=Area(**self.area.model_dump()) if self.area else None,
        )

    @property
    def adapter(self) -> Base311Adapter:
        """How it is spoken to."""
        return Base311Adapter(
            city=self.city,
            base_url=self.base_url,
            auth=Auth(**self.auth.model_dump()),
            submit_path=self.submit.path,
            check=self.check_.lookup,
            field_map=self.submit.fields,
            answer_map=self.answer,
            constants=self.submit.constants,
            flags=(self.submit.no, self.submit.yes),
            zoneless=self.submit.zoneless,
            statuses={theirs.casefold(): ours for theirs, ours in self.statuses.items()},
            closed=frozenset(self.closed),
            correlation=self.submit.correlation,
            find=self.find.lookup if self.find else None,
        )

    @property
    def limits(self) -> tuple[Rate, Quota | None]:
        """How often it may be asked."""
        quota = Quota(limit=self.daily_quota, zone=self.zone) if self.daily_quota else None
        return Rate(calls=self.rate, burst=self.burst), quota

    @property
    def submits(self) -> Submits:
        """What is done when nobody knows whether a request arrived."""
        submit = self.submit
        return resending(
            self.adapter,
            submit.resend,
            header=submit.idempotency_header,
            after=submit.verify_after,
            within=submit.verify_within,
        )

    @property
    def unsaid(self) -> list[str]:
        """What a person should still fill in."""
        lost = ", ".join(untold(self.submit.fields))
        return [
            *(["base_url: where the city's 311 is asked"] if self.base_url == PLACEHOLDER else []),
            *(f"{name}: {why}" for name, why in _CHECKS.items() if not getattr(self, name)),
            *([f"submit.fields: without them the city is not told {lost}"] if lost else []),
        ]


_CHECKS = {
    "agencies": "without them any agency is taken",
    "zips": "without them any zip is taken",
    "area": "without it any place on the map is taken",
}


def _told(error: Any) -> str:
    """The key and what is wrong with it."""
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{key}: is no key of a city's file; take it out, or see docs/cities.md for its right name"
    if error["type"] == "missing":
        return f"{key}: is missing; docs/cities.md says what it takes"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message
