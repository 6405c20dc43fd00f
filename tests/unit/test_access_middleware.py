"""The door itself, by ASGI: handshakes of WebSockets, and what it leaves in a scope."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from l3book.access import key_store
from l3book.access.guard import Guard
from l3book.access.identity import Identity
from l3book.access.middleware import IDENTITY, Access
from l3book.access.state_file import StateFile
from l3book.config import Settings

HOST = (b"host", b"127.0.0.1:8000")
SUBPROTOCOL = "l3book.v1.json"


class Door:
    """The middleware before an app that notes what comes through."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.state = StateFile(folder)
        self.guard = Guard(Settings(state_dir=folder, **settings))
        self.passed: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self._access = Access(self._app, self.guard, ("https://partner.example",))

    async def _app(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.passed.append(scope)

    def ask(self, **changes: Any) -> Identity | int:
        """-> who came through, or the status of the refusal."""
        scope = {
            "type": "websocket",
            "path": "/v1/ws",
            "query_string": b"",
            "scheme": "ws",
            "client": ("192.0.2.1", 1),
            "headers": [HOST],
            "subprotocols": [SUBPROTOCOL],
            "extensions": {"websocket.http.response": {}},
            "l3book.trace_id": "0" * 32,
            "l3book.request_id": "0" * 32,
            **changes,
        }
        self.passed, self.sent = [], []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            self.sent.append(message)

        asyncio.run(self._access(scope, receive, send))
        if self.passed:
            assert not self.sent
            identity = self.passed[0][IDENTITY]
            assert isinstance(identity, Identity)
            return identity
        return int(self.sent[0]["status"])

    def key(self, name: str = "desk", scope: Any = "read") -> str:
        return key_store.create(self.state, name, [scope], None)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    doors: list[Door] = []

    def make(**settings: Any) -> Door:
        doors.append(Door(tmp_path, **settings))
        return doors[-1]

    yield make
    for made in doors:
        made.guard.close()


def bearer(key: str) -> tuple[bytes, bytes]:
    return (b"authorization", f"Bearer {key}".encode())


def passed(found: Identity | int) -> Identity:
    assert isinstance(found, Identity), found
    return found


def test_without_keys_everybody_may_do_everything(door: Callable[..., Door]) -> None:
    identity = passed(door().ask())
    assert (identity.key_id, identity.name, identity.scopes) == (None, "anonymous", {"read", "control", "admin"})
    assert identity.address == "192.0.2.1"
    assert identity.is_current()


def test_a_handshake_with_a_key(door: Callable[..., Door]) -> None:
    at = door()
    key = at.key(scope="control")
    identity = passed(at.ask(headers=[HOST, bearer(key)]))
    assert (identity.name, identity.scopes) == ("desk", {"read", "control"})
    assert identity.key_id == key.split("_")[1]
    assert identity.is_current()
    key_store.revoke(at.state, "desk")
    at.guard.keys.poll()
    assert not identity.is_current()
    assert at.ask(headers=[HOST, bearer(key)]) == 401


def test_a_handshake_without_a_key_is_refused_by_a_problem(door: Callable[..., Door]) -> None:
    at = door()
    at.key()
    assert at.ask() == 401
    start, body = at.sent
    assert start["type"] == "websocket.http.response.start"
    headers = dict(start["headers"])
    assert headers[b"www-authenticate"] == b"Bearer"
    assert headers[b"content-type"] == b"application/problem+json"
    assert b'"code":"unauthenticated"' in body["body"]
    assert at.guard.counts.missing_keys == 1


def test_a_handshake_on_a_server_that_cannot_answer_is_closed(door: Callable[..., Door]) -> None:
    at = door()
    at.key()
    with pytest.raises(KeyError):
        at.ask(extensions={})
    (message,) = at.sent
    assert (message["type"], message["code"], message["reason"]) == ("websocket.close", 1008, "unauthenticated")


def test_a_ticket_opens_one_socket_and_is_not_offered_on(door: Callable[..., Door]) -> None:
    at = door()
    key = at.key(scope="admin")
    holder = passed(at.ask(headers=[HOST, bearer(key)]))
    ticket = at.guard.tickets.make(holder)
    offered = [f"l3book.ticket.{ticket}", SUBPROTOCOL]
    identity = passed(at.ask(subprotocols=offered))
    assert identity == holder
    assert at.passed[0]["subprotocols"] == [SUBPROTOCOL]
    assert at.ask(subprotocols=offered) == 401
    assert b"expected a new one" in at.sent[1]["body"]
    assert at.guard.counts.failed_authentications == 1


def test_a_ticket_ends_with_its_key(door: Callable[..., Door]) -> None:
    at = door()
    holder = passed(at.ask(headers=[HOST, bearer(at.key())]))
    ticket = at.guard.tickets.make(holder)
    key_store.revoke(at.state, "desk")
    assert at.ask(subprotocols=[f"l3book.ticket.{ticket}"]) == 401


def test_of_two_sockets_that_bring_one_ticket_one_is_opened(door: Callable[..., Door]) -> None:
    at = door()
    holder = passed(at.ask(headers=[HOST, bearer(at.key())]))
    for _ in range(20):
        offered = [f"l3book.ticket.{at.guard.tickets.make(holder)}"]
        outcomes = [at.ask(subprotocols=offered) for _ in range(2)]
        assert [isinstance(outcome, Identity) for outcome in outcomes] == [True, False]


@pytest.mark.parametrize("kind", ["websocket", "http"])
def test_pages_of_other_origins_may_not(door: Callable[..., Door], kind: str) -> None:
    at = door()
    asked = {"type": kind, "method": "POST", "path": "/v1/ws"}
    for origin in (b"http://127.0.0.1:8000", b"https://partner.example"):
        passed(at.ask(**asked, headers=[HOST, (b"origin", origin)]))
    for origin in (b"http://evil.example", b"null", b"\xff"):
        assert at.ask(**asked, headers=[HOST, (b"origin", origin)]) == 403
        assert b'"code":"wrong_origin"' in at.sent[1]["body"]
    both = [(b"origin", b"http://127.0.0.1:8000"), (b"origin", b"http://evil.example")]
    assert at.ask(**asked, headers=[HOST, *both]) == 403
    assert at.guard.counts.wrong_origins == 4


def test_reading_is_not_a_matter_of_origin(door: Callable[..., Door]) -> None:
    """What a page may read of an answer is CORS's to say, and the browser's to keep."""
    at = door()
    passed(at.ask(type="http", method="GET", headers=[HOST, (b"origin", b"http://evil.example")]))


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Bearer", b"Bearer ", b"Basic bDNi", b"Bearer l3b_x", b"Bearer %s x", b"%s", b"Bearer\t%s", b"Bearer \xff"],
)
def test_what_is_no_key(door: Callable[..., Door], authorization: bytes) -> None:
    at = door()
    key = at.key()
    value = authorization.replace(b"%s", key.encode())
    assert at.ask(headers=[HOST, (b"authorization", value)]) == 401
    passed(at.ask(headers=[HOST, (b"authorization", b"bEARER  " + key.encode() + b" ")]))


