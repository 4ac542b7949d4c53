"""The storage service as the sandbox plays it."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.sandbox import TOKEN, Sandbox

MARK = "/api/v1/watermarks/source%3Aa"
NOON = "2026-11-20T12:00:00Z"


def ask(sandbox: Sandbox, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
    """Status and body."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{sandbox.base_url('storage')}{path}"
    request = Request(url, data=data, headers=headers, method="PUT" if data else "GET")  # noqa: S310 - loopback
    try:
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_a_watermark_is_there_once_it_was_put(sandbox: Sandbox) -> None:
    """Made with 201, replaced with 200, missing with 404."""
    body = {"timestamp": NOON, "status": "success"}

    assert ask(sandbox, MARK)[0] == 404
    assert ask(sandbox, MARK, body)[0] == 201
    assert ask(sandbox, MARK, body)[0] == 200
    assert ask(sandbox, MARK) == (200, {**body, "source_id": "source:a", "error": None})


@pytest.mark.parametrize(
    "body", [{}, [], {"timestamp": "2026-11-20T12:00:00", "status": "success"}, {"timestamp": NOON}]
)
def test_a_watermark_needs_a_zone_and_a_status(sandbox: Sandbox, body: Any) -> None:
    """What the handbook asks for."""
    assert ask(sandbox, MARK, body)[0] == 422


def test_a_wrong_key_is_refused_and_none_is_fine(sandbox: Sandbox) -> None:
    """Inside a company's network most deployments have none."""
    assert ask(sandbox, MARK, token="wrong")[0] == 401
    assert ask(sandbox, MARK, token=TOKEN)[0] == 404


def test_health_is_503_when_it_is_not_well(sandbox: Sandbox) -> None:
    """And asks for no key."""
    assert ask(sandbox, "/health", token="wrong") == (200, {"status": "healthy"})
    sandbox.storage.healthy = False
    assert ask(sandbox, "/health")[0] == 503
