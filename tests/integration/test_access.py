"""Keys, scopes and limits, on a real server over real sockets."""

import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyed import Keyed, make_key
from running import RunningServer, environment, error_line, run

UNKNOWN_KEY = f"l3b_{'0' * 12}_{'0' * 64}"
# RFC 9651, of a list of strings with integer parameters: what these fields are.
ITEM = re.compile(r'"([a-z-]+)"((?:;[a-z][a-z0-9]*=[0-9]+)+)')


def parsed(field: str) -> dict[str, dict[str, int]]:
    """A list of strings with their parameters, as every part of the field."""
    items = {}
    for part in field.split(","):
        match = ITEM.fullmatch(part.strip(" \t"))
        assert match, field
        pairs = (pair.split("=") for pair in match[2].removeprefix(";").split(";"))
        items[match[1]] = {name: int(value) for name, value in pairs}
    return items


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    return body


def test_each_scope_on_each_kind_of_route(keyed: Callable[..., Keyed]) -> None:
    """404 and 405 are what those who may get of routes that are not there yet."""
    at = keyed()
    keys = {None: None, **{scope: at.key(scope, scope) for scope in ("read", "control", "admin")}}
    routes = {
        ("GET", "/livez"): "open",
        ("GET", "/readyz"): "open",
        ("GET", "/"): "open",
        ("HEAD", "/"): "open",
        ("GET", "/v1/instruments"): "read",
        ("HEAD", "/v1/books/SYN0"): "read",
        ("GET", "/get_snapshot"): "read",
        ("GET", "/v1/metrics"): "read",
        ("GET", "/v1/nothing"): "read",
        ("POST", "/v1/tickets"): "read",
        ("POST", "/v1/replays"): "read",
        ("PATCH", "/v1/replays/1"): "read",
        ("DELETE", "/v1/replays/1"): "read",
        ("POST", "/v1/exports"): "control",
        ("POST", "/livez"): "control",
        ("GET", "/v1/keys"): "admin",
        ("POST", "/v1/keys"): "admin",
    }
    ranks = ["open", "read", "control", "admin"]
    for (method, path), scope in routes.items():
        for held, key in keys.items():
            response = at.ask(key, path, method)
            if scope == "open" or (held and ranks.index(held) >= ranks.index(scope)):
                assert response.status_code not in {401, 403}, (method, path, held)
            elif held is None:
                assert response.status_code == 401, (method, path)
                assert response.headers["www-authenticate"] == "Bearer"
            else:
                assert problem(response, 403, "insufficient_scope")["detail"].startswith(f"{method} {path} needs")
                expected = f'Bearer error="insufficient_scope", scope="{scope}"'
                assert response.headers["www-authenticate"] == expected


