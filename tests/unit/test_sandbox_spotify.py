"""The Spotify that the sandbox plays, over real sockets: tokens that end, two envelopes, development mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox import TOKEN, Sandbox
from tests.sandbox.spotify import HAPPY, HAPPY_ISRC, SpotifyPlayer, numbered


class Held:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Client:
    """Asks the sandbox's Spotify as an app does."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._headers: dict[str, str] = {}

    def buys(self, user: str = "sandbox", secret: str = TOKEN, **form: str) -> requests.Response:
        """The answer to a request for a token, which is shown from now on."""
        answer = requests.post(
            f"{self._base}/api/token",
            data=form or {"grant_type": "client_credentials"},
            auth=(user, secret),
            timeout=5,
        )
        if answer.ok:
            self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return answer

    def get(self, path: str, **params: str) -> tuple[int, Any]:
        """The status and body of an answer of the API."""
        answer = requests.get(f"{self._base}/v1{path}", params=params, headers=self._headers, timeout=5)
        return answer.status_code, answer.json()


@pytest.fixture
def clock() -> Held:
    """Time, for the tokens' ends."""
    return Held()


@pytest.fixture
def player(clock: Held) -> SpotifyPlayer:
    """A Spotify by that clock."""
    return SpotifyPlayer(tokens=[TOKEN], clock=clock)


@pytest.fixture
def client(player: SpotifyPlayer) -> Iterator[Client]:
    """An app that has a token."""
    with Sandbox(players=[player]) as running:
        app = Client(running.base_url("spotify"))
        app.buys()
        yield app


def refusal(status: int, message: str) -> tuple[int, Any]:
    """The API's envelope."""
    return status, {"error": {"status": status, "message": message}}


def test_a_token_is_good_until_its_hour_is_over(client: Client, clock: Held, player: SpotifyPlayer) -> None:
    """Then it is refused in the API's own words."""
    clock.now = 3599.9
    in_time, _ = client.get(f"/tracks/{HAPPY}")
    clock.now = 3600.0

    assert in_time == 200
    assert client.get(f"/tracks/{HAPPY}") == refusal(401, "The access token expired")
    assert client.buys().json().keys() == {"access_token", "token_type", "expires_in"}
    assert client.get(f"/tracks/{HAPPY}")[0] == 200
    assert player.sold == 2


def test_a_revoked_token_is_refused_and_a_new_one_taken(client: Client, player: SpotifyPlayer) -> None:
    """Whatever its clock says."""
    player.revoke()

    assert client.get("/search", q="happy", type="track")[0] == 401
    client.buys()
    assert client.get("/search", q="happy", type="track")[0] == 200


def test_the_accounts_host_refuses_in_oauths_words(client: Client) -> None:
    """Which are not the API's."""
    wrong, kind = client.buys(secret="nonsense"), client.buys(grant_type="password")

    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_client")
    assert (kind.status_code, kind.json()["error"]) == (400, "unsupported_grant_type")


def test_development_mode_gives_ten_results_at_most_and_fewer_fields(
    client: Client, player: SpotifyPlayer
) -> None:
    """An app with extended quota is refused beyond fifty."""
    assert client.get("/search", q="tide", type="track", limit="11") == refusal(400, "Invalid limit")
    few = client.get("/search", q="tide", type="track", limit="10")[1]["tracks"]
    player.development = False
    many = client.get("/search", q="tide", type="track", limit="50")[1]["tracks"]

    assert (len(few["items"]), len(many["items"])) == (10, 50)
    assert set(many["items"][0]) - set(few["items"][0]) == {"available_markets", "popularity", "preview_url"}
    assert client.get("/search", q="tide", type="track", limit="51") == refusal(400, "Invalid limit")


def test_a_search_finds_by_words_and_by_isrc_and_says_none_with_an_empty_list(client: Client) -> None:
    """Five results unless asked for more."""
    by_words = client.get("/search", q="track:happy artist:pharrell williams", type="track")[1]["tracks"]
    by_isrc = client.get("/search", q=f"isrc:{HAPPY_ISRC}", type="track")[1]["tracks"]
    usual = client.get("/search", q="tide", type="track")[1]["tracks"]
    none = client.get("/search", q="nobody ever sang this", type="track")[1]["tracks"]

    assert [each["id"] for each in by_words["items"]] == [each["id"] for each in by_isrc["items"]] == [HAPPY]
    assert (len(usual["items"]), usual["limit"]) == (5, 5)
    assert usual["next"].startswith("https://")
    assert (none["items"], none["total"], none["next"]) == ([], 0, None)


def test_an_unknown_id_and_no_id_are_told_apart(client: Client) -> None:
    """And the numbered tracks are there."""
    assert client.get(f"/tracks/{numbered(1)}")[1]["name"] == "Tide Number 1"
    assert client.get("/tracks/" + "Z" * 22) == refusal(404, "Resource not found")
    assert client.get("/tracks/nonsense") == refusal(400, "Invalid base62 id")
    assert client.get("/nothing") == refusal(404, "Service not found")
