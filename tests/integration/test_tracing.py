"""Traces of a running server, as a collector gets them."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otel is not installed")

from websockets.sync.client import connect

from collector import Collector
from running import RunningServer, environment, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SERVER, PRODUCER, CONSUMER = 2, 4, 5
SOURCE = "synthetic:?instruments=2&rate=20000"
COMPLAINT = r"Failed to export spans? batch"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def server(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    history = tmp_path_factory.mktemp("history")
    env = {**SOON, "OTEL_EXPORTER_OTLP_HEADERS": "x-token=sesame", "OTEL_RESOURCE_ATTRIBUTES": "deployment=test"}
    server = RunningServer(
        "--source", SOURCE, "--history", str(history), "--otlp-endpoint", collector.url, "--log-format", "json", env=env
    )
    try:
        server.wait_until_listening()
        server.wait_until_ready()
        yield server
    finally:
        server.kill()


def test_a_request_is_a_span_below_its_callers(server: RunningServer, collector: Collector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "mine"}
    server.get("/v1/books/SYN0?level=2&depth=5", headers=headers).raise_for_status()
    span = collector.wait_for(lambda span: span.trace_id == TRACE and span.kind == SERVER)
    assert (span.name, span.parent_id) == ("GET /v1/books/{instrument}", PARENT)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/v1/books/{instrument}",
        "url.path": "/v1/books/SYN0",
        "url.scheme": "http",
        "client.address": "127.0.0.1",
        "l3book.instrument": "SYN0",
        "l3book.request_id": "mine",
    }
    assert span.resource["service.name"] == "l3book"
    assert span.resource["deployment"] == "test"
    assert not span.is_error
    encoded = collector.wait_for(lambda below: below.parent_id == span.span_id)
    assert (encoded.name, encoded.trace_id) == ("encode book", TRACE)
    assert encoded.attributes["l3book.depth"] == 5
    assert encoded.attributes["l3book.bytes"] > 100
    assert 0 < encoded.took_ns < span.took_ns
    assert {headers["path"] for headers in collector.headers} == {"/v1/traces"}
    assert {headers["x-token"] for headers in collector.headers} == {"sesame"}
    assert "sesame" not in "".join(server.lines)


def test_who_wants_no_trace_is_not_traced_and_has_its_ids_all_the_same(
    server: RunningServer, collector: Collector
) -> None:
    unwanted = TRACE[::-1]
    answer = server.get("/v1/books/nothing", headers={"traceparent": f"00-{unwanted}-{PARENT}-00"})
    assert answer.json()["trace_id"] == unwanted
    answer = server.get("/v1/books/nothing")
    span = collector.wait_for(lambda span: span.trace_id == answer.json()["trace_id"] and span.kind == SERVER)
    assert (span.parent_id, span.attributes["http.response.status_code"]) == ("", 404)
    assert answer.headers["X-Request-Id"] == span.trace_id
    below = collector.wait_for(lambda below: below.parent_id == span.span_id)
    assert (below.is_error, below.attributes["error.type"]) == (True, "unknown_instrument")
    assert all(span.trace_id != unwanted for span in collector.spans)


def test_a_chunk_of_the_feed_is_followed_to_the_bytes_that_clients_get(
    server: RunningServer, collector: Collector
) -> None:
    url = server.url.replace("http", "ws", 1) + "/v1/ws"
    headers = {"traceparent": f"00-{'ab' * 16}-{PARENT}-01"}
    with connect(url, additional_headers=headers) as client:
        client.send(json.dumps({"op": "subscribe", "channel": "depth", "instrument": "SYN0", "interval_ms": 50}))
        client.send(json.dumps({"op": "subscribe", "channel": "depth", "instrument": "nobody"}))
        for _ in range(20):
            client.recv(timeout=30)
        published = collector.wait_for(
            lambda span: span.name == "publish" and span.attributes["l3book.publish.messages"] > 0
        )
        chunk = collector.wait_for(lambda span: span.span_id == published.parent_id)
    assert (published.kind, chunk.kind) == (PRODUCER, CONSUMER)
    assert (chunk.name, chunk.trace_id, chunk.parent_id) == ("feed chunk", published.trace_id, "")
    assert chunk.attributes["l3book.source"].startswith("synthetic:")
    assert chunk.attributes["l3book.chunk.bytes"] >= 56 * chunk.attributes["l3book.chunk.records"] > 0
    told = {name.removeprefix("l3book.publish."): value for name, value in published.attributes.items()}
    assert told.pop("bytes") > 100
    assert 0 <= told.pop("waited_s") < 60
    assert told == {"interval_ms": 50, "groups": 1, "groups_in_threads": 0, "clients": 1, "messages": 1}

    handshake = collector.wait_for(lambda span: span.name == "WEBSOCKET /v1/ws")
    assert (handshake.trace_id, handshake.parent_id) == ("ab" * 16, PARENT)
    assert handshake.attributes["http.response.status_code"] == 101
    ops = [
        collector.wait_for(lambda span: span.name == "socket subscribe" and not span.is_error),
        collector.wait_for(lambda span: span.name == "socket subscribe" and span.is_error),
    ]
    assert {op.parent_id for op in ops} == {handshake.span_id}
    assert ops[0].attributes == {
        "l3book.channel": "depth",
        "l3book.instrument": "SYN0",
        "l3book.interval_ms": 50,
    }
    assert ops[1].attributes["error.type"] == "unknown_instrument"

    server.get("/v1/books/SYN0").raise_for_status()
    linked = collector.wait_for(lambda span: span.name == "encode book" and span.links)
    trace_id, _, span_id = linked.links[0].partition(":")
    assert collector.wait_for(lambda span: span.span_id == span_id).trace_id == trace_id


def test_questions_about_the_past_are_spans(server: RunningServer, collector: Collector) -> None:
    now = server.get("/v1/books/SYN0").json()["ts_event"]
    trace_id = "cd" * 16
    server.get(f"/v1/books/SYN0?at={now}", headers={"traceparent": f"00-{trace_id}-{PARENT}-01"})
    question = collector.wait_for(lambda span: span.name == "history question" and span.trace_id == trace_id)
    assert question.attributes["l3book.question"] == "History.book_json"


def test_spans_are_counted_by_what_became_of_them(server: RunningServer, collector: Collector) -> None:
    arrived = len(collector.spans)
    counts = spans_of(server)
    assert counts["exported"] >= arrived - 1 >= 0
    assert (counts["failed"], counts["dropped"]) == (0, 0)


def test_a_collector_that_is_gone_costs_spans_and_nothing_else(
    serve: Callable[..., RunningServer],
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        env = {
            **SOON,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_BSP_MAX_QUEUE_SIZE": "50",
        }
        began_s = time.monotonic()
        server = serve("--source", SOURCE, env=env)
        server.wait_until_ready()
        for _ in range(300):
            assert server.get("/livez").status_code == 200
        server.wait_for_line(COMPLAINT)
        counts = spans_of(server)
        while not counts["failed"]:
            counts = spans_of(server)
        assert counts["exported"] == 0
        assert counts["dropped"] > 0
        assert server.metrics()["source"]["state"] == "running"
        # Once a minute, however many batches have failed.
        complaints = re.findall(COMPLAINT, "".join(server.lines))
        assert 1 <= len(complaints) <= 1 + (time.monotonic() - began_s) / 60
        server.process.terminate()
        assert server.wait_for_exit() == 0


def spans_of(server: RunningServer) -> dict[str, float]:
    lines = [line for line in server.get("/metrics").text.splitlines() if line.startswith("l3book_trace_spans_total{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_an_endpoint_that_is_none_is_refused() -> None:
    for wrong in ("collector:4318", "ftp://collector", "http://user:secret@collector:4318"):
        done = run("serve", "--otlp-endpoint", wrong, env=environment())
        assert done.returncode == 2
        assert b"expected a URL like http://127.0.0.1:4318, without a password" in done.stderr


def test_a_missing_package_ends_what_the_setting_wants(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    missing = "raise ModuleNotFoundError('no such module', name='opentelemetry')\n"
    (tmp_path / "opentelemetry/__init__.py").write_text(missing)
    path = {"PYTHONPATH": f"{tmp_path}:{environment().get('PYTHONPATH', '')}"}
    done = run("serve", "--otlp-endpoint", "http://127.0.0.1:4318", "--port", "0", env=path)
    assert done.returncode == 2
    assert b"expected `pip install 'l3book[otel]'`" in done.stderr
