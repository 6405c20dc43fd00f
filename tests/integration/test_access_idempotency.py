"""Idempotency-Key and the limits of bodies, on a server that can be killed in the middle."""

import contextlib
import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from l3book.access import key_store
from l3book.access.answers import KEYS_PER_IDENTITY_MAX, RUNNING_TIMEOUT_S
from l3book.access.state_file import StateFile
from running import environment

SERVER = Path(__file__).parents[1] / "small_access_server.py"
PATH = "/v1/exports"
TIMEOUT_S = 90
PATIENT_S = 180
HOUR_S = 3600
ENDLESS = 2000
"""Chunks of 64 KiB: more than the server reads for nothing, and both ends of a connection hold."""
# uvicorn closes the connection of a request that failed.
EACH_ITS_OWN = httpx.Limits(max_keepalive_connections=0)


class SmallServer:
    """Runs in a folder that outlives it."""

    def __init__(self, folder: Path, body_timeout_s: int = PATIENT_S) -> None:
        self.folder = folder
        (folder / "port").unlink(missing_ok=True)
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, SERVER, folder, str(body_timeout_s)], env=environment(), stdout=log, stderr=log
            )
        try:
            wait_until((folder / "port").exists)
        except AssertionError:
            # Nobody has it yet who would end it, and one that is left behind fails another test.
            self.process.kill()
            self.process.wait(TIMEOUT_S)
            raise
        self.port = int((folder / "port").read_text())
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=TIMEOUT_S, limits=EACH_ITS_OWN)

    def post(self, wish: object = None, key: str | None = "k", **headers: str) -> httpx.Response:
        named = {} if key is None else {"Idempotency-Key": key}
        return self.client.post(PATH, json=wish or {}, headers={**named, **headers})

    def done(self) -> int:
        path = self.folder / "done"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def kill(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait(TIMEOUT_S)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., SmallServer]]:
    servers: list[SmallServer] = []

    def start_one(**options: int) -> SmallServer:
        servers.append(SmallServer(tmp_path, **options))
        return servers[-1]

    yield start_one
    for server in servers:
        server.kill()


@contextlib.contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(
        sqlite3.connect(folder / "state.db", timeout=TIMEOUT_S, isolation_level=None)
    ) as connection:
        yield connection


def code(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["code"])


def test_the_same_request_is_done_once_and_answered_again(start: Callable[..., SmallServer]) -> None:
    server = start()
    first = server.post({"a": 1})
    assert (first.status_code, first.json()["count"]) == (201, 1)
    assert "idempotency-replayed" not in first.headers
    again = server.post({"a": 1})
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"] == "/v1/exports/1"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "x-other" not in again.headers
    assert server.post({"a": 1}, '"k"').content == first.content, "quoted, as the draft has it"
    assert server.done() == 1


def test_another_request_under_the_key_is_refused(start: Callable[..., SmallServer]) -> None:
    server = start()
    server.post({"a": 1})
    assert code(server.post({"a": 2}), 422) == "idempotency_key_reused"
    other_query = server.client.post(f"{PATH}?a=2", json={"a": 1}, headers={"Idempotency-Key": "k"})
    assert code(other_query, 422) == "idempotency_key_reused"
    assert server.post({"a": 2}, "other").json()["count"] == 2
    assert server.done() == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 as addresses of its own")
def test_without_api_keys_an_answer_belongs_to_the_address(start: Callable[..., SmallServer]) -> None:
    """Or one client's answer would be given to another that has thought of the same Idempotency-Key."""
    server = start()
    assert server.post().json()["count"] == 1
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"), timeout=TIMEOUT_S) as neighbour:
        answer = neighbour.post(f"http://127.0.0.1:{server.port}{PATH}", json={}, headers={"Idempotency-Key": "k"})
    assert (answer.json()["count"], answer.headers.get("idempotency-replayed")) == (2, None)
    assert server.post().json()["count"] == 1


