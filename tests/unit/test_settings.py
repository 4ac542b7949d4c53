"""Settings: what is read, what is refused, and that no message shows a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import Settings, SettingsError

SECRET = "hunter2"
SAFE = {
    "NARROWS_ENVIRONMENT": "production",
    "NARROWS_BROKER_URL": f"redis://:{SECRET}@state:6379/0",
    "NARROWS_STATE_URL": f"redis://:{SECRET}@state:6379/1",
    "NARROWS_RESULT_URL": f"redis://:{SECRET}@state:6379/2",
    "NARROWS_CACHE_URL": f"redis://:{SECRET}@cache:6379/0",
}


def problems(env: dict[str, str]) -> tuple[str, ...]:
    """The lines of the refusal of *env*, none of which shows the secret."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(env)
    assert SECRET not in str(caught.value)
    return caught.value.problems


def test_an_empty_environment_is_a_working_development() -> None:
    """Nothing needs to be set to try Narrows on one machine."""
    settings = Settings.load({})

    assert settings.environment == "development"
    assert {role.get_secret_value() for role in (settings.broker_url, settings.cache_url)} == {
        "redis://127.0.0.1:6379/0"
    }
    assert settings.inline_wait == 0.5
    assert settings.runs_flower


def test_nested_names_reach_the_provider_in_any_case() -> None:
    """``__`` opens a level, and case does not matter."""
    settings = Settings.load(
        {"NARROWS_PROVIDERS__NYC_OPEN_DATA__RATE": "2.5", "narrows_providers__nyc_open_data__api_key": SECRET}
    )

    provider = settings.providers["nyc_open_data"]
    assert provider.rate == 2.5
    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == SECRET
    assert SECRET not in repr(settings)


def test_the_process_environment_does_not_leak_into_settings_made_by_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``Settings(…)`` is pure, so tests see what they gave."""
    monkeypatch.setenv("NARROWS_INLINE_WAIT", "9")

    assert Settings().inline_wait == 0.5
    assert Settings.load().inline_wait == 9.0


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NARROWS_STAT_URL", "NARROWS_STATE_URL"),
        ("NARROWS_PROVIDERS__SPOTIFY__API_KYE", "NARROWS_PROVIDERS__SPOTIFY__API_KEY"),
        ("NARROWS_PROVIDERS__SPOTIFY__RATE__BURST", "NARROWS_PROVIDERS__SPOTIFY__BURST"),
        ("narrows_inline_wiat", "NARROWS_INLINE_WAIT"),
        ("NARROWS_TLS__CA", "NARROWS_TLS__CA_FILE"),
        ("NARROWS_STAT_URL_FILE", "NARROWS_STATE_URL"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name: str, meant: str) -> None:
    """A misspelt variable would otherwise be ignored in silence."""
    assert problems({name: SECRET}) == (f"{name} is not a setting; did you mean {meant}?",)


def test_a_name_that_is_near_nothing_is_refused_too() -> None:
    """And nothing is suggested that would only mislead."""
    assert problems({"NARROWS_QQWWZZ": "1"}) == ("NARROWS_QQWWZZ is not a setting",)


def test_other_programs_variables_are_none_of_our_business() -> None:
    """Only the prefix is ours, and an empty value counts as none."""
    assert Settings.load({"NARROW_X": "1", "PATH": "/bin", "NARROWS_STATE_URL": ""}) == Settings()


def test_secrets_are_read_from_files_without_their_last_newline(tmp_path: Path) -> None:
    """Docker and Kubernetes hand secrets over as files."""
    (tmp_path / "url").write_text(f"redis://:{SECRET}@state:6379/0\n", encoding="utf-8")
    (tmp_path / "key").write_text(f"  {SECRET}\n", encoding="utf-8")

    settings = Settings.load(
        {
            "NARROWS_STATE_URL_FILE": str(tmp_path / "url"),
            "NARROWS_PROVIDERS__SPOTIFY__API_KEY_FILE": str(tmp_path / "key"),
        }
    )

    assert settings.state_url.get_secret_value() == f"redis://:{SECRET}@state:6379/0"
    key = settings.providers["spotify"].api_key
    assert key is not None
    assert key.get_secret_value() == SECRET


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two was meant cannot be known."""
    (tmp_path / "url").write_text("redis://b:6379/0", encoding="utf-8")

    (line,) = problems(
        {"NARROWS_STATE_URL": "redis://a:6379/0", "NARROWS_STATE_URL_FILE": str(tmp_path / "url")}
    )

    assert "given twice" in line
    assert "NARROWS_STATE_URL_FILE" in line


