"""A form on the wire: what ``Request.form`` becomes."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.http.auth import WireAuth
from worker.http.wire import Wire
from worker.provider import Provider
from worker.request import Request

WIRE = Wire(
    Provider(name="acme", base_url="http://127.0.0.1"), WireAuth(), user_agent="tests", prefix="/mount"
)
POST = Request(method="POST", path="/messages", form={"To": "+12125550123", "Body": "1 & 2 = 3"})


def test_a_form_is_encoded_and_named_by_its_type() -> None:
    """A plus is no space, and an ampersand no next field."""
    ready = WIRE.ready(POST)
    assert ready.target == "/mount/messages"
    assert ready.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert ready.body == b"To=%2B12125550123&Body=1+%26+2+%3D+3"


@given(form=st.dictionaries(st.text(min_size=1), st.text(), max_size=4))
def test_whatever_stands_in_a_form_arrives(form: dict[str, str]) -> None:
    """Empty values and letters of all alphabets, too."""
    body = WIRE.ready(replace(POST, form=form)).body
    assert body is not None
    assert dict(parse_qsl(body.decode("ascii"), keep_blank_values=True)) == form


@pytest.mark.parametrize("header", ["Content-Type", "content-type"])
def test_a_requests_own_type_comes_before_the_forms(header: str) -> None:
    """There is one of it, however it is written."""
    ready = WIRE.ready(replace(POST, headers={header: "application/x-www-form-urlencoded; charset=utf-8"}))
    found = [value for name, value in ready.headers.items() if name.lower() == "content-type"]
    assert found == ["application/x-www-form-urlencoded; charset=utf-8"]


def test_forms_that_ask_the_same_are_known_by_the_same_fingerprint() -> None:
    """Whatever the order of their fields; a form is no JSON and no query."""
    turned = dict(reversed(list((POST.form or {}).items())))
    assert replace(POST, form=turned).fingerprint == POST.fingerprint
    others = [replace(POST, form={}), replace(POST, form=None), replace(POST, form=None, data=dict(turned))]
    others.append(replace(POST, form=None, params=turned))
    assert len({each.fingerprint for each in [POST, *others]}) == 5
