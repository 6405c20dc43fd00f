"""The HTTP contract, on a real server over a real socket."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import l3book
from dbn_bytes import T0, UNIT, metadata, record
from http_contract import problem, raw_answer
from running import POLL_INTERVAL_S, STATE_TIMEOUT_S, RunningServer

HEAD = metadata(symbols={"AB": 7})
RECORDS = [
    record("A", "B", 100 * UNIT, size=5, order_id=2**63, instrument_id=7, ts_event=T0, sequence=11),
    record("A", "B", 100 * UNIT, size=6, order_id=2, instrument_id=7, ts_event=T0 + 1, sequence=12),
    record("A", "A", 101 * UNIT, size=7, order_id=3, instrument_id=7, ts_event=T0 + 2, sequence=13),
    record("A", "A", 102 * UNIT, size=8, order_id=4, instrument_id=7, ts_event=T0 + 3, sequence=14),
]
BIDS = [["100.00", 11, 2]]
ASKS = [["101.00", 7, 1], ["102.00", 8, 1]]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose file has come to its end: nothing moves any more."""
    path = tmp_path_factory.mktemp("http") / "still.dbn"
    path.write_bytes(HEAD + b"".join(RECORDS))
    server = RunningServer("--source", f"file:{path}")
    try:
        server.wait_until_listening()
        server.wait_for_state("ended")
        yield server
    finally:
        server.kill()


def served(serve: Callable[..., RunningServer], tmp_path: Path, content: bytes, *arguments: str) -> RunningServer:
    path = tmp_path / "a.dbn"
    path.write_bytes(content)
    return serve("--source", f"file:{path}", *arguments)


def test_the_line_that_says_it_listens(ended: RunningServer) -> None:
    (line,) = [line for line in ended.lines if "listening" in line]
    assert re.fullmatch(
        rf"l3book {re.escape(l3book.__version__)}: listening on http://127\.0\.0\.1:\d+ "
        r"\(source file:.*still\.dbn\)\n",
        line,
    )


def test_instruments(ended: RunningServer) -> None:
    assert ended.get("/v1/instruments").json() == {
        "instruments": [
            {
                "symbol": "AB",
                "instrument_id": 7,
                "publisher_id": 1,
                "state": "live",
                "seq": 4,
                "orders": 4,
                "ts_event": str(T0 + 3),
            }
        ]
    }


