"""Who may open a WebSocket, for how long, and within which limits: on a real server with keys."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from keyed import Keyed
from sockets import close_code, connect, hear, say


def opened(at: Keyed, key: str | None = None, **options: Any) -> ClientConnection:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return connect(at.server, additional_headers=headers, **options)


def refusal(at: Keyed, key: str | None = None, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused, opened(at, key, **options):
        pass
    response = refused.value.response
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, json.loads(response.body)["code"]


def counted(at: Keyed, key: str) -> dict[str, int]:
    return dict(at.ask(key, "/v1/metrics").raise_for_status().json()["access"])


def is_served(client: ClientConnection) -> bool:
    say(client, op="ping", id=1)
    return hear(client) == {"type": "pong", "id": 1}


def test_a_key_that_is_revoked_takes_its_sockets_with_it(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key, other = at.key("desk"), at.key("other")
    with opened(at, key) as client, opened(at, other) as bystander:
        assert is_served(client)
        at.revoke("desk")
        assert close_code(client) == 4401
        assert is_served(bystander)
    assert refusal(at, key) == (401, "invalid_key")


def test_the_first_key_closes_sockets_without_one(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    with opened(at) as client:
        assert is_served(client)
        key = at.key("desk")
        assert close_code(client) == 4401
    assert refusal(at) == (401, "unauthenticated")
    with opened(at, key) as client:
        assert is_served(client)


def test_a_ticket_opens_one_socket_once(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key = at.key("desk")
    ticket = at.ask(key, "/v1/tickets", "POST").json()["ticket"]
    protocols: list[Any] = [f"l3book.ticket.{ticket}", "l3book.v1.json"]
    with opened(at, subprotocols=protocols) as client:
        assert client.subprotocol == "l3book.v1.json"
        assert is_served(client)
        assert refusal(at, subprotocols=protocols) == (401, "invalid_key")
        at.revoke("desk")
        assert close_code(client) == 4401, "it ends with its key"


def test_pages_of_other_origins_may_not(keyed: Callable[..., Keyed]) -> None:
    at = keyed(origins="https://partner.example")
    key = at.key("desk")
    assert refusal(at, key, origin="https://evil.example") == (403, "wrong_origin")
    for origin in (at.server.url, "https://partner.example", None):
        with opened(at, key, origin=origin) as client:
            assert is_served(client)
    assert counted(at, key)["wrong_origins"] == 1


def test_every_scope_reads(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    keys = [at.key(scope, scope) for scope in ("read", "control", "admin")]
    for key in keys:
        with opened(at, key) as client:
            assert is_served(client)


def test_limits_are_per_key(keyed: Callable[..., Keyed]) -> None:
    at = keyed(sockets_per_key_max=2, subscriptions_per_key_max=1)
    one, other = at.key("one"), at.key("other")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(opened(at, key)) for key in (one, one, other)]
        assert refusal(at, one) == (429, "too_many_sockets")
        answers = []
        for client in clients:
            say(client, op="subscribe", channel="bbo", instrument="SYN0")
            answers.append(hear(client))
    assert [answer.get("code") for answer in answers] == [None, "too_many_subscriptions", None]


def test_what_is_refused_is_counted(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key = at.key("desk")
    assert refusal(at) == (401, "unauthenticated")
    assert refusal(at, f"l3b_{'0' * 12}_{'0' * 64}") == (401, "invalid_key")
    assert refusal(at, subprotocols=["l3book.ticket.x"]) == (401, "invalid_key")
    assert at.ask(key, "/v1/keys").status_code == 403
    assert counted(at, key) == {
        "failed_authentications": 2,
        "missing_keys": 1,
        "insufficient_scopes": 1,
        "wrong_origins": 0,
        "limited_requests": 0,
    }