def test_requests_without_a_key_and_reads_are_passed_on(start: Callable[..., SmallServer]) -> None:
    server = start()
    assert [server.post(key=None).json()["count"] for _ in range(2)] == [1, 2]
    headers = {"Idempotency-Key": "k"}
    assert [server.client.get(PATH, headers=headers).json()["count"] for _ in range(2)] == [3, 4]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, '"open', "ü".encode()])
def test_what_no_key_looks_like(start: Callable[..., SmallServer], key: str | bytes) -> None:
    server = start()
    response = server.client.post(PATH, json={}, headers=[("Idempotency-Key", key)])
    assert code(response, 400) == "bad_idempotency_key"
    twice = server.client.post(PATH, json={}, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "a")])
    assert code(twice, 400) == "bad_idempotency_key"
    assert server.post(key="x" * 255).status_code == 201
    assert server.done() == 1


def test_answers_outlive_the_server_even_a_killed_one(start: Callable[..., SmallServer]) -> None:
    first = start()
    answer = first.post({"a": 1})
    first.kill()
    second = start()
    again = second.post({"a": 1})
    assert (again.status_code, again.content) == (201, answer.content)
    assert code(second.post({"a": 2}), 422) == "idempotency_key_reused"
    assert second.done() == 1


def test_a_request_that_a_crash_cut_short_becomes_free_after_its_time(start: Callable[..., SmallServer]) -> None:
    first = start()

    def post_until_cut() -> None:
        with contextlib.suppress(httpx.HTTPError):
            first.post({"wait": True})

    cut = threading.Thread(target=post_until_cut)
    cut.start()
    wait_until(lambda: first.done() == 1)
    first.process.kill()
    cut.join(TIMEOUT_S)
    (first.folder / "go").touch()
    second = start()
    running = second.post({"wait": True})
    assert code(running, 409) == "idempotency_key_running"
    assert int(running.headers["retry-after"]) >= 1
    assert code(second.post({}), 422) == "idempotency_key_reused"
    with database(second.folder) as connection:
        connection.execute("UPDATE idempotency SET started_s = started_s - ?", (RUNNING_TIMEOUT_S,))
    assert second.post({"wait": True}).json()["count"] == 2
    assert second.post({"wait": True}).json()["count"] == 2


def test_of_many_at_once_one_is_done(start: Callable[..., SmallServer]) -> None:
    server = start()
    count = 24
    with ThreadPoolExecutor(count) as pool:
        posts = [pool.submit(server.post, {"wait": True}) for _ in range(count)]
        wait_until(lambda: sum(post.done() for post in posts) == count - 1)
        (server.folder / "go").touch()
        statuses = Counter(post.result().status_code for post in posts)
    assert statuses == {201: 1, 409: count - 1}
    assert server.done() == 1
    assert server.post({"wait": True}).headers["idempotency-replayed"] == "true"


def test_what_is_not_the_last_word_is_not_kept(start: Callable[..., SmallServer]) -> None:
    server = start()
    for wish, status in (({"fail": True}, 500), ({"busy": True}, 429)):
        for _ in range(2):
            assert server.post(wish, f"{status}").status_code == status
    assert server.done() == 4
    for _ in range(2):
        assert code(server.post({"refuse": True}, "422"), 422) == "bad_parameter"
    assert server.done() == 5


def test_an_answer_too_large_to_be_kept_arrives_whole(start: Callable[..., SmallServer]) -> None:
    server = start()
    for _ in range(2):
        assert len(server.post({"large": True}).content) == 100_001
    assert server.done() == 2


def test_a_client_that_leaves_finds_the_answer_when_it_comes_again(start: Callable[..., SmallServer]) -> None:
    server = start()
    body = json.dumps({"wait": True}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: server.done() == 1)
    (server.folder / "go").touch()

    def is_answered() -> bool:
        response = server.client.post(
            PATH, content=body, headers={"Idempotency-Key": "k", "Content-Type": "application/json"}
        )
        return response.status_code == 201

    wait_until(is_answered)
    assert server.done() == 1


