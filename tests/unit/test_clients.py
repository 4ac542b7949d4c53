"""The clients that a deployment's settings make of a provider: what is opened, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import certifi
import pytest
from pydantic import SecretStr

from config.settings import ProviderSettings
from worker.auth.pieces import Auth, Basic, ClientCredentials, Login, Pair
from worker.clients import TOKEN_WITHIN, open_clients, trusted
from worker.errors import ConfigurationError
from worker.provider import Provider, Timeouts

SECRET = SecretStr("canary-id:canary-secret")


def provider(auth: Any, **changed: Any) -> Provider:
    """One behind TLS."""
    return Provider(name="harbor", base_url="https://127.0.0.1:9/v1", auth=auth, **changed)


@pytest.mark.parametrize("auth", [None, Auth(query="key"), Basic(), Pair(query=("id", "key"))])
def test_who_buys_no_token_has_no_token_host(auth: Any) -> None:
    """Its credential goes with each request."""
    assert open_clients(provider(auth), ProviderSettings(api_key=SECRET)).token_host is None


def test_without_a_credential_there_is_nothing_to_buy_a_token_with() -> None:
    """Calls are refused before they leave."""
    assert open_clients(provider(Login(url="/login")), ProviderSettings()).token_host is None


@pytest.mark.parametrize(
    ("url", "path"), [("/login", "/login"), ("https://accounts.example.org/api/token", "/api/token")]
)
def test_a_token_is_asked_for_at_its_path_and_in_less_time(url: str, path: str) -> None:
    """Calls wait for it in their slots."""
    slow = Timeouts(total=60.0)
    host = open_clients(
        provider(ClientCredentials(url=url), timeouts=slow), ProviderSettings(api_key=SECRET)
    ).token_host

    assert host is not None
    assert (host.path, host.within) == (path, TOKEN_WITHIN)


@pytest.mark.parametrize("content", [None, "", "canary: not a certificate", "\0\0"])
def test_a_file_of_authorities_that_holds_none_is_named_by_its_variable(
    tmp_path: Path, content: str | None
) -> None:
    """Whatever is wrong with it; it may also have gone since the settings were read."""
    file = tmp_path / "ca.pem"
    file.write_text(content or "")
    settings = ProviderSettings(ca_file=file)
    if content is None:
        file.unlink()

    with pytest.raises(ConfigurationError) as refused:
        open_clients(provider(None), settings)

    assert str(refused.value) == ("NARROWS_PROVIDERS__HARBOR__CA_FILE: holds no certificate that can be read")


@pytest.mark.parametrize(
    ("settings", "verify"),
    [
        (None, True),
        (ProviderSettings(), True),
        (ProviderSettings(verify_tls=False), False),
        (ProviderSettings(ca_file=Path(certifi.where())), certifi.where()),
        (ProviderSettings(verify_tls=False, ca_file=Path(certifi.where())), False),
    ],
)
def test_certificates_are_checked_unless_somebody_says_otherwise(
    settings: ProviderSettings | None,
    verify: bool | str,  # noqa: FBT001 - requests' own parameter
) -> None:
    """Against the usual authorities, or a company's own."""
    assert trusted("harbor", settings) == verify
