"""Settings that sign messages: what is refused at start, and what ties a body to its headers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import DecodeError
from kombu.serialization import dumps, loads

from config.settings import Settings, SettingsError
from tests.certificates import Pair, pair
from tests.fleet import until
from worker.errors import ConfigurationError
from worker.signing.binding import PART, bound, digest, signed_text, unsigned
from worker.signing.signer import days_left, install


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where keys lie."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Pair:
    """A key, and its certificate, which is trusted."""
    return pair(folder / "ours", "ours")


def settings(own: Pair, trusted: Path, **more: str) -> Settings:
    """Those of who signs with *own*."""
    return Settings.load({**own.env(trusted), **more})


@dataclass(frozen=True)
class Message:
    """What kombu hands over, as far as it is looked at."""

    headers: Mapping[str, Any]
    body: tuple[Any, Any, Any]
    content_type: str = "application/data"

    def _replace(self, **changes: Any) -> Message:
        return replace(self, **changes)

    @property
    def payload(self) -> Any:
        """The body as it arrives, signed."""
        _, _, text = dumps(self.body, serializer="auth")
        return loads(text, self.content_type, "utf-8", accept=["application/data"])


def test_half_of_the_settings_is_refused() -> None:
    """It would sign and not verify, or the other way round."""
    with pytest.raises(
        SettingsError, match="needs NARROWS_SIGNING__CERT_FILE and NARROWS_SIGNING__CERTS, too"
    ):
        Settings.load({"NARROWS_SIGNING__KEY_FILE": "/nowhere"})


WRONG: list[tuple[str, Callable[[Path, Pair], Pair], str]] = [
    ("no-key", lambda at, own: replace(own, key=at / "none"), "KEY_FILE: .* cannot be read: No such file"),
    ("no-cert", lambda at, own: replace(own, cert=at / "none"), "CERT_FILE: .* cannot be read: No such file"),
    ("no-pem", lambda _, own: replace(own, key=own.cert), "KEY_FILE: is no RSA private key"),
    ("curve", lambda at, _: pair(at, "curve", curve=True), "KEY_FILE: is no RSA private key"),
    ("short", lambda at, _: pair(at, "short", bits=1024), "KEY_FILE: is too short: take 2048 bits"),
    ("locked", lambda at, _: pair(at, "locked", password="a"), "KEY_FILE: .*NARROWS_SIGNING__KEY_PASSWORD"),
    (
        "alien",
        lambda at, own: replace(own, cert=pair(at, "a").cert),
        "CERT_FILE: is the certificate of another",
    ),
    ("old", lambda at, _: pair(at, "old", ends_in=timedelta(days=-1)), "CERT_FILE: has expired on 20"),
    ("stranger", lambda at, _: pair(at, "stranger"), "CERT_FILE: is not among NARROWS_SIGNING__CERTS"),
]


@pytest.mark.parametrize(("change", "said"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_files_that_do_not_fit_stop_a_process_with_the_settings_name(
    tmp_path: Path, ours: Pair, change: Callable[[Path, Pair], Pair], said: str
) -> None:
    """Whatever is wrong with them, it is said before anything is published or taken."""
    with pytest.raises(ConfigurationError, match=f"NARROWS_SIGNING__{said}"):
        install(settings(change(tmp_path, ours), ours.cert.parent))


def test_trusted_certificates_must_be_some(tmp_path: Path, ours: Pair) -> None:
    """An empty folder would refuse every message."""
    with pytest.raises(ConfigurationError, match="NARROWS_SIGNING__CERTS: names no certificate"):
        install(settings(ours, tmp_path))


def test_an_expired_certificate_among_the_trusted_is_left_out(tmp_path: Path, ours: Pair) -> None:
    """Of two that are trusted while keys change, the old one runs out one day; that stops nobody's start."""
    pair(tmp_path, "old", ends_in=timedelta(days=-1))
    (tmp_path / "ours.pem").write_bytes(ours.cert.read_bytes())

    install(settings(ours, tmp_path))

    assert 29 < (days_left(settings(ours, tmp_path)) or 0) < 30
    assert days_left(Settings.load({})) is None


def test_production_refuses_a_key_that_others_may_read(tmp_path: Path) -> None:
    """Whoever reads it may run any task."""
    own = pair(tmp_path, "open")
    chosen = settings(own, tmp_path).model_copy(update={"environment": "production"})
    install(chosen)
    own.key.chmod(0o644)

    with pytest.raises(ConfigurationError, match="KEY_FILE: may be read or written by others: chmod 600"):
        install(chosen)


