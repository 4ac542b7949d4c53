"""Sealed arguments: what opens them, what does not, and that nothing of them or of a key is ever said."""

from __future__ import annotations

import base64
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.json import loads
from pydantic import SecretStr

import tasks
from config.settings import Settings, SettingsError
from worker.errors import ArgumentsInvalid, ConfigurationError, SealBroken
from worker.keys import digest
from worker.redaction import excerpt, masked
from worker.sealing.body import sealed_body
from worker.sealing.sealer import MARK, Sealer, chosen_sealer, is_sealed, key_ids

OLD, NEW, STRANGE = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"o", b"n", b"s"))
TASK, OTHER = "nyc311.submit", "nyc311.check"
NAME = "Jane Canary"
OPERATION = tasks.fetch_permits.operation
KNOWN = {name: SimpleNamespace(guarded=True) for name in (TASK, OTHER)}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def sealer(*keys: str, patterns: tuple[str, ...] = ("nyc311.*",)) -> Sealer:
    """A sealer that has *keys*, newest first."""
    return Sealer(keys, patterns)


def sealed(key: str = OLD, task: str = TASK) -> list[Any]:
    """The canary, sealed."""
    args, _ = sealer(key).seal(task, [NAME], {"phone": "2125550100"})
    return args


@given(st.lists(JSON), st.dictionaries(st.text().filter(lambda name: name != "__type__"), JSON))
def test_what_is_sealed_is_opened_as_it_was(args: list[Any], kwargs: dict[str, Any]) -> None:
    """Whatever JSON can hold, by place and by name; sealed again it stays as it is."""
    both = sealer(NEW, OLD)

    closed = both.seal(TASK, args, kwargs)

    if args or kwargs:
        assert is_sealed(closed[0])
        assert closed[1] == {}
    assert both.seal(TASK, *closed) == closed
    assert both.open(TASK, *closed) == (args, kwargs)


def test_nothing_of_the_arguments_is_seen() -> None:
    """Neither in the envelope nor where a message is shown."""
    closed = sealed()

    assert NAME not in json.dumps(closed)
    assert masked(OPERATION, closed, {}) == ("(<sealed>,)", "{}")
    assert excerpt(OPERATION, closed, {}) == "<sealed>"


def test_an_older_key_still_opens_and_the_newest_seals() -> None:
    """A change of keys goes on while calls lie in Redis."""
    both = sealer(NEW, OLD)

    assert both.open(TASK, sealed(OLD), {}) == ([NAME], {"phone": "2125550100"})
    assert key_ids(json.dumps(both.seal(TASK, [NAME], {})[0])) == [digest(NEW)]


def test_a_result_before_sealed_arguments_and_names_beside_them_are_put_together() -> None:
    """So Celery calls a chain's next step."""
    one = sealer(OLD)

    assert one.open(TASK, [7, *sealed()], {"zip": "10001"}) == (
        [7, NAME],
        {"phone": "2125550100", "zip": "10001"},
    )
    args, kwargs = one.seal(TASK, [7, *sealed()], {})
    assert len(args) == 1
    assert one.open(TASK, args, kwargs)[0] == [7, NAME]


@pytest.mark.parametrize(
    ("keys", "task", "args", "said"),
    [
        ((NEW,), TASK, sealed(OLD), f"sealed with key {digest(OLD)}, which is not here"),
        ((), TASK, sealed(OLD), f"sealed with key {digest(OLD)}, which is not here"),
        ((OLD,), OTHER, sealed(OLD), "meant for another task"),
        ((OLD,), TASK, [{MARK: sealed(OLD)[0][MARK][:-6] + "AAAAA="}], "changed on their way"),
        ((OLD,), TASK, [{MARK: f"{digest(OLD)}.{NAME}"}], "changed on their way"),
        ((OLD,), TASK, [{MARK: f"{digest(OLD)}."}], "changed on their way"),
        ((OLD,), TASK, [{MARK: NAME}], "sealed with a key, which is not here"),
        ((OLD,), TASK, [{MARK: f"{digest(OLD)}.ä"}], "changed on their way"),
        (
            (OLD, NEW),
            TASK,
            [{MARK: f"{digest(NEW)}.{sealed(OLD)[0][MARK].partition('.')[2]}"}],
            "changed on their way",
        ),
        *(
            ((OLD,), TASK, [{MARK: f"{digest(OLD)}.{Fernet(OLD).encrypt(inside).decode()}"}], said)
            for inside, said in [
                (b"\xff", "changed on their way"),
                (b"[]", "changed on their way"),
                (b"{}", "changed on their way"),
                (b'{"task":"nyc311.submit","args":"Jane Canary","kwargs":{}}', "meant for another task"),
            ]
        ),
    ],
)
def test_what_cannot_be_opened_says_why_and_nothing_else(
    keys: tuple[str, ...], task: str, args: list[Any], said: str
) -> None:
    """A key that is not here, another task's token, a changed one: no word of the arguments or of a key."""
    patterns = ("nyc311.*",) if keys else ()

    with pytest.raises(SealBroken, match=said) as broken:
        sealer(*keys, patterns=patterns).open(task, args, {})

    told = f"{broken.value!r} {pickle.dumps(broken.value)!r} {broken.value.__cause__!r}"
    for secret in (NAME, "2125550100", OLD, NEW):
        assert secret not in told
    assert broken.value.code == "sealed"


