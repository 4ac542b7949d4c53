"""Typed settings from the environment; every one has a default that works in development.

``Settings.load()`` reads ``NARROWS_…``; ``Settings(…)`` reads nothing and is for tests. Seconds are
floats. A value that may hold a password is a SecretStr: its ``repr`` shows stars.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from config import environment, storage, tracing, urls
from config.production import unsafe
from config.provider import Number, ProviderSettings, Seconds
from config.sealing import SealedTasks, SealingKeys
from config.signing import Signing

__all__ = ["ProviderSettings", "Sentinel", "Settings", "SettingsError", "Tls", "settings"]

RedisUrl = Annotated[
    SecretStr, AfterValidator(lambda url: SecretStr(urls.understood(url.get_secret_value().strip())))
]
BrokerUrl = Annotated[
    SecretStr, AfterValidator(lambda url: SecretStr(urls.broker_understood(url.get_secret_value().strip())))
]
StorageUrl = Annotated[
    SecretStr, AfterValidator(lambda url: SecretStr(storage.understood(url.get_secret_value().strip())))
]
OpenPlace = Annotated[str, AfterValidator(lambda url: storage.open_place(url.strip()))]
StorageOptions = Annotated[
    SecretStr, AfterValidator(lambda text: SecretStr(storage.options_understood(text.get_secret_value())))
]
TracingEndpoint = Annotated[str, AfterValidator(lambda url: tracing.understood(url.strip()))]
TracingHeaders = Annotated[
    SecretStr, AfterValidator(lambda text: SecretStr(tracing.headers_understood(text.get_secret_value())))
]
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_TASK_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)+", re.ASCII)


def _task_name(name: str) -> str:
    """*name* itself, when it can be one."""
    if name and not _TASK_NAME.fullmatch(name):
        raise ValueError("must be a task's full name, such as billing.status_changed")
    return name


def _one_line(text: str) -> str:
    """*text* itself, when it can stand in a header."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be one line of ASCII, such as integrations@example.org")
    return text


def _bearer(token: SecretStr) -> SecretStr:
    """*token* itself, when it can stand in a header (RFC 6750, 2.1)."""
    if not _B64TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("must be letters, digits and - . _ ~ + / only, such as `openssl rand -hex 24` makes")
    return token


BearerToken = Annotated[SecretStr, AfterValidator(_bearer)]
LOCAL = SecretStr("redis://127.0.0.1:6379/0")
Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(ValueError):
    """Settings are wrong or unsafe; one line for each, none with a secret in it.

    Attributes:
        problems: The lines.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Tls(BaseModel):
    """How rediss:// servers are trusted; without files, by the machine's own authorities."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True


