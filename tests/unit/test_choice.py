"""What a deployment chose for a provider, as an operation hears it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.settings import Settings
from worker.auth.pieces import Basic, ClientCredentials, Pair
from worker.choice import Choice, chosen
from worker.errors import ConfigurationError
from worker.overrides import overridden
from worker.provider import Auth, Option, Provider


def berths(text: str) -> int:
    """A number of berths."""
    if not text.isdigit():
        raise ValueError("takes a whole number")
    return int(text)


HARBOR = Provider(
    name="harbor",
    base_url="https://harbor.example",
    contract="steam",
    auth=Auth(header="X-Api-Key"),
    options={
        "pilot": Option(about="who comes on board"),
        "berths": Option(about="how many", default=3, parse=berths),
    },
)
SAIL = replace(HARBOR, contract="sail", options={"wind": Option(about="from where", default="west")})
HARBOR = replace(HARBOR, contracts={"sail": SAIL})


def choice(**given: str) -> Choice:
    """The choice under ``NARROWS_PROVIDERS__HARBOR__<NAME>``."""
    env = {f"NARROWS_PROVIDERS__HARBOR__{name.upper()}": value for name, value in given.items()}
    return chosen(HARBOR, Settings.load(env).providers.get("harbor"))


def test_without_settings_all_is_as_declared() -> None:
    """It has no key, so it cannot be called."""
    assert choice() == Choice(
        provider="harbor", contract="steam", keyed=False, options={"pilot": None, "berths": 3}
    )


def test_an_option_is_parsed_where_it_is_chosen() -> None:
    """The operation hears a value and no text."""
    here = choice(api_key="k", options__berths="12", options__pilot="ann")

    assert here.keyed
    assert (here.option("berths"), here.option("pilot")) == (12, "ann")


def test_an_option_that_has_to_be_set_is_named_by_its_variable() -> None:
    """An operator reads what to set."""
    with pytest.raises(ConfigurationError, match=r"^NARROWS_PROVIDERS__HARBOR__OPTIONS__PILOT is not set$"):
        choice().option("pilot")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"options__berths": "many"},
            r"^NARROWS_PROVIDERS__HARBOR__OPTIONS__BERTHS: takes a whole number$",
        ),
        ({"options__berht": "1"}, r"OPTIONS__BERHT is no option of harbor.*berths"),
        ({"contract": "sail", "options__pilot": "ann"}, r"OPTIONS__PILOT is no option of harbor"),
        ({"contract": "oars"}, r"^NARROWS_PROVIDERS__HARBOR__CONTRACT: harbor speaks sail, steam$"),
    ],
)
def test_what_cannot_be_chosen_is_refused(given: dict[str, str], told: str) -> None:
    """With the nearest name there is, or what it takes; and the process does not start with it either."""
    with pytest.raises(ConfigurationError, match=told):
        choice(**given)

    env = {f"NARROWS_PROVIDERS__HARBOR__{name.upper()}": value for name, value in given.items()}
    with pytest.raises(ConfigurationError, match=told):
        overridden(HARBOR, Settings.load(env).providers["harbor"])


def test_a_refusal_does_not_repeat_what_was_chosen() -> None:
    """It may be a secret in the wrong place."""
    with pytest.raises(ConfigurationError) as refused:
        choice(options__berths="CANARY")

    assert "CANARY" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_another_contract_has_options_of_its_own() -> None:
    """They are part of the interface."""
    assert choice(contract="sail").options == {"wind": "west"}
    assert choice(contract="steam").contract == "steam"


@pytest.mark.parametrize(
    ("auth", "given", "keyed"),
    [
        (None, {}, True),
        (Auth(header="X-Api-Key", required=False), {}, True),
        (Auth(header="X-Api-Key"), {}, False),
        (Auth(header="X-Api-Key"), {"api_key": "k"}, True),
        (Auth(header="X-Api-Key"), {"api_keys": "k,l"}, True),
        (Pair(query=("id", "key")), {}, False),
        (Pair(query=("id", "key")), {"api_key": "i:k"}, True),
        (ClientCredentials(url="/token"), {}, False),
    ],
)
def test_a_provider_is_keyed_when_it_can_be_called(auth: Auth, given: dict[str, str], keyed: bool) -> None:  # noqa: FBT001
    """Composites ask before they count on it."""
    env = {f"NARROWS_PROVIDERS__HARBOR__{name.upper()}": value for name, value in given.items()}

    assert chosen(replace(HARBOR, auth=auth), Settings.load(env).providers.get("harbor")).keyed == keyed


@pytest.mark.parametrize(
    ("auth", "key", "user"),
    [
        (Basic(), "AC1:secret", "AC1"),
        (Basic(), "secret-without-a-colon", ""),
        (Basic(), "AC1:secret,AC1:older", "AC1"),
        (Basic(), "AC1:secret,AC2:secret", ""),
        (Auth(header="X-Api-Key"), "AC1:secret", ""),
        (Pair(query=("id", "key")), "AC1:secret", ""),
    ],
)
def test_only_a_basic_credential_tells_its_user(auth: Basic | Auth | Pair, key: str, user: str) -> None:
    """It stands in paths, so it is the same for all; of other credentials every part may be secret."""
    env = {"NARROWS_PROVIDERS__HARBOR__API_KEYS": key}

    assert chosen(replace(HARBOR, auth=auth), Settings.load(env).providers["harbor"]).user == user