@pytest.mark.parametrize("name", ["7", "1:7", "AB", "1%3A7"])
def test_a_book_by_each_of_its_names(ended: RunningServer, name: str) -> None:
    response = ended.get(f"/v1/books/{name}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    book = response.json()
    epoch = book.pop("epoch")
    assert isinstance(epoch, str)
    assert book == {
        "instrument_id": 7,
        "publisher_id": 1,
        "symbol": "AB",
        "seq": 4,
        "sequence": 14,
        "ts_event": str(T0 + 3),
        "ts_recv": str(T0),
        "state": "live",
        "crossed": False,
        "locked": False,
        "bids": BIDS,
        "asks": ASKS,
        "orders": 4,
    }


def test_levels(ended: RunningServer) -> None:
    top = ended.get("/v1/books/7?level=1").json()
    assert (top["bids"], top["asks"]) == (BIDS, ASKS[:1])
    queues = ended.get("/v1/books/7?level=3&depth=1").json()
    assert queues["bids"] == [["100.00", 11, 2, [[str(2**63), 5, str(T0)], ["2", 6, str(T0 + 1)]]]]
    assert queues["asks"] == [["101.00", 7, 1, [["3", 7, str(T0 + 2)]]]]


@pytest.mark.parametrize(("depth", "asks"), [("1", 1), ("2", 2), ("10000", 2), ("all", 2)])
def test_depth(ended: RunningServer, depth: str, asks: int) -> None:
    assert len(ended.get(f"/v1/books/7?depth={depth}").json()["asks"]) == asks


def test_get_snapshot_is_the_only_book(ended: RunningServer) -> None:
    assert ended.get("/get_snapshot?depth=1&level=3").json() == ended.get("/v1/books/7?depth=1&level=3").json()


def test_an_unchanged_book_is_304_for_exactly_what_was_asked(ended: RunningServer) -> None:
    first = ended.get("/v1/books/7?depth=1")
    etag = first.headers["etag"]
    assert re.fullmatch(rf'"{first.json()["epoch"]}-4-2-1-[0-9a-f]{{8}}"', etag)
    assert first.headers["cache-control"] == "no-cache"
    again = ended.get("/v1/books/AB?depth=1", headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert ended.get("/v1/books/7?depth=2", headers={"If-None-Match": etag}).status_code == 200
    assert ended.get("/v1/books/7?depth=1&level=3", headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    ("query", "status", "code", "detail"),
    [
        ("level=0", 422, "bad_parameter", "level is '0': expected 1, 2 or 3"),
        ("level=", 422, "bad_parameter", "level is '': expected 1, 2 or 3"),
        ("level=L2", 422, "bad_parameter", "level is 'L2'"),
        ("depth=0", 422, "bad_parameter", "depth is '0': expected a whole number from 1 to 10000, or all"),
        ("depth=10001", 422, "bad_parameter", "depth is '10001'"),
        ("depth=-1", 422, "bad_parameter", "depth is '-1'"),
        ("depth=1e3", 422, "bad_parameter", "depth is '1e3'"),
        ("depth=%D9%A1", 422, "bad_parameter", "expected a whole number"),
        ("depth=" + "9" * 5000, 422, "bad_parameter", "expected a whole number"),
        (
            "levels=3",
            400,
            "unknown_parameter",
            "parameter 'levels' is not known here: expected level or depth or at",
        ),
        ("depth=1&depth=2", 400, "repeated_parameter", "parameter 'depth' is given 2 times"),
        ("at=yesterday", 422, "bad_parameter", "at: time 'yesterday': expected nanoseconds"),
        (
            "at=2025-09-24",
            501,
            "history_unavailable",
            "keeps no history: it was started without (no_history)",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/v1/books/7", "/get_snapshot"])
def test_what_a_parameter_cannot_be(
    ended: RunningServer, path: str, query: str, status: int, code: str, detail: str
) -> None:
    assert detail in problem(ended.get(f"{path}?{query}"), status, code)["detail"]


@pytest.mark.parametrize("path", ["/v1/feed/transitions", "/v1/metrics"])
def test_resources_without_parameters_say_so(ended: RunningServer, path: str) -> None:
    assert "expected no parameter" in problem(ended.get(f"{path}?depth=1"), 400, "unknown_parameter")["detail"]


@pytest.mark.parametrize("name", ["8", "2:7", "ab", "99999999999999999999", "7:1:7", "%00", "..%2F7", "-7", "%FF"])
def test_an_unknown_instrument_is_404(ended: RunningServer, name: str) -> None:
    response = ended.get(f"/v1/books/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_an_unknown_path_is_404_and_a_wrong_method_405(ended: RunningServer) -> None:
    problem(ended.get("/v1/nothing"), 404, "not_found")
    problem(ended.get("/assets/none.js"), 404, "not_found")
    response = ended.client.post("/v1/instruments", json={})
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_trace_id_is_taken_over(ended: RunningServer) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    assert problem(ended.get("/v1/books/8", headers=headers), 404, "unknown_instrument")["trace_id"] == trace


def test_head_has_the_headers_of_get(ended: RunningServer) -> None:
    got, head = ended.get("/v1/books/7"), ended.client.head("/v1/books/7")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]
    assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("path", ["/", "/v1/instruments", "/v1/books/8", "/readyz"])
def test_security_headers_are_on_every_answer(ended: RunningServer, path: str) -> None:
    headers = ended.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_the_page_or_how_to_build_it(ended: RunningServer) -> None:
    response = ended.get("/")
    assert response.headers["content-type"].startswith("text/html")
    static = Path(l3book.__file__).parent / "static"
    if not (static / "index.html").is_file():
        assert response.status_code == 503
        assert "make setup" in response.text
        return
    assert response.status_code == 200
    assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', response.text)
    assert assets
    for asset in assets:
        answer = ended.get(asset)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert "//" not in response.text.replace("</", ""), "the page names an outside address"


def test_the_page_cannot_be_left_for_other_files(ended: RunningServer) -> None:
    """Through a raw socket, since every HTTP client tidies such paths up."""
    for path in (
        "/assets/../../__init__.py",
        "/assets/%2e%2e/%2e%2e/__init__.py",
        "/assets//etc/passwd",
        "/../cli/serve.py",
    ):
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert raw_answer(ended, request.encode())[0] == 404, path


def test_metrics_of_a_source_that_ended(ended: RunningServer) -> None:
    metrics = ended.metrics()
    assert metrics["version"] == l3book.__version__
    assert metrics["source"]["state"] == "ended"
    assert metrics["source"]["uri"].startswith("file:")
    assert metrics["source"]["error"] is None
    assert metrics["feed"] is None
    assert ended.get("/v1/feed/transitions").json() == {"transitions": []}
    assert metrics["totals"] == {"messages": 4, "events": 4, "bytes": len(HEAD) + 4 * 56}
    assert (metrics["books"], metrics["orders"]) == (1, 4)
    assert metrics["counters"]["unknown_cancels"] == 0
    assert all(isinstance(count, int) for count in metrics["counters"].values())
    assert metrics["uptime_s"] > 0
    for kind in ("apply", "snapshot", "feed"):
        assert set(metrics["latency"][kind]) == {"count", "p50_ns", "p90_ns", "p99_ns", "max_ns"}
    assert ended.get("/readyz").json() == {"status": "ready", "recording": "off"}
    assert ended.get("/livez").json() == {"status": "live"}


def test_metrics_of_a_running_source(serve: Callable[..., RunningServer]) -> None:
    server = serve("--source", "synthetic:?instruments=3&rate=100000")
    server.wait_until_ready()
    metrics = server.metrics()
    while metrics["throughput"]["messages_per_s"] == 0 or metrics["latency"]["snapshot"]["count"] == 0:
        server.get("/v1/books/SYN0").raise_for_status()
        metrics = server.metrics()
    assert metrics["source"] == {
        "uri": "synthetic:?instruments=3&rate=100000",
        "state": "running",
        "error": None,
    }
    assert metrics["throughput"]["events_per_s"] > 0
    assert metrics["throughput"]["bytes_per_s"] > 56 * metrics["throughput"]["messages_per_s"] * 0.9
    assert metrics["latency"]["apply"]["count"] > 0
    for latency in metrics["latency"].values():
        assert 0 < latency["p50_ns"] <= latency["p90_ns"] <= latency["p99_ns"] <= latency["max_ns"]
    assert metrics["books"] == 3


def test_the_etag_always_belongs_to_the_body(serve: Callable[..., RunningServer]) -> None:
    """While the book changes thousands of times a second."""
    server = serve("--source", "synthetic:?rate=max")
    server.wait_until_ready()
    seqs = set()
    for depth in ("1", "10", "all") * 30:
        response = server.get(f"/v1/books/SYN0?depth={depth}")
        book = response.json()
        assert response.headers["etag"].startswith(f'"{book["epoch"]}-{book["seq"]}-2-{depth}-')
        seqs.add(book["seq"])
    assert len(seqs) > 1


def test_two_publishers_with_the_same_instrument_id(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    content = HEAD + b"".join(
        record("A", "B", publisher * UNIT, size=1, order_id=1, publisher_id=publisher, instrument_id=7)
        for publisher in (2, 1)
    )
    server = served(serve, tmp_path, content)
    server.wait_for_state("ended")
    for name in ("7", "AB"):
        assert problem(server.get(f"/v1/books/{name}"), 409, "ambiguous_instrument")["choices"] == [
            "1:7",
            "2:7",
        ]
    body = problem(server.get("/get_snapshot"), 409, "ambiguous_instrument")
    assert sorted(body["choices"]) == ["1:7", "2:7"]
    for choice in body["choices"]:
        book = server.get(f"/v1/books/{choice}").json()
        assert book["bids"] == [[f"{book['publisher_id']}.00", 1, 1]]


def test_a_source_without_a_book_is_503_with_retry_after(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    server = served(serve, tmp_path, HEAD)
    server.wait_for_state("ended")
    response = server.get("/get_snapshot")
    assert problem(response, 503, "no_instruments")["detail"] == "the source ended without any book"
    assert response.headers["retry-after"] == "1"
    assert problem(server.get("/readyz"), 503, "not_ready")["detail"] == "the source ended without any book"
    assert server.get("/v1/instruments").json() == {"instruments": []}


def test_a_source_that_fails_leaves_its_books_and_says_so(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    content = HEAD + b"".join(RECORDS) + b"not a record at all, much too long for one"
    server = served(serve, tmp_path, content, "--history", str(tmp_path / "history"))
    metrics = server.wait_for_state("failed")
    assert f"byte {len(HEAD) + 4 * 56}" in metrics["source"]["error"]
    assert metrics["totals"]["messages"] == 4
    book = server.get("/v1/books/7").json()
    assert (book["asks"], book["state"]) == (ASKS, "suspect")
    assert [entry["state"] for entry in server.get("/v1/instruments").json()["instruments"]] == ["suspect"]
    transitions = server.get("/v1/feed/transitions").json()["transitions"]
    assert [(entry["kind"], entry["reason"]) for entry in transitions] == [
        ("lost", "source failed"),
        ("suspect", "source failed"),
    ]
    assert 'l3book_books{state="suspect"} 1' in server.get("/metrics").text
    deadline_s = time.monotonic() + STATE_TIMEOUT_S
    while (recorded := server.get(f"/v1/books/7?at={T0 + 3}").json()).get("state") != "suspect":
        assert time.monotonic() < deadline_s, recorded
        time.sleep(POLL_INTERVAL_S)
    assert recorded["asks"] == ASKS
    assert server.get(f"/v1/books/7?at={T0 + 2}").json()["state"] == "live"
    assert "the source failed" in problem(server.get("/readyz"), 503, "not_ready")["detail"]
    assert server.get("/livez").status_code == 200


def test_the_depth_limits_are_settings(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text("depth_default = 1\ndepth_max = 2\n")
    server = served(serve, tmp_path, HEAD + b"".join(RECORDS), "--config", str(config))
    server.wait_for_state("ended")
    assert server.get("/v1/books/7").json()["asks"] == ASKS[:1]
    expected = "expected a whole number from 1 to 2 (depth_max)"
    for depth in ("3", "all"):
        for level in (2, 3):
            body = problem(server.get(f"/v1/books/7?depth={depth}&level={level}"), 422, "bad_parameter")
            assert body["detail"] == f"depth is {depth!r}: {expected}"
    assert server.get("/v1/books/7?depth=2").json()["asks"] == ASKS


def test_logs_are_json_lines_when_nobody_watches(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    server = served(serve, tmp_path, HEAD + RECORDS[0])
    server.wait_for_state("ended")
    server.kill()
    entries = [json.loads(line) for line in server.lines if not line.startswith("l3book")]
    assert any("ended after 1 messages" in entry["event"] for entry in entries)