def test_keys_take_effect_on_the_next_request(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    assert at.ask(None).status_code == 200
    key = at.key("desk")
    problem(at.ask(None), 401, "unauthenticated")
    assert at.ask(key).status_code == 200
    assert run("keys", "revoke", "desk", env=at.env).returncode == 0
    assert "revoked" in problem(at.ask(key), 401, "invalid_key")["detail"]
    problem(at.ask(None), 401, "unauthenticated")
    other = at.key("other")
    assert at.ask(other).status_code == 200
    assert run("keys", "revoke", other.split("_")[1], env=at.env).returncode == 0
    assert at.ask(other).headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_a_key_expires(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key = run("keys", "create", "--name", "short", "--expires", "1s", env=at.env).stdout.decode().strip()
    deadline_s = time.monotonic() + 30
    while at.ask(key).status_code == 200:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert "expired" in problem(at.ask(key), 401, "invalid_key")["detail"]


def test_last_use_is_listed_after_the_end(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    at.ask(at.key("desk"))
    at.key("unused")
    at.server.process.send_signal(signal.SIGTERM)
    assert at.server.wait_for_exit() == 0
    lines = run("keys", "list", env=at.env).stdout.decode().splitlines()
    assert lines[0].split() == ["id", "name", "scopes", "state", "created", "expires", "last_used"]
    assert [line.split()[1:][:3] for line in lines[1:]] == [["desk", "read", "active"], ["unused", "read", "active"]]
    assert [line.endswith("never") for line in lines[1:]] == [False, True]


def test_guessing_is_slowed_and_right_keys_are_not(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key = at.key("desk")
    responses = [at.ask(UNKNOWN_KEY) for _ in range(25)]
    assert [response.status_code for response in responses] == [401] * 20 + [429] * 5
    last = responses[-1]
    problem(last, 429, "too_many_failed_authentications")
    assert last.headers["connection"] == "close"
    wait_s = int(last.headers["retry-after"])
    assert parsed(last.headers["ratelimit-policy"])["failed-authentications"] == {"q": 20, "w": 60}
    assert parsed(last.headers["ratelimit"])["failed-authentications"] == {"r": 0, "t": wait_s}
    assert at.ask(key).status_code == 200
    assert len([line for line in at.server.lines if "too many wrong keys from 127.0.0.1" in line]) == 1


def test_requests_are_limited_per_key(keyed: Callable[..., Keyed]) -> None:
    at = keyed(requests_per_s_max=3)
    one, other = at.key("one"), at.key("other")
    refused = None
    deadline_s = time.monotonic() + 30
    while refused is None:
        assert time.monotonic() < deadline_s
        response = at.ask(one)
        assert parsed(response.headers["ratelimit-policy"]) == {"requests": {"q": 3, "w": 1}}
        rate = parsed(response.headers["ratelimit"])["requests"]
        assert 0 <= rate["r"] <= 2
        assert rate["t"] == 1
        refused = response if response.status_code == 429 else None
    problem(refused, 429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"
    assert parsed(refused.headers["ratelimit"])["requests"]["r"] == 0
    assert at.ask(other).status_code == 200, "of another key"
    for _ in range(10):
        assert at.ask(None, "/livez").status_code == 200, "whoever looks after the server must not be told it is busy"


def test_a_limit_can_be_off(keyed: Callable[..., Keyed]) -> None:
    at = keyed(requests_per_s_max=0)
    assert "ratelimit" not in at.ask(None).headers


def test_a_ticket_is_an_answer_that_is_never_stored(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key = at.key("desk")
    first = at.ask(key, "/v1/tickets", "POST", **{"Idempotency-Key": "k"})
    assert first.status_code == 201
    assert first.headers["cache-control"] == "no-store"
    assert first.json().keys() == {"ticket", "expires_in_s"}
    assert first.json()["expires_in_s"] == 30
    again = at.ask(key, "/v1/tickets", "POST", **{"Idempotency-Key": "k"})
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert at.ask(key, "/v1/tickets", "POST").json()["ticket"] != first.json()["ticket"]
    problem(at.ask(key, "/v1/tickets?depth=1", "POST"), 400, "unknown_parameter")
    files = b"".join(file.read_bytes() for file in at.folder.iterdir())
    assert first.json()["ticket"].encode() not in files
    assert key.split("_")[2].encode() not in files


def test_no_secret_is_ever_logged(keyed: Callable[..., Keyed]) -> None:
    at = keyed(log_level="debug")
    key = at.key("desk", "admin")
    ticket = at.ask(key, "/v1/tickets", "POST").json()["ticket"]
    for sent in (key, UNKNOWN_KEY, "l3b_" + ticket):
        for path in ("/v1/instruments", f"/v1/instruments?api_key={sent}", f"/v1/instruments?x={sent}", "/v1/nothing"):
            for method in ("GET", "POST"):
                at.ask(sent, path, method, **{"Idempotency-Key": "k"})
        host, port = at.server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(f"NONSENSE {sent}\r\nAuthorization: Bearer {sent}\r\n\r\n".encode())
            connection.recv(65536)
    problem(at.ask(key, f"/v1/instruments?api_key={key}"), 400, "key_in_url")
    at.server.process.send_signal(signal.SIGTERM)
    at.server.wait_for_exit()
    text = "".join(at.server.lines)
    assert "listening" in text
    for secret in (key.split("_")[2], ticket, "0" * 64):
        assert secret not in text


def test_a_key_in_a_path_is_not_repeated(keyed: Callable[..., Keyed]) -> None:
    at = keyed()
    key = at.key("desk")
    public, secret = key.rsplit("_", 1)
    for path in (f"/v1/books/{key}", f"/v1/{key}", f"/v1/books/{key[:-1]}", f"/v1/books/{key.replace('_', '%5F')}"):
        for method in ("GET", "POST"):
            answer = at.ask(key, path, method)
            assert answer.status_code in {403, 404}
            assert secret[:-1] not in answer.text
            assert "***" in answer.json()["instance"]
    assert at.ask(key, f"/v1/books/{key}").json()["instance"] == f"/v1/books/{public}_***"


def test_pages_of_other_origins_may_read_but_not_write(keyed: Callable[..., Keyed]) -> None:
    at = keyed(origins="https://partner.example")
    evil = {"Origin": "https://evil.example"}
    assert at.ask(None, **evil).status_code == 200
    assert "access-control-allow-origin" not in at.ask(None, **evil).headers
    problem(at.ask(None, "/v1/tickets", "POST", **evil), 403, "wrong_origin")
    for origin in (at.server.url, "https://partner.example"):
        assert at.ask(None, "/v1/tickets", "POST", Origin=origin).status_code == 201


def test_cors_is_for_those_who_were_named(keyed: Callable[..., Keyed]) -> None:
    at = keyed(cors_origins="https://partner.example")
    key = at.key("desk")
    asks = {"Origin": "https://partner.example", "Access-Control-Request-Method": "GET"}
    leave = at.ask(None, method="OPTIONS", **asks, **{"Access-Control-Request-Headers": "authorization"})
    assert leave.status_code == 200
    assert leave.headers["access-control-allow-origin"] == "https://partner.example"
    for response in (at.ask(key, Origin="https://partner.example"), at.ask(None, Origin="https://partner.example")):
        assert response.headers["access-control-allow-origin"] == "https://partner.example"
        assert "RateLimit" in response.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in at.ask(key, Origin="https://evil.example").headers


def test_keys_open_an_address_for_everybody(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    env = {"L3BOOK_STATE_DIR": str(tmp_path)}
    refused = run("serve", "--host", "0.0.0.0", "--port", "0", env=env)  # noqa: S104
    assert refused.returncode == 2
    assert "l3book keys create" in error_line(refused)
    key = make_key(env, "desk")
    server = serve("--host", "0.0.0.0", env=env)  # noqa: S104
    assert not any("warning" in line for line in server.lines)
    url = f"http://127.0.0.1:{server.url.rpartition(':')[2]}/v1/instruments"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"Authorization": f"Bearer {key}", "Host": "books.example"}).status_code == 200


def test_allowing_everybody_does_not_switch_keys_off(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    env = {"L3BOOK_STATE_DIR": str(tmp_path), "L3BOOK_ALLOW_UNAUTHENTICATED": "1"}
    make_key(env, "desk")
    assert serve(env=env).get("/v1/instruments").status_code == 401


def test_a_state_that_cannot_be_used_ends_the_server(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    completed = run("serve", "--port", "0", env={"L3BOOK_STATE_DIR": str(tmp_path / "file")})
    assert completed.returncode == 2
    assert "expected a folder of the server's own" in error_line(completed)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("create",), 2, "--name"),
        (("create", "--name", ""), 2, "expected 1 to 64 printable characters"),
        (("create", "--name", "0123456789ab"), 2, "do not look like a key's id"),
        (("create", "--name", "a\nb"), 2, "expected 1 to 64 printable characters"),
        (("create", "--name", "taken"), 2, "name 'taken' is taken: expected another one"),
        (("create", "--name", "a", "--scope", "write"), 2, "invalid choice: 'write'"),
        (("create", "--name", "a", "--expires", "30"), 2, "expected a number and a unit"),
        (("create", "--name", "a", "--expires", "0d"), 2, "expected a number and a unit"),
        (("create", "--name", "a", "--expires", "99999999999w"), 2, "expected a number and a unit"),
        (("revoke", "nobody"), 1, "'nobody': no such key"),
        ((), 2, "ACTION"),
        (("forget",), 2, "invalid choice: 'forget'"),
    ],
)
def test_mistakes_with_keys_are_one_line(tmp_path: Path, arguments: tuple[str, ...], code: int, text: str) -> None:
    env = {"L3BOOK_STATE_DIR": str(tmp_path)}
    make_key(env, "taken")
    completed = run("keys", *arguments, env=env)
    assert completed.returncode == code
    assert text in error_line(completed)
    assert completed.stdout == b""


@pytest.mark.parametrize("arguments", [("list",), ("revoke", "desk")], ids=["list", "revoke"])
def test_a_mistyped_state_dir_is_not_made(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    mistyped = tmp_path / "stat"
    completed = run("keys", *arguments, "--state-dir", mistyped)
    assert f"{mistyped}: no state.db: expected the state_dir of a server" in error_line(completed)
    assert (completed.returncode, completed.stdout) == (2, b"")
    assert not mistyped.exists()
    (tmp_path / "file").write_text("")
    completed = run("keys", *arguments, "--state-dir", tmp_path / "file")
    assert "Not a directory" in error_line(completed)
    assert completed.returncode == 2


def test_the_environment_of_the_tests_has_a_state_of_its_own() -> None:
    assert "l3book-state-" in environment()["L3BOOK_STATE_DIR"]