def test_what_holds_no_key_is_no_wrong_key(door: Callable[..., Door]) -> None:
    at = door()
    key = at.key()
    basic = (b"authorization", b"Basic bDNi")
    for sent, detail in (
        ([bearer(key), bearer(key)], b"Authorization is given 2 times: expected Authorization: Bearer"),
        ([basic], b"Authorization is of another scheme than Bearer: expected Authorization: Bearer"),
        ([(b"authorization", key.encode())], b"Authorization is of another scheme than Bearer: expected"),
    ):
        assert at.ask(headers=[HOST, *sent]) == 401
        assert detail in at.sent[1]["body"]
        assert b'"code":"unauthenticated"' in at.sent[1]["body"]
    assert (at.guard.counts.missing_keys, at.guard.counts.failed_authentications) == (3, 0)
    assert at.ask(headers=[HOST, bearer("l3b_x")]) == 401
    assert (at.guard.counts.missing_keys, at.guard.counts.failed_authentications) == (3, 1)


@pytest.mark.parametrize("query", [b"x=l3b_", b"api_key=1", b"a=1&access_token=2", b"ticket=3", b"APIKEY=4"])
def test_no_key_in_a_url(door: Callable[..., Door], query: bytes) -> None:
    at = door()
    for _ in ("without keys", "with"):
        assert at.ask(query_string=query) == 400
        assert b'"code":"key_in_url"' in at.sent[1]["body"]
        at.key(name=query.decode() + str(len(key_store.listed(at.state))))
    assert at.ask(query_string=b"depth=3") == 401


def test_an_open_path_is_open_for_requests_alone(door: Callable[..., Door]) -> None:
    at = door()
    at.key()
    assert at.ask(path="/") == 401
    assert passed(at.ask(type="http", method="GET", path="/")).scopes == frozenset()


def test_other_scopes_are_let_through(door: Callable[..., Door]) -> None:
    at = door()
    with pytest.raises(KeyError):
        at.ask(type="lifespan")
    assert at.passed[0]["type"] == "lifespan"
    assert IDENTITY not in at.passed[0]


def test_networks_share_the_brake_on_guessing(door: Callable[..., Door]) -> None:
    """Whoever has one IPv6 address has the 2**64 beside it."""
    at = door()
    key = at.key()
    statuses = [
        at.ask(client=(f"2001:db8::{number:x}", 1), headers=[HOST, bearer("l3b_wrong")]) for number in range(1, 23)
    ]
    assert statuses == [401] * 20 + [429] * 2
    headers = dict(at.sent[0]["headers"])
    assert headers[b"connection"] == b"close"
    assert int(headers[b"retry-after"]) >= 1
    assert at.ask(client=("2001:db8:0:1::1", 1), headers=[HOST, bearer("l3b_wrong")]) == 401
    passed(at.ask(client=("2001:db8::1", 1), headers=[HOST, bearer(key)]))