def test_a_key_with_a_password_is_opened_with_it(tmp_path: Path) -> None:
    """It comes from a secret, as others do."""
    own = pair(tmp_path, "locked", password="open sesame")

    install(settings(own, tmp_path, NARROWS_SIGNING__KEY_PASSWORD="open sesame"))


def test_a_certificate_that_runs_out_while_a_worker_runs_is_refused_from_then_on(tmp_path: Path) -> None:
    """Its signatures were taken until then; the reason says why they are not any more."""
    own = pair(tmp_path, "brief", ends_in=timedelta(seconds=2))
    install(settings(own, tmp_path))
    message = bound(Message(headers={"task": "a.b", "id": "1"}, body=([], {}, {})), None)
    before = unsigned(message)

    until(lambda: unsigned(message), 10.0)

    assert before == ""
    assert unsigned(message) == "the certificate that signed it has expired"


def test_a_certificate_of_tomorrow_is_refused(tmp_path: Path) -> None:
    """Celery itself looks at the end only."""
    own = pair(tmp_path, "early", began=timedelta(days=-1))
    install(settings(own, tmp_path))
    _, _, text = dumps({}, serializer="auth")

    with pytest.raises(DecodeError, match="not valid yet"):
        loads(text, "application/data", "utf-8", accept=["application/data"])


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        (b"application/json", b"unicode_escape"),
        (b"application/json", b"utf-7"),
        (b"application/x-python-serialize", b"binary"),
        (b"text/plain", b"utf-8"),
    ],
)
def test_what_was_signed_is_read_as_it_was_signed(tmp_path: Path, kind: bytes, encoding: bytes) -> None:
    """Its type and encoding lie beside the signature: another would make two arguments of one."""
    own = pair(tmp_path, "own")
    install(settings(own, tmp_path))
    _, _, text = dumps([[], {"note": 'a", "amount": "9'}, {}], serializer="auth")
    parts = base64.b64decode(text).split(b"\x00\x01", 4)
    other = base64.b64encode(b"\x00\x01".join([*parts[:2], kind, encoding, parts[4]])).decode()

    assert (
        loads(text, "application/data", "utf-8", accept=["application/data"])[1]["note"] == 'a", "amount": "9'
    )
    assert parts[2:4] == [b"application/json", b"utf-8"]
    with pytest.raises(DecodeError, match="Unexpected content"):
        loads(other, "application/data", "utf-8", accept=["application/data"])


HEADERS = {"task": "a.b", "id": "1", "expires": None, "timelimit": [None, 3], "narrows": {"at": 1.25, "v": 1}}


def test_a_body_is_tied_to_every_header_of_its_sender(tmp_path: Path) -> None:
    """Whichever is changed, left out or added, the worker sees it."""
    own = pair(tmp_path, "own")
    install(settings(own, tmp_path))
    message = bound(Message(headers=HEADERS, body=([1], {}, {"chain": None})), {"lane": "batch"})
    sent = {**HEADERS, "lane": "batch"}
    changed = [{**sent, name: "other"} for name in sent] + [
        {name: sent[name] for name in sent if name != left} for left in sent if left != "task"
    ]

    found = [unsigned(replace(message, headers=headers)) for headers in (*changed, {**sent, "more": 1})]

    assert unsigned(replace(message, headers=sent)) == ""
    assert {*found} == {"its headers are not those that were signed"}
    assert message.body[2] == {"chain": None, PART: digest(sent)}


def test_what_brokers_write_into_headers_does_not_count() -> None:
    """RabbitMQ counts deliveries there, kombu notes a second one and how a body is packed."""
    added = {"x-delivery-count": 2, "x-death": [], "redelivered": True, "compression": "gzip"}

    assert digest({**HEADERS, **added}) == digest(HEADERS)


@given(
    st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    )
)
def test_a_digest_is_the_same_on_either_side_of_the_broker(headers: dict[str, Any]) -> None:
    """Order and JSON's ways change nothing."""
    arrived = json.loads(json.dumps(dict(reversed(headers.items()))))

    assert digest(arrived) == digest(headers)


@given(st.binary())
def test_what_was_signed_is_read_without_harm_whatever_it_is(body: bytes) -> None:
    """Counting keys in messages looks at strangers' bytes, too."""
    assert isinstance(signed_text("application/data", body), bytes)
    assert signed_text("application/json", body) == body
