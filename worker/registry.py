"""The providers that this process knows, by name. Modules add themselves when imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.provider import Provider

__all__ = ["add", "names", "provider"]

_providers: dict[str, Provider] = {}


def add(provider: Provider) -> None:
    """Make *provider* known; a name belongs to one provider."""
    known = _providers.setdefault(provider.name, provider)
    if known is not provider:
        message = f"two providers are named {provider.name!r}"
        raise ValueError(message)


def names() -> tuple[str, ...]:
    """Every provider's name, sorted."""
    return tuple(sorted(_providers))


def provider(name: str) -> Provider:
    """The provider of that name; KeyError when there is none."""
    return _providers[name]
