"""What the deployment chose for a provider, where an operation has to know it.

Settings are read once for each process, so an operation that asks here does no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.auth.pieces import Basic
from worker.errors import ConfigurationError

if TYPE_CHECKING:
    from config.settings import ProviderSettings
    from worker.provider import Provider

__all__ = ["Choice", "choice", "chosen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One provider as it is deployed here.

    Attributes:
        provider: Its name.
        contract: Which of its published interfaces is spoken.
        keyed: It can be called: it has a credential, or needs none.
        options: What was chosen, or else is the default, by the option's name; None was not chosen.
        user: The first part of a Basic credential, which is no secret; "" without one, and where several
            credentials differ in it, of which the gate chooses another for each call.
    """

    provider: str
    contract: str = ""
    keyed: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    user: str = ""

    def option(self, name: str) -> Any:
        """The chosen value of an option that has to be set.

        Raises:
            ConfigurationError: It is not; the message names the variable.
        """
        value = self.options[name]
        if value is None:
            raise ConfigurationError(f"{variable(self.provider, name)} is not set")
        return value


def choice(provider: Provider) -> Choice:
    """What this process's settings say of *provider*."""
    from worker.engine import engine

    return chosen(provider, engine().settings.providers.get(provider.name))


def chosen(provider: Provider, settings: ProviderSettings | None) -> Choice:
    """What *settings* say of *provider*.

    Raises:
        ConfigurationError: They choose what it does not offer.
    """
    from worker.overrides import speaking

    provider = speaking(provider, settings.contract if settings else None)
    given = settings.options if settings else {}
    options = {name: option.default for name, option in provider.options.items()}
    for name, text in given.items():
        options[name] = _parsed(provider, name, text)
    needs = provider.auth is not None and provider.auth.required
    credentials = settings.credentials if settings else ()
    return Choice(
        provider=provider.name,
        contract=provider.contract,
        keyed=not needs or bool(credentials),
        options=options,
        user=_user_of_all(provider, credentials, options),
    )


def _user_of_all(provider: Provider, credentials: Sequence[str], options: Mapping[str, Any]) -> str:
    """The user of all Basic *credentials*; "" without one, or where each may have its own.

    Raises:
        ConfigurationError: They differ in it, and paths would name one of them.
    """
    if not isinstance(provider.auth, Basic):
        return ""
    users = {_user(each) for each in credentials}
    account = provider.auth.account
    if len(users) > 1 and account and not options[account]:
        several = f"NARROWS_PROVIDERS__{provider.name.upper()}__API_KEYS"
        name = variable(provider.name, account)
        raise ConfigurationError(f"{several}: all have to be of one account, or {name} has to name it")
    return users.pop() if len(users) == 1 else ""


def _user(credential: str) -> str:
    """What stands before the colon; nothing of a credential that has none, all of which may be secret."""
    first, colon, _ = credential.partition(":")
    return first if colon else ""


def variable(provider: str, option: str) -> str:
    """The environment variable that sets *option*."""
    return f"NARROWS_PROVIDERS__{provider.upper()}__OPTIONS__{option.upper()}"


def _parsed(provider: Provider, name: str, text: str) -> Any:
    from config.environment import nearest

    option = provider.options.get(name)
    if option is None:
        close = nearest(name, list(provider.options))
        raise ConfigurationError(f"{variable(provider.name, name)} is no option of {provider.name}{close}")
    try:
        return option.parse(text)
    except ValueError as wrong:
        raise ConfigurationError(f"{variable(provider.name, name)}: {wrong}") from None