class Sentinel(BaseModel):
    """What sentinel:// addresses leave open: which primary, and the Sentinels' own account."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    primary: str = "mymaster"
    username: str | None = None
    password: SecretStr | None = None


class Settings(BaseSettings):
    """Everything a deployment may change.

    Attributes:
        broker_url: Messages: Redis, or RabbitMQ (amqp://, amqps://; ``docs/rabbitmq.md``).
        state_url: Gate, records, parking, dead letters: never evicts, appends to disk.
        cache_url: Answers: may evict, may be empty.
        inline_wait: A wait up to this long is waited out in the worker's slot.
        claim_lease: How long a worker that went silent keeps a call.
        provider_share: Of a worker's slots, for each provider of several: a slow one leaves room for others.
        sweep_interval: How often each worker looks for calls that nobody runs.
        visibility_timeout: When the broker hands an unacknowledged message out again.
        longest_countdown: No Celery countdown is longer.
        fleet_size: Worker processes that share the rate of a provider which is asked without Redis
            (``fails open``); each asks at its part of it.
        worker_pool: Celery takes ``-P prefork`` for no choice at all, so the choice is made here.
        log_dir: The folder for app.log, error.log, api.log and model.log; None is no files.
        metrics_port: 0 is any free one; a port that is taken is replaced in development.
        exporter_host: Where `narrows exporter` shows the fleet's state; exporter_port as metrics_port.
        metrics_token: Who asks for /metrics, of a worker or of the exporter, must bring it as a bearer token.
        metrics_open: Production may show /metrics beyond this machine without one.
        liveness_timeout: A worker whose consumer or sweeper is silent for so long is not healthy.
        tracing_endpoint: Where spans are sent, by OTLP over HTTP: http://127.0.0.1:4318; None is nowhere.
        tracing_headers: Go with them, ``name=value,name=value``; the collector's key may stand there.
        tracing_sample: The share of traces that is kept, chosen by the trace id, the same in all processes.
        contact: Stands in the User-Agent, so that a provider can reach us.
        cities: A folder of TOML files, each a city whose 311 is served (``docs/cities.md``).
        status_task: Which Celery task hears of each change of a submission's status, by its full name.
        replay_quota_floor: The share of a day's quota that replays leave to live calls.
        export_to: Where dead letters are exported to each day, s3://bucket/prefix or file:///folder; None is
            nowhere. ``export_options`` is more for the storage, as JSON: what fsspec takes.
        export_after: How old a dead letter is before it is exported.
        import_to: Below which place imports of data sets are written, s3://bucket/prefix or file:///folder;
            None is nowhere, and nothing is imported. ``import_options`` is more for the storage, as above.
        signing: Whose key signs messages, and whose signatures are taken; unsigned ones are refused then
            (``docs/signing.md``).
        sealing_keys: Keys that seal and open arguments, newest first; `narrows seal key` makes one.
        sealed_tasks: Whose arguments are sealed: ``provider.task``, ``provider.*`` or ``*``.
        flower_basic_auth: ``user:password``.
        flower_enabled: None is yes in development and no in production.
    """

    model_config = SettingsConfigDict(
        env_prefix=environment.PREFIX,
        env_nested_delimiter=environment.DELIMITER,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    environment: Literal["development", "production"] = "development"
    broker_url: BrokerUrl = LOCAL
    state_url: RedisUrl = LOCAL
    cache_url: RedisUrl = LOCAL
    result_url: RedisUrl = LOCAL
    tls: Tls = Tls()
    sentinel: Sentinel = Sentinel()
    redis_timeout: Seconds = 3.0
    providers: dict[str, ProviderSettings] = {}

    inline_wait: Annotated[float, Field(ge=0, le=30)] = 0.5
    claim_lease: Seconds = 30.0
    sweep_interval: Seconds = 1.0
    provider_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    visibility_timeout: Seconds = 300.0
    longest_countdown: Seconds = 30.0
    task_time_limit: Seconds = 150.0
    result_expires: Seconds = 86_400.0
    fleet_size: Number = 4
    worker_pool: Literal["threads", "prefork"] = "threads"
    worker_concurrency: Number = 32

    cities: Path | None = None
    status_task: Annotated[str, AfterValidator(_task_name)] = ""
    replay_quota_floor: Annotated[float, Field(ge=0, le=1)] = 0.1
    export_to: StorageUrl | None = None
    export_options: StorageOptions | None = None
    export_after: Seconds = 30 * 86_400.0
    import_to: OpenPlace | None = None
    import_options: StorageOptions | None = None

    signing: Signing = Signing()
    sealing_keys: SealingKeys = ()
    sealed_tasks: SealedTasks = ()

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["auto", "json", "pretty"] = "auto"
    log_dir: Path | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9808
    exporter_host: str = "127.0.0.1"
    exporter_port: Port = 9809
    metrics_token: BearerToken | None = None
    metrics_open: bool = False
    liveness_timeout: Seconds = 60.0
    tracing_endpoint: TracingEndpoint | None = None
    tracing_headers: TracingHeaders | None = None
    tracing_sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    contact: Annotated[str, AfterValidator(_one_line)] = ""
    flower_basic_auth: SecretStr | None = None
    flower_enabled: bool | None = None

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None) -> Self:
        """The settings in *env*, the process's own environment when None.

        Raises:
            SettingsError: With every problem that was found, so that one start finds them all.
        """
        found = environment.read(os.environ if env is None else env, cls)
        try:
            loaded = cls(**_typed(cls, found.values))
        except ValidationError as error:
            raise SettingsError([*found.problems, *_lines(error)]) from None
        if problems := [*found.problems, *unsafe(loaded, found.values)]:
            raise SettingsError(problems)
        return loaded

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: load() reads the environment, once, with its files and checked names."""
        return (init_settings,)

    @property
    def in_production(self) -> bool:
        """Whether unsafe settings are refused."""
        return self.environment == "production"

    @property
    def runs_flower(self) -> bool:
        """Whether Flower belongs to the stack."""
        return not self.in_production if self.flower_enabled is None else self.flower_enabled

    def check_providers(self, known: Iterable[str]) -> None:
        """Nothing; SettingsError when a setting speaks of a provider that is not *known*."""
        names = list(known)
        strange = sorted(set(self.providers) - set(names))
        if strange:
            raise SettingsError(
                f"{environment.variable(('providers', name))}{environment.DELIMITER}… speaks of no provider"
                f"{environment.nearest(name, names)}"
                for name in strange
            )

    @model_validator(mode="after")
    def _no_copy_of_what_still_runs(self) -> Self:
        """The broker hands out a second copy of whatever is unacknowledged for visibility_timeout."""
        longest = self.longest_countdown + self.task_time_limit
        if self.visibility_timeout <= longest:
            raise ValueError(
                f"NARROWS_VISIBILITY_TIMEOUT ({self.visibility_timeout:g}) must be greater than "
                f"NARROWS_LONGEST_COUNTDOWN + NARROWS_TASK_TIME_LIMIT ({longest:g}): "
                "the broker would hand out a second copy of a task that still waits or runs"
            )
        return self

    @model_validator(mode="after")
    def _what_is_sealed_has_a_key(self) -> Self:
        """Without a key the arguments would lie in clear."""
        if self.sealed_tasks and not self.sealing_keys:
            raise ValueError("NARROWS_SEALED_TASKS needs NARROWS_SEALING_KEYS: `narrows seal key` makes one")
        return self

    @model_validator(mode="after")
    def _no_exchange_outlives_its_task(self) -> Self:
        """Threads know no time limits, so the exchange's own deadline must come first."""
        for name, provider in self.providers.items():
            if (provider.total_timeout or 0.0) >= self.task_time_limit:
                where = environment.variable(("providers", name, "total_timeout"))
                raise ValueError(
                    f"{where} must be less than NARROWS_TASK_TIME_LIMIT ({self.task_time_limit:g})"
                )
        return self


@cache
def settings() -> Settings:
    """This process's settings, read from its environment once."""
    return Settings.load()


def _typed(model: type[BaseSettings], values: Mapping[str, str]) -> dict[str, Any]:
    """*values* nested as *model* is; pydantic-settings knows how."""
    source = EnvSettingsSource(model)
    source.env_vars = {f"{environment.PREFIX.lower()}{name}": value for name, value in values.items()}
    return source()


def _lines(error: ValidationError) -> list[str]:
    """What pydantic found, by the variable's name and without the value."""
    return [_line(one["loc"], one["msg"]) for one in error.errors(include_input=False, include_url=False)]


def _line(path: tuple[str | int, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{environment.variable(path)}: {text}" if path else text