API_KEYS = "NARROWS_PROVIDERS__SPOTIFY__API_KEYS"


@pytest.mark.parametrize(
    "text",
    [
        f'["{SECRET}-1", "{SECRET}-2"]',
        f'  [ "{SECRET}-1 ", "", "{SECRET}-2" ]  ',
        f"{SECRET}-1,{SECRET}-2",
        f" {SECRET}-1 , {SECRET}-2, ",
        f"{SECRET}-1\n{SECRET}-2\n",
    ],
)
def test_several_keys_are_a_json_list_or_have_commas_or_line_breaks_between_them(
    text: str, tmp_path: Path
) -> None:
    """As a variable or in a file, and no representation shows them."""
    (tmp_path / "keys").write_text(text, encoding="utf-8")

    given = [Settings.load({API_KEYS: text}), Settings.load({f"{API_KEYS}_FILE": str(tmp_path / "keys")})]

    assert [settings.providers["spotify"].credentials for settings in given] == [
        (f"{SECRET}-1", f"{SECRET}-2")
    ] * 2
    assert SECRET not in repr(given) + str(given) + repr(given[0].model_dump())
    assert SECRET not in given[0].model_dump_json()


def test_a_key_with_a_comma_in_it_needs_the_json_list() -> None:
    """There a comma is a comma."""
    settings = Settings.load({API_KEYS: '["a,b"]'})

    assert settings.providers["spotify"].credentials == ("a,b",)


def test_the_single_key_comes_first_and_no_key_twice() -> None:
    """So that a deployment with one key adds the second without changing the first."""
    settings = Settings.load({"NARROWS_PROVIDERS__SPOTIFY__API_KEY": "one", API_KEYS: "two,one,two"})

    assert settings.providers["spotify"].credentials == ("one", "two")


@pytest.mark.parametrize(
    "text", [f'["{SECRET}"', f'["{SECRET}", 1]', f'[["{SECRET}"]]', "[]", '["", " "]', ",", " \n "]
)
def test_keys_that_are_none_are_refused_without_being_shown(text: str) -> None:
    """A broken list must not become one odd key."""
    (line,) = problems({API_KEYS: text})

    assert line.startswith(f"{API_KEYS}: ")


@pytest.mark.parametrize(
    "setting",
    ["RETRY_BUDGET=1.1", "RETRY_BUDGET=-0.1", "RETRY_FLOOR=-1", "MAX_COOLDOWN=0", "COOLDOWN=inf",
     "TOO_LONG=maybe", "QUOTA_SPENT=later", "DAILY_QUOTA=0"],
)  # fmt: skip
def test_a_limit_without_sense_is_refused(setting: str) -> None:
    """By the variable's name."""
    name, value = setting.split("=", 1)

    (line,) = problems({f"NARROWS_PROVIDERS__SPOTIFY__{name}": value})

    assert line.startswith(f"NARROWS_PROVIDERS__SPOTIFY__{name}: ")


def test_a_missing_or_empty_secret_file_names_its_variable(tmp_path: Path) -> None:
    """The variable tells where to look; the file's content stays out of it."""
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    lines = problems(
        {
            "NARROWS_BROKER_URL_FILE": str(tmp_path / "empty"),
            "NARROWS_RESULT_URL_FILE": str(tmp_path / "binary"),
            "NARROWS_STATE_URL_FILE": str(tmp_path / "missing"),
        }
    )

    assert [line.split(" ", 1)[0] for line in lines] == [
        "NARROWS_BROKER_URL_FILE",
        "NARROWS_RESULT_URL_FILE",
        "NARROWS_STATE_URL_FILE",
    ]


