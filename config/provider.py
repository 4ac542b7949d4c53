"""What a deployment may change about one provider; what is left out stays as its module declares it."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FilePath, SecretStr
from pydantic_settings import NoDecode

from config.lists import listed

__all__ = ["Number", "ProviderSettings", "Seconds"]

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[int, Field(gt=0)]


def _plain_address(url: str) -> str:
    """*url* without its last slash; ValueError when paths cannot be put behind it."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("must be an address like https://api.example.org")
    if parts.username or parts.password:
        raise ValueError("must not hold credentials; they have settings of their own")
    if parts.query or parts.fragment:
        raise ValueError("must not hold a query or a fragment; paths are put behind it")
    return url.rstrip("/")


def _several(keys: Any) -> Any:
    """The keys in a setting: one at least."""
    if not isinstance(keys, str):
        return keys
    found = listed(keys)
    if not found:
        raise ValueError("names no key")
    return found


Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_several)]


class ProviderSettings(BaseModel):
    """``NARROWS_PROVIDERS__<PROVIDER>__…``: None keeps what the provider module declares.

    Attributes:
        api_keys: More keys of the same provider, each with limits of its own: a JSON list, or a text with
            commas or line breaks between them.
        rate: Calls per second over the whole fleet, and each key.
        burst: Calls at once after a pause.
        daily_quota: Calls in one day of the provider's own time zone.
        contract: Which of the provider's published interfaces is spoken.
        max_concurrency: Calls in flight over the whole fleet.
        connect_timeout: Seconds; so are the other two, and *total_timeout* holds for all of an exchange.
        stale_if_error: Seconds for which an old answer may stand in when the provider is down.
        cache_seconds: Seconds for which an answer is fresh; 0 keeps none.
        breaker_failures: In a row; *breaker_ratio* is of the last calls, *breaker_reset_after* in seconds.
        retry_attempts: In all; *retry_within*, *retry_first* and *retry_most* are seconds, *retry_budget* is
            the most that retries may be of the fleet's calls, *retry_floor* of them in a minute aside.
        too_long: What becomes of a call that is throttled for longer than *max_cooldown*: ``fail`` or
            ``wait``.
        quota_spent: What becomes of calls when the day's quota is spent: ``wait`` or ``fail``.
        cooldown: Seconds of pause after a throttled answer that names none, *max_cooldown* at most.
        max_body: Bytes of an answer, decompressed.
        ca_file: The authorities to check its certificate against, and its token host's, where they are a
            company's own. They take the place of the usual ones; a file may hold both.
        token_url: Where its credential buys a token, when that is another place than its module says.
        options: What else its module lets a deployment choose, by name (``docs/providers.md``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: Annotated[str, AfterValidator(_plain_address)] | None = None
    api_key: SecretStr | None = None
    api_keys: Keys = ()
    rate: Seconds | None = None
    burst: Number | None = None
    daily_quota: Number | None = None
    contract: str | None = None
    max_concurrency: Number | None = None
    connect_timeout: Seconds | None = None
    read_timeout: Seconds | None = None
    total_timeout: Seconds | None = None
    verify_tls: bool | None = None
    ca_file: FilePath | None = None
    stale_if_error: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    cache_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    breaker_failures: Number | None = None
    breaker_ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    breaker_reset_after: Seconds | None = None
    breaker_successes: Number | None = None
    retry_attempts: Number | None = None
    retry_within: Seconds | None = None
    retry_first: Seconds | None = None
    retry_most: Seconds | None = None
    retry_budget: Annotated[float, Field(ge=0, le=1)] | None = None
    retry_floor: Annotated[int, Field(ge=0)] | None = None
    cooldown: Seconds | None = None
    max_cooldown: Seconds | None = None
    too_long: Literal["fail", "wait"] | None = None
    quota_spent: Literal["wait", "fail"] | None = None
    max_body: Number | None = None
    token_url: Annotated[str, AfterValidator(_plain_address)] | None = None
    options: dict[str, str] = {}

    @property
    def credentials(self) -> tuple[str, ...]:
        """Every key, the first one first, none twice."""
        given = [self.api_key] if self.api_key else []
        return tuple(dict.fromkeys(key.get_secret_value() for key in [*given, *self.api_keys]))
