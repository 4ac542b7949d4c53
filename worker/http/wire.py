"""A request as it leaves: target, headers and bytes, with the credential added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from worker.errors import RequestInvalid
from worker.http.auth import WireAuth
from worker.provider import Provider
from worker.request import Request

__all__ = ["USER_AGENT", "Wire", "WireRequest"]

USER_AGENT = "Narrows/0.1"

DEFAULTS: Mapping[str, str] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",  # what is read against a limit; no other coding is asked for
}
JSON_TYPE: Mapping[str, str] = {"Content-Type": "application/json"}
FORM_TYPE: Mapping[str, str] = {"Content-Type": "application/x-www-form-urlencoded"}
PATH_SAFE = "/%:@!$&'()*+,;=~"


@dataclass(slots=True, repr=False)
class WireRequest:
    """Ready to send. No repr: it holds the credential."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


class Wire:
    """Makes a provider's requests ready to send."""

    def __init__(self, provider: Provider, auth: WireAuth, *, user_agent: str, prefix: str) -> None:
        self._provider, self._auth, self._prefix = provider, auth, prefix
        self._ours = {**DEFAULTS, "User-Agent": user_agent}
        self._plain = _merged(self._ours, provider.headers, auth.headers)

    def ready(self, request: Request, extra_headers: Mapping[str, str] | None = None) -> WireRequest:
        """*request* with all that goes with it.

        Raises:
            RequestInvalid: It cannot be sent as it is.
        """
        if not request.path.startswith("/"):
            raise RequestInvalid(f"a request to {self._provider.name} has a path without its leading slash")
        query = urlencode(request.params)
        body, content = _body(request)
        headers: Mapping[str, str] = self._plain
        if request.headers or extra_headers or body is not None:
            extra = extra_headers or {}
            declared = self._provider.headers
            headers = _merged(self._ours, declared, content, request.headers, extra, self._auth.headers)
        path = quote(self._prefix + request.path, safe=PATH_SAFE)
        target = self.signed(f"{path}?{query}" if query else path)
        return WireRequest(request.method, target, headers, body)

    def signed(self, target: str) -> str:
        """*target* with the credential among its query parameters, if that is its place."""
        auth = self._auth.query
        if not auth:
            return target
        present = {pair.partition("=")[0] for pair in urlsplit(target).query.split("&")}
        added = urlencode({name: value for name, value in auth.items() if name not in present})
        return f"{target}{'&' if '?' in target else '?'}{added}" if added else target


def _body(request: Request) -> tuple[bytes | None, Mapping[str, str]]:
    """The bytes of a request's body, and the header that says what they are."""
    if request.form is not None:
        return urlencode(request.form).encode("ascii"), FORM_TYPE
    if request.data is None:
        return None, {}
    return json.dumps(request.data, separators=(",", ":")).encode(), JSON_TYPE


def _merged(*groups: Mapping[str, str]) -> dict[str, str]:
    """Later groups win, whatever the case of their names."""
    merged = {name.lower(): (name, value) for group in groups for name, value in group.items()}
    return dict(merged.values())