def test_all_problems_are_told_at_once() -> None:
    """One start finds them all, one line each."""
    lines = problems(
        {"NARROWS_STAT_URL": "x", "NARROWS_BROKER_URL": f"http://{SECRET}", "NARROWS_LOG_LEVEL": "?"}
    )

    assert len(lines) == 3
    assert any(line.startswith("NARROWS_BROKER_URL: must start with redis://") for line in lines)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://user:p%40ss@host:6379/3",
        "rediss://:pw@host:6380/0",
        "unix:///run/valkey.sock?db=2",
        "sentinel://:pw@a:26379/0;sentinel://:pw@b:26379/0",
    ],
)
def test_every_kind_of_redis_address_is_understood(url: str) -> None:
    """Standalone, TLS, a socket file, Sentinel."""
    assert Settings.load({"NARROWS_STATE_URL": url}).state_url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        f"http://{SECRET}@host/0",
        f"redis://:{SECRET}/x@host:6379/0",
        f"redis://:{SECRET}@host:99999/0",
        f"redis://:{SECRET}@host:6379/zero",
        f"redis://:{SECRET}@[::1/0",
        f"redis://:{SECRET}@",
        f"unix://:{SECRET}@",
        f"unix:///run/{SECRET}.sock?db=x",
    ],
)
def test_an_address_that_names_no_redis_is_refused_without_showing_it(url: str) -> None:
    """The password in it stays out of the message."""
    (line,) = problems({"NARROWS_STATE_URL": url})

    assert line.startswith("NARROWS_STATE_URL: ")


def test_the_visibility_timeout_holds_every_wait_and_every_run() -> None:
    """Otherwise the broker hands out second copies of what still waits or runs."""
    (line,) = problems({"NARROWS_VISIBILITY_TIMEOUT": "180"})

    assert "NARROWS_VISIBILITY_TIMEOUT (180) must be greater than" in line
    assert Settings.load({"NARROWS_VISIBILITY_TIMEOUT": "180.5"}).visibility_timeout == 180.5


def test_no_exchange_may_outlive_its_task() -> None:
    """Threads know no time limit; the exchange's deadline has to come first."""
    (line,) = problems({"NARROWS_PROVIDERS__SPOTIFY__TOTAL_TIMEOUT": "150"})

    assert line.startswith("NARROWS_PROVIDERS__SPOTIFY__TOTAL_TIMEOUT must be less than")


@pytest.mark.parametrize(
    "setting",
    ["RATE=0", "RATE=-1", "RATE=inf", "RATE=nan", "BURST=0", "BASE_URL=ftp://x", "BASE_URL=https://x/?q=1",
     f"BASE_URL=https://u:{SECRET}@x", "CACHE_SECONDS=-1"],
)  # fmt: skip
def test_a_provider_setting_without_sense_is_refused(setting: str) -> None:
    """A rate of zero or an address with a query would only be found out on the wire."""
    name, value = setting.split("=", 1)

    (line,) = problems({f"NARROWS_PROVIDERS__SPOTIFY__{name}": value})

    assert line.startswith(f"NARROWS_PROVIDERS__SPOTIFY__{name}: ")


def test_settings_of_a_provider_that_does_not_exist_are_refused_with_the_nearest() -> None:
    """Only who knows the providers can tell, so the worker asks."""
    settings = Settings.load({"NARROWS_PROVIDERS__SPOTFY__RATE": "1"})

    with pytest.raises(SettingsError, match=r"NARROWS_PROVIDERS__SPOTFY.*did you mean spotify"):
        settings.check_providers(["spotify", "lastfm"])
    settings.check_providers(["spotfy"])


def test_production_with_passwords_and_its_own_cache_starts() -> None:
    """And runs no Flower unless it is asked to."""
    settings = Settings.load(SAFE)

    assert settings.in_production
    assert not settings.runs_flower


def test_production_does_not_start_on_the_defaults() -> None:
    """Each of the four addresses is missed by name."""
    lines = problems({"NARROWS_ENVIRONMENT": "production"})

    assert [line.split(" ", 1)[0] for line in lines] == [
        "NARROWS_BROKER_URL",
        "NARROWS_STATE_URL",
        "NARROWS_CACHE_URL",
        "NARROWS_RESULT_URL",
    ]


