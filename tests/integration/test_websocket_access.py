"""Who may open a WebSocket, for how long, and within which limits: on a real server with keys."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from running import RunningServer, run
from sockets import close_code, connect, hear, say


class Keyed:
    """A server with a state of its own, and the command line on that state."""

    def __init__(self, serve: Callable[..., RunningServer], folder: Path, **settings: str) -> None:
        self.env = {"L3BOOK_STATE_DIR": str(folder), **settings}
        self.server = serve("--source", "synthetic:?rate=1000", env=self.env)

    def key(self, name: str, *scopes: str) -> str:
        completed = run("keys", "create", "--name", name, *(("--scope", *scopes) if scopes else ()), env=self.env)
        assert completed.returncode == 0, completed.stderr
        return completed.stdout.decode().strip()

    def open(self, key: str | None = None, **options: Any) -> ClientConnection:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return connect(self.server, additional_headers=headers, **options)

    def ticket(self, key: str) -> str:
        answer = self.server.client.post("/v1/tickets", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return str(answer.json()["ticket"])

    def refusal(self, key: str | None = None, **options: Any) -> tuple[int, str]:
        with pytest.raises(InvalidStatus) as refused, self.open(key, **options):
            pass
        response = refused.value.response
        assert response.headers["content-type"] == "application/problem+json"
        return response.status_code, json.loads(response.body)["code"]

    def counted(self, key: str) -> dict[str, int]:
        answer = self.server.get("/v1/metrics", headers={"Authorization": f"Bearer {key}"})
        return dict(answer.raise_for_status().json()["access"])


@pytest.fixture
def keyed(serve: Callable[..., RunningServer], tmp_path: Path) -> Callable[..., Keyed]:
    return lambda **settings: Keyed(serve, tmp_path / "state", **settings)


def is_served(client: ClientConnection) -> bool:
    say(client, op="ping", id=1)
    return hear(client) == {"type": "pong", "id": 1}


def test_a_key_that_is_revoked_takes_its_sockets_with_it(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key, other = at.key("desk"), at.key("other")
    with at.open(key) as client, at.open(other) as bystander:
        assert is_served(client)
        assert run("keys", "revoke", "desk", env=at.env).returncode == 0
        assert close_code(client) == 4401
        assert is_served(bystander)
    assert at.refusal(key) == (401, "invalid_key")


def test_the_first_key_closes_sockets_without_one(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    with at.open() as client:
        assert is_served(client)
        key = at.key("desk")
        assert close_code(client) == 4401
    assert at.refusal() == (401, "unauthenticated")
    with at.open(key) as client:
        assert is_served(client)


def test_a_ticket_opens_one_socket_once(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key = at.key("desk")
    protocols: list[Any] = [f"l3book.ticket.{at.ticket(key)}", "l3book.v1.json"]
    with at.open(subprotocols=protocols) as client:
        assert client.subprotocol == "l3book.v1.json"
        assert is_served(client)
        assert at.refusal(subprotocols=protocols) == (401, "invalid_key")
        assert run("keys", "revoke", "desk", env=at.env).returncode == 0
        assert close_code(client) == 4401, "it ends with its key"


def test_pages_of_other_origins_may_not(keyed: Callable[..., Keyed]) -> None:
    at = keyed(L3BOOK_ORIGINS="https://partner.example")
    key = at.key("desk")
    assert at.refusal(key, origin="https://evil.example") == (403, "wrong_origin")
    for origin in (at.server.url, "https://partner.example", None):
        with at.open(key, origin=origin) as client:
            assert is_served(client)
    assert at.counted(key)["wrong_origins"] == 1


def test_every_scope_reads(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    keys = [at.key(scope, scope) for scope in ("read", "control", "admin")]
    for key in keys:
        with at.open(key) as client:
            assert is_served(client)


def test_limits_are_per_key(keyed: Callable[..., Keyed]) -> None:
    at = keyed(L3BOOK_SOCKETS_PER_KEY_MAX="2", L3BOOK_SUBSCRIPTIONS_PER_KEY_MAX="1")
    at.server.wait_until_ready()
    one, other = at.key("one"), at.key("other")
    with contextlib.ExitStack() as opened:
        clients = [opened.enter_context(at.open(key)) for key in (one, one, other)]
        assert at.refusal(one) == (429, "too_many_sockets")
        answers = []
        for client in clients:
            say(client, op="subscribe", channel="bbo", instrument="SYN0")
            answers.append(hear(client))
    assert [answer.get("code") for answer in answers] == [None, "too_many_subscriptions", None]


def test_what_is_refused_is_counted(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key = at.key("desk")
    assert at.refusal() == (401, "unauthenticated")
    assert at.refusal(f"l3b_{'0' * 12}_{'0' * 64}") == (401, "invalid_key")
    assert at.refusal(subprotocols=["l3book.ticket.x"]) == (401, "invalid_key")
    assert at.server.client.get("/v1/keys", headers={"Authorization": f"Bearer {key}"}).status_code == 403
    assert at.counted(key) == {
        "failed_authentications": 2,
        "missing_keys": 1,
        "insufficient_scopes": 1,
        "wrong_origins": 0,
        "limited_requests": 0,
    }
