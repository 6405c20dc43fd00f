"""What a running server logs, in both forms."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from websockets.sync.client import connect

from keyed import make_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from running import RunningServer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def entries(server: RunningServer) -> list[dict]:
    """Every line, each of which has to be an object."""
    return [json.loads(line) for line in server.lines]


def test_with_json_nothing_else_comes_out(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    history = tmp_path / "history"
    server = serve("--source", "synthetic:?rate=20000", "--history", str(history), "--log-format", "json")
    server.wait_until_ready()
    server.process.terminate()
    assert server.wait_for_exit() == 0
    told = entries(server)
    for entry in told:
        assert {"time", "level", "logger", "event"} <= set(entry), entry
    (listening,) = [entry for entry in told if "url" in entry]
    assert listening["event"].endswith(f"listening on {server.url} (source synthetic:?rate=20000)")
    (begun,) = [entry for entry in told if entry["event"].endswith(": begun")]
    assert begun["folder"] == str(history)
    (ended,) = [entry for entry in told if entry["event"].endswith(", all written")]
    assert ended["records"] > 0
    assert f"{ended['records']} records" in ended["event"]


def test_requests_and_sockets_are_logged_where_that_is_wanted_without_what_is_secret(
    serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    env = {"L3BOOK_STATE_DIR": str(tmp_path), "L3BOOK_ACCESS_LOG": "1", "L3BOOK_LOG_LEVEL": "debug"}
    key = make_key(env, "desk", "read", "control")
    server = serve("--source", "synthetic:?rate=1000", "--log-format", "json", env=env)
    secret = key.rpartition("_")[2]
    asked = {"Authorization": f"Bearer {key}", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-Id": "mine"}
    assert server.get("/v1/metrics", headers=asked).status_code == 200
    assert server.get(f"/v1/{key}", headers=asked).status_code == 404
    assert server.get(f"/v1/metrics?key={key}", headers=asked).status_code == 400
    assert server.get("/v1/metrics", headers={"Authorization": f"Bearer {key[:-1]}"}).status_code == 401
    ticket = server.client.post("/v1/tickets", headers=asked).json()["ticket"]
    url = server.url.replace("http", "ws", 1) + "/v1/ws"
    with connect(url, subprotocols=["l3book.v1.json", f"l3book.ticket.{ticket}"]) as client:
        client.send(json.dumps({"op": "subscribe", "channel": "bbo", "instrument": key}))
        client.recv(timeout=30)
    server.wait_for_line("WEBSOCKET /v1/ws ended")
    server.process.terminate()
    assert server.wait_for_exit() == 0
    told = [entry for entry in entries(server) if entry["logger"] == "l3book.access"]
    first = next(entry for entry in told if entry["path"] == "/v1/metrics")
    assert first["event"] == f"GET /v1/metrics 200 {first['took_s']:.6f} s"
    assert (first["status"], first["route"], first["client"]) == (200, "/v1/metrics", "127.0.0.1")
    assert (first["request_id"], first["trace_id"]) == ("mine", TRACE)
    assert first["key_id"] == key.split("_")[1]
    assert [entry["status"] for entry in told][:5] == [200, 404, 400, 401, 201]
    assert told[3]["key_id"] is None
    text = "".join(server.lines)
    assert secret not in text
    assert secret[:-1] not in text
    assert ticket not in text


def test_the_access_log_can_be_switched_while_it_runs(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("access_log = false\n")
    server = serve("--source", "synthetic:?rate=1000", "--config", str(settings), "--log-format", "text")
    server.get("/livez")
    settings.write_text("access_log = true\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("now in force: access_log from False to True")
    server.get("/readyz")
    server.wait_for_line(r"info l3book\.access: GET /readyz \d{3} 0\.\d{6} s route=/readyz client=127\.0\.0\.1")
    assert "/livez" not in "".join(server.lines)


def test_lines_of_the_process_that_writes_tables_come_with_their_facts(
    serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    history = tmp_path / "history"
    server = serve("--source", "synthetic:?rate=20000", "--history", str(history), "--log-format", "json")
    server.wait_until_ready()
    server.process.terminate()
    assert server.wait_for_exit() == 0
    # Something the indexer cannot make a table in: it says so, from its own process.
    database = next(history.glob("*.sqlite*"), None) or next(history.glob("*.db"))
    database.write_bytes(b"no database at all" * 1000)
    server = serve("--source", "synthetic:?rate=20000", "--history", str(history), "--log-format", "json")
    server.wait_for_line('l3book.history.indexing"')
    (told, *_) = [entry for entry in entries(server) if entry["logger"] == "l3book.history.indexing"]
    assert told["folder"] == str(history)
    assert told["error"] in told["event"]