def test_a_foreign_producer_can_seal() -> None:
    """With nothing but Fernet, JSON and SHA-256: by the code in docs/sealing.md."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "sealing.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    recipe: dict[str, Any] = {}
    exec(code, recipe)  # noqa: S102 - our own document

    args = recipe["sealed"](OLD, TASK, [NAME], {"zip": "10001"})

    assert is_sealed(args)
    assert sealer(OLD).open(TASK, args, {}) == ([NAME], {"zip": "10001"})


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (("*",), {TASK, OTHER, "benefits.screen"}),
        (("nyc311.*",), {TASK, OTHER}),
        ((TASK,), {TASK}),
        ((), set()),
    ],
)
def test_tasks_are_chosen_by_name_by_provider_or_all(patterns: tuple[str, ...], chosen: set[str]) -> None:
    """As the settings name them."""
    one = Sealer([OLD], patterns)

    assert {name for name in (TASK, OTHER, "benefits.screen") if one.seals(name)} == chosen
    assert one.seal("elsewhere.task", [NAME], {}) == ([NAME], {}) or "*" in patterns


def test_tokens_are_sealed_anew_wherever_they_stand() -> None:
    """In a message, and quoted in JSON within JSON; what cannot be opened stays as it is."""
    text = json.dumps(
        ["before", json.dumps(sealed(OLD)), sealed(NEW), sealed(STRANGE), f"{digest(OLD)}.gAAAAAx"]
    )
    both = sealer(NEW, OLD)

    anew = json.loads(both.resealed(text))

    assert key_ids(anew[1]) == [digest(NEW)]
    assert both.open(TASK, json.loads(anew[1]), {})[0] == [NAME]
    assert anew[2:] == json.loads(text)[2:]
    assert key_ids(text) == [digest(OLD), digest(NEW), digest(STRANGE), digest(OLD)]


def test_next_steps_are_sealed_and_the_callers_signatures_stay() -> None:
    """A chain's steps, a chord's body, what is linked, one within another."""
    inner = {"task": OTHER, "args": [NAME], "kwargs": {}, "options": {}}
    group = {"task": "celery.group", "args": [], "kwargs": {"tasks": [inner]}, "options": {}}
    step = {"task": TASK, "args": [], "kwargs": {"name": NAME}, "options": {"link_error": [inner]}}
    embedded = {"chain": [step, group], "callbacks": None, "errbacks": None, "chord": {**inner}}
    before = json.dumps(embedded)
    one = sealer(OLD)

    args, kwargs, made = sealed_body(one, KNOWN, "celery.plain", ([1, {"a": 2}], {}, embedded))

    assert NAME not in json.dumps(made)
    assert json.dumps(embedded) == before
    assert (args, kwargs) == ([1, {"a": 2}], {})
    assert one.open(TASK, made["chain"][0]["args"], {}) == ([], {"name": NAME})
    assert one.open(OTHER, made["chain"][1]["kwargs"]["tasks"][0]["args"], {}) == ([NAME], {})


@pytest.mark.parametrize("builtin", ["celery.map", "celery.starmap", "celery.chunks"])
def test_map_and_chunks_of_a_sealed_task_are_refused(builtin: str) -> None:
    """They would send many calls' arguments in clear, in a message of Celery's own."""
    kwargs = {"task": {"task": TASK, "args": [], "kwargs": {}}, "it": [[NAME]]}

    with pytest.raises(ArgumentsInvalid, match="take enqueue_many, or a group"):
        sealed_body(sealer(OLD), KNOWN, builtin, ((), kwargs, {}))
    step = {"task": builtin, "args": [], "kwargs": kwargs, "options": {}}
    with pytest.raises(ArgumentsInvalid):
        sealed_body(sealer(OLD), KNOWN, "celery.plain", ((), {}, {"chain": [step]}))


def load(**env: str) -> Settings:
    """Settings from variables without their prefix."""
    return Settings.load({f"NARROWS_{name}": value for name, value in env.items()})


def test_keys_and_tasks_are_read_from_variables_and_a_file(tmp_path: Any) -> None:
    """Commas, JSON or lines; a key given twice counts once, and none is shown."""
    file = tmp_path / "keys"
    file.write_text(f"{NEW}\n{OLD}\n{NEW}\n")

    settings = load(SEALING_KEYS_FILE=str(file), SEALED_TASKS="nyc_open_data.*, nyc_open_data.fetch_bbl")

    assert [key.get_secret_value() for key in settings.sealing_keys] == [NEW, OLD]
    assert settings.sealed_tasks == ("nyc_open_data.*", "nyc_open_data.fetch_bbl")
    assert load(SEALING_KEYS=json.dumps([OLD]), SEALED_TASKS="*").sealed_tasks == ("*",)
    assert NEW not in repr(settings)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"SEALED_TASKS": "*"}, "NARROWS_SEALED_TASKS needs NARROWS_SEALING_KEYS: `narrows seal key`"),
        ({"SEALING_KEYS": f"{OLD},hunter2"}, "NARROWS_SEALING_KEYS: key 2 is none: it takes 32 bytes"),
        ({"SEALING_KEYS": OLD[:-1]}, "key 1 is none"),
        ({"SEALING_KEYS": "[hunter2"}, "must be a JSON list of texts"),
        ({"SEALING_KEYS": OLD, "SEALED_TASKS": "nyc 311"}, "takes provider.task, provider.* or *"),
        ({"SEALING_KEY": OLD}, "did you mean NARROWS_SEALING_KEYS"),
    ],
)
def test_wrong_settings_are_refused_without_showing_a_key(env: dict[str, str], said: str) -> None:
    """At start, whoever starts."""
    with pytest.raises(SettingsError) as wrong:
        load(**env)

    assert said in str(wrong.value)
    assert "hunter2" not in str(wrong.value)
    assert OLD[:20] not in str(wrong.value)


@pytest.mark.filterwarnings("ignore:Task name:celery.exceptions.DuplicateTaskNameWarning")  # of other tests
@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("nyc_open_data.fetch_permit", "nyc_open_data.fetch_permits"),
        ("nyc_opendata.*", "nyc_open_data.*"),
        ("upkeep.check_health", ""),
    ],
)
def test_a_task_that_there_is_not_is_refused_with_the_nearest(pattern: str, nearest: str) -> None:
    """Or its arguments would lie in clear, and nobody would know. What beat starts is no provider's."""
    settings = Settings(sealing_keys=(SecretStr(OLD),), sealed_tasks=(pattern,))

    with pytest.raises(ConfigurationError, match="is no provider's task") as wrong:
        chosen_sealer(settings)

    assert (f"did you mean {nearest}?" in str(wrong.value)) == bool(nearest)


def test_who_does_not_seal_does_not_load_cryptography() -> None:
    """Nor does a process that only has keys; redis-py looks whether the package is there, and no more."""
    code = (
        "import sys, tasks; from worker.engine import engine; from worker.application import app;"
        "s = engine().sealer; s.open('a.b', [1], {}); s.seal('a.b', [1], {});"
        "app.amqp.create_task_message('1', 'nyc_open_data.fetch_permits', ['1012650001'], {});"
        "sys.exit('cryptography.fernet' in sys.modules)"
    )

    for env in ({}, {"NARROWS_SEALING_KEYS": OLD}):
        assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60, check=False).returncode == 0


def test_a_token_opens_to_what_kombu_would_have_read() -> None:
    """Types that Celery's JSON carries survive the seal as they do without it."""
    from datetime import UTC, datetime
    from uuid import UUID

    given_ = [datetime(2026, 11, 21, tzinfo=UTC), UUID(int=7)]
    from kombu.utils.json import dumps

    args, kwargs = sealer(OLD).seal(TASK, given_, {})

    assert sealer(OLD).open(TASK, args, kwargs)[0] == loads(dumps(given_)) == given_