@pytest.mark.parametrize(
    ("unsafe", "word"),
    [
        ({"NARROWS_STATE_URL": "redis://state:6379/1"}, "no password"),
        ({"NARROWS_STATE_URL": f"sentinel://:{SECRET}@a:26379;sentinel://b:26379"}, "no password"),
        ({"NARROWS_CACHE_URL": f"redis://:{SECRET}@state:6379/7"}, "a server of its own"),
        (
            {"NARROWS_STATE_URL": f"rediss://:{SECRET}@s:6379/1", "NARROWS_TLS__VERIFY": "false"},
            "TLS__VERIFY",
        ),
        ({"NARROWS_PROVIDERS__SPOTIFY__VERIFY_TLS": "false"}, "verifies certificates"),
        ({"NARROWS_PROVIDERS__SPOTIFY__BASE_URL": "http://x"}, "over https"),
        ({"NARROWS_PROVIDERS__SPOTIFY__TOKEN_URL": "http://x"}, "tokens over https"),
        ({"NARROWS_FLOWER_ENABLED": "true"}, "NARROWS_FLOWER_BASIC_AUTH"),
        ({"NARROWS_FLOWER_ENABLED": "true", "NARROWS_FLOWER_BASIC_AUTH": SECRET}, "user:password"),
        ({"NARROWS_METRICS_HOST": "0.0.0.0"}, "NARROWS_METRICS_TOKEN"),  # noqa: S104 - refused
        ({"NARROWS_EXPORTER_HOST": "metrics.internal"}, "NARROWS_EXPORTER_HOST"),
    ],
)
def test_production_refuses_what_is_unsafe(unsafe: dict[str, str], word: str) -> None:
    """What is harmless on one machine is not on a network."""
    (line,) = problems({**SAFE, **unsafe})

    assert word in line


@pytest.mark.parametrize(
    "guard",
    [
        {"NARROWS_METRICS_TOKEN": SECRET},
        {"NARROWS_METRICS_OPEN": "true"},
        {"NARROWS_METRICS_HOST": "::1", "NARROWS_EXPORTER_HOST": "localhost"},
    ],
)
def test_production_shows_metrics_beyond_this_machine_only_behind_a_token_or_on_purpose(
    guard: dict[str, str],
) -> None:
    """A network that is trusted is somebody's decision."""
    everywhere = {"NARROWS_METRICS_HOST": "0.0.0.0", "NARROWS_EXPORTER_HOST": "::"}  # noqa: S104 - guarded

    assert Settings.load({**SAFE, **everywhere, **guard}).in_production


@pytest.mark.parametrize("token", [f"{SECRET} two", f"{SECRET}\r\nX: y", "é" + SECRET])
def test_a_token_that_no_header_can_hold_is_refused(token: str) -> None:
    """Nobody could ever bring it."""
    (line,) = problems({"NARROWS_METRICS_TOKEN": token})

    assert line.startswith("NARROWS_METRICS_TOKEN: ")


def test_a_socket_file_needs_no_password_in_production() -> None:
    """Its permissions say who may use it."""
    assert Settings.load({**SAFE, "NARROWS_STATE_URL": "unix:///run/valkey.sock?db=1"}).in_production


@pytest.mark.parametrize("contact", ["ops@example.org\r\nX-Evil: 1", "Zoë <z@example.org>"])
def test_a_contact_that_no_header_can_hold_is_refused(contact: str) -> None:
    """It stands in the User-Agent of every request, and each of them would fail."""
    (line,) = problems({"NARROWS_CONTACT": contact})

    assert line.startswith("NARROWS_CONTACT: must be one line of ASCII")


def test_a_providers_own_options_are_read_by_their_names() -> None:
    """The module that declares them says what they are; a name beside them is still refused."""
    options = (
        Settings.load({"NARROWS_PROVIDERS__TWILIO__OPTIONS__ACCOUNT_SID": "AC1"}).providers["twilio"].options
    )

    assert options == {"account_sid": "AC1"}
    assert problems({"NARROWS_PROVIDERS__TWILIO__OPTIONZ__ACCOUNT_SID": "AC1"})