def test_answers_are_kept_for_their_hours_and_for_so_many_keys(start: Callable[..., SmallServer]) -> None:
    server = start()
    server.post()
    with database(server.folder) as connection:
        connection.execute("UPDATE idempotency SET started_s = started_s - ?", (24 * HOUR_S - 60,))
        assert server.post().json()["count"] == 1
        connection.execute("UPDATE idempotency SET started_s = started_s - 60")
        assert server.post().json()["count"] == 2
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO idempotency SELECT identity, path, ?, fingerprint, attempt, started_s, status, headers, body"
            " FROM idempotency WHERE key = 'k'",
            [(str(number),) for number in range(KEYS_PER_IDENTITY_MAX - 1)],
        )
        connection.execute("COMMIT")
    full = server.post(key="one-more")
    assert code(full, 429) == "too_many_idempotency_keys"
    assert int(full.headers["retry-after"]) >= 1
    assert server.post().json()["count"] == 2, "what is kept is answered"


def test_two_keys_do_not_share_answers(start: Callable[..., SmallServer]) -> None:
    server = start()
    state = StateFile(server.folder)
    one, other = (key_store.create(state, name, ["control"], None) for name in "ab")
    assert server.post(Authorization=f"Bearer {one}").json()["count"] == 1
    assert server.post(Authorization=f"Bearer {other}").json()["count"] == 2
    assert server.post(Authorization=f"Bearer {one}").json()["count"] == 1
    reader = key_store.create(state, "reader", ["read"], None)
    assert code(server.post(Authorization=f"Bearer {reader}"), 403) == "insufficient_scope"
    assert code(server.post(), 401) == "unauthenticated"


@pytest.mark.parametrize("size", [4096, 4097, 200_000])
def test_a_body_has_a_largest_size_also_in_chunks(start: Callable[..., SmallServer], size: int) -> None:
    server = start()
    headers = {"Content-Type": "application/json"}
    body = b'"' + b"x" * (size - 2) + b'"'
    pieces = (body[at : at + 1000] for at in range(0, size, 1000))
    for content in (body, pieces):
        response = server.client.post(PATH, content=content, headers=headers)
        if size <= 4096:
            assert response.status_code == 201
        else:
            assert code(response, 413) == "body_too_large"
    assert server.done() == (2 if size <= 4096 else 0)


@pytest.mark.parametrize(
    "sent", [b"Content-Length: 4097\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1001\r\n" + b" " * 4097]
)
def test_a_body_that_is_too_large_is_answered_before_it_has_come(
    start: Callable[..., SmallServer], sent: bytes
) -> None:
    server = start(body_timeout_s=600)
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\n".encode() + sent)
        answer = b""
        while not answer.endswith(b"}"):
            part = connection.recv(65536)
            assert part, answer
            answer += part
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.lower().count(b"connection: close") == 1
        # What still comes is read, and ends the connection.
        connection.sendall(b" " * 4097 if b"Length" in sent else b"\r\n0\r\n\r\n")
        assert connection.recv(65536) == b""
    assert server.done() == 0


def test_a_body_that_never_ends_is_refused_and_cut(start: Callable[..., SmallServer]) -> None:
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            connection.sendall(piece * ENDLESS)
    assert server.post().status_code == 201


def test_a_client_that_asks_first_is_told_before_it_sends(start: Callable[..., SmallServer]) -> None:
    server = start()
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 201),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, 201),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "identity"}, 201),
    ],
)
def test_types_of_bodies(start: Callable[..., SmallServer], headers: dict[str, str], status: int) -> None:
    server = start()
    response = server.client.post(PATH, content=b"{}", headers=headers)
    assert response.status_code == status
    if status == 415:
        assert code(response, 415) == "unsupported_media_type"
        assert response.headers["accept"] == "application/json, application/msgpack"
    assert server.client.post(PATH).status_code == 201, "no body needs no type"


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_is_not_waited_for(start: Callable[..., SmallServer], framing: str) -> None:
    server = start(body_timeout_s=1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer
    assert server.done() == 0
