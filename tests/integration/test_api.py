"""Representations, pages, orders, ids and problems, on a real server over a real socket."""

import io
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyarrow as pa
import pytest

from dbn_bytes import LAST, MAYBE_BAD_BOOK, T0, UNIT, metadata, record
from http_contract import problem, raw_answer
from l3book.api.history_schemas import Order
from l3book.api.schemas import (
    Book,
    BookRow,
    Instrument,
    Instruments,
    Metrics,
    ProblemDetails,
    QueuedBook,
    Transitions,
)
from running import RunningServer

RECORDS = [
    record("A", "B", 100 * UNIT, size=5, order_id=2**63, instrument_id=7, ts_event=T0),
    record("A", "B", 100 * UNIT, size=6, order_id=2, instrument_id=7, ts_event=T0 + 1),
    record("A", "B", 100 * UNIT, size=1, order_id=9, instrument_id=7, ts_event=T0 + 2),
    record("A", "A", -UNIT // 8, size=7, order_id=3, instrument_id=7, ts_event=2**64 - 1),
    record("A", "A", 102 * UNIT, size=8, order_id=4, instrument_id=7, ts_event=T0 + 3),
]
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose file has come to its end: nothing moves any more."""
    path = tmp_path_factory.mktemp("api") / "still.dbn"
    path.write_bytes(metadata(symbols={"AB": 7}) + b"".join(RECORDS))
    server = RunningServer("--source", f"file:{path}")
    try:
        server.wait_until_listening()
        server.wait_for_state("ended")
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of 25 books of two publishers, one of them in doubt."""
    path = tmp_path_factory.mktemp("api") / "many.dbn"
    adds = [
        record("A", "B", UNIT, size=1, order_id=number, publisher_id=1 + number % 2, instrument_id=number)
        for number in range(24, -1, -1)
    ]
    doubt = record("A", "B", UNIT, size=1, order_id=99, publisher_id=1, instrument_id=4, flags=LAST | MAYBE_BAD_BOOK)
    path.write_bytes(metadata() + b"".join([*adds, doubt]))
    server = RunningServer("--source", f"file:{path}")
    try:
        server.wait_until_listening()
        server.wait_for_state("ended")
        yield server
    finally:
        server.kill()


def get(server: RunningServer, path: str, accept: str = "application/json", **headers: str) -> httpx.Response:
    return server.get(path, headers={"Accept": accept, **headers})


# Books.


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("depth", ["1", "all"])
def test_a_book_is_the_same_in_every_form(ended: RunningServer, level: int, depth: str) -> None:
    path = f"/v1/books/AB?level={level}&depth={depth}"
    kind = QueuedBook if level == 3 else Book
    book = msgspec.json.decode(get(ended, path).content, type=kind)

    packed = get(ended, path, "application/msgpack")
    assert packed.headers["content-type"] == "application/msgpack"
    assert msgspec.msgpack.decode(packed.content, type=kind) == book

    lines = get(ended, path, "application/x-ndjson")
    assert lines.headers["content-type"] == "application/x-ndjson"
    rows = [msgspec.json.decode(line, type=BookRow) for line in lines.content.splitlines()]
    assert [row for row in rows if row.side == "B"] == rows[: len(book.bids)]
    for side, levels in (("B", book.bids), ("A", book.asks)):
        of_side = [row for row in rows if row.side == side]
        assert [row.level for row in of_side] == list(range(1, len(levels) + 1))
        told = [(row.price, row.size, row.count, *([row.orders] if level == 3 else [])) for row in of_side]
        assert told == [tuple(entry) for entry in levels]
    assert all((row.orders is not msgspec.UNSET) == (level == 3) for row in rows)

    columns = get(ended, path, ARROW)
    assert columns.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(columns.content).read_all()
    names = ["side", "level", "price", "size", "count", *(["orders"] if level == 3 else [])]
    assert table.column_names == names
    for row, entry in zip(rows, table.to_pylist(), strict=True):
        assert (row.side, row.level, Decimal(row.price), row.size, row.count) == tuple(entry.values())[:5]
    head = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    assert (head["symbol"], head["epoch"], head["seq"], head["state"]) == ("AB", book.epoch, str(book.seq), book.state)
    assert head["crossed"] == json.dumps(book.crossed)


def test_queues_as_columns(ended: RunningServer) -> None:
    table = pa.ipc.open_stream(get(ended, "/v1/books/AB?level=3", ARROW).content).read_all()
    assert table.schema.field("price").type == pa.decimal128(19, 9)
    orders = table.column("orders").combine_chunks().flatten()
    assert orders.field("order_id").to_pylist() == [2**63, 2, 9, 3, 4]
    # The venue's clock cannot say 2⁶⁴ - 1: that is no time.
    assert [time and time.value for time in orders.field("ts_event").to_pylist()] == [T0, T0 + 1, T0 + 2, None, T0 + 3]


@pytest.mark.parametrize("name", ["application/vnd.msgpack", "application/x-msgpack"])
def test_messagepack_goes_by_its_other_names(ended: RunningServer, name: str) -> None:
    response = get(ended, "/v1/books/AB", name)
    assert response.headers["content-type"] == name
    assert response.content == get(ended, "/v1/books/AB", "application/msgpack").content


@pytest.mark.parametrize("name", ["application/ndjson", "application/jsonl"])
def test_ndjson_goes_by_its_other_names(ended: RunningServer, name: str) -> None:
    response = get(ended, "/v1/books/AB", name)
    assert response.headers["content-type"] == name
    assert response.content == get(ended, "/v1/books/AB", "application/x-ndjson").content


def test_each_representation_has_an_etag_of_its_own(ended: RunningServer) -> None:
    etags = {}
    for accept in ("application/json", "application/x-ndjson", "application/msgpack", ARROW):
        response = get(ended, "/v1/books/AB", accept)
        assert response.headers["vary"] == "Accept"
        etags[accept] = response.headers["etag"]
    assert len(set(etags.values())) == 4
    for accept in etags:
        for other, etag in etags.items():
            again = get(ended, "/v1/books/AB", accept, **{"If-None-Match": etag})
            assert again.status_code == (304 if accept == other else 200)
            if accept == other:
                assert (again.content, again.headers["etag"], again.headers["vary"]) == (b"", etag, "Accept")
                assert "x-request-id" in again.headers


@pytest.mark.parametrize("path", ["/v1/books/AB", "/get_snapshot", "/v1/instruments"])
def test_406_lists_what_there_is(ended: RunningServer, path: str) -> None:
    response = get(ended, path, "text/html, application/xml;q=0.9")
    available = problem(response, 406, "not_acceptable")["available"]
    assert available == ["application/json", "application/x-ndjson", "application/msgpack", ARROW]
    assert response.headers["vary"] == "Accept"


def test_a_wrong_name_is_a_problem_in_every_form(ended: RunningServer) -> None:
    for accept in ("application/json", "application/x-ndjson", "application/msgpack", ARROW):
        problem(get(ended, "/v1/books/none", accept), 404, "unknown_instrument")


# Lists.


def test_lists_in_every_form(many: RunningServer) -> None:
    every = msgspec.json.decode(get(many, "/v1/instruments").content, type=Instruments).instruments
    assert len(every) == 25
    packed = get(many, "/v1/instruments", "application/msgpack").content
    assert msgspec.msgpack.decode(packed, type=Instruments).instruments == every
    lines = get(many, "/v1/instruments", "application/x-ndjson").content.splitlines()
    assert [msgspec.json.decode(line, type=Instrument) for line in lines] == every
    table = pa.ipc.open_stream(get(many, "/v1/instruments", ARROW).content).read_all()
    assert table.column("instrument_id").to_pylist() == [entry.instrument_id for entry in every]
    assert [time.value for time in table.column("ts_event").to_pylist()] == [int(entry.ts_event) for entry in every]

    metrics = get(many, "/v1/metrics", "application/msgpack").content
    assert msgspec.msgpack.decode(metrics, type=Metrics).books == 25
    problem(get(many, "/v1/metrics", "application/x-ndjson"), 406, "not_acceptable")
    for accept, content in (("application/x-ndjson", b""), ("application/json", b'{"transitions":[]}')):
        assert get(many, "/v1/feed/transitions", accept).content == content
    packed = get(many, "/v1/feed/transitions", "application/msgpack").content
    assert msgspec.msgpack.decode(packed, type=Transitions).transitions == []


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_pages_follow_each_other(many: RunningServer, accept: str) -> None:
    every = get(many, "/v1/instruments").json()["instruments"]
    keys = [(entry["publisher_id"], entry["instrument_id"]) for entry in every]
    assert keys == sorted(keys)
    seen: list[Any] = []
    path: str | None = "/v1/instruments?limit=10"
    while path:
        page = get(many, path, accept)
        if accept == "application/json":
            seen += page.json()["instruments"]
            cursor = page.json().get("next_cursor")
            link = page.headers.get("link")
            assert (link is None) == (cursor is None)
            assert link is None or link == f'</v1/instruments?limit=10&cursor={cursor}>; rel="next"'
        else:
            seen += [json.loads(line) for line in page.text.splitlines()]
        path = page.links["next"]["url"] if page.links else None
    assert seen == every


def test_instruments_of_a_state(many: RunningServer) -> None:
    (suspect,) = get(many, "/v1/instruments?state=suspect").json()["instruments"]
    assert (suspect["publisher_id"], suspect["instrument_id"], suspect["orders"]) == (1, 4, 2)
    assert len(get(many, "/v1/instruments?state=live").json()["instruments"]) == 24
    first = get(many, "/v1/instruments?state=live&limit=20")
    second = get(many, first.links["next"]["url"])
    assert len(first.json()["instruments"] + second.json()["instruments"]) == 24
    assert "next_cursor" not in second.json()


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=", "cursor=", "cursor=abc", "state=", "state=LIVE"]
)
def test_what_a_page_cannot_be(many: RunningServer, query: str) -> None:
    detail = problem(get(many, f"/v1/instruments?{query}"), 422, "bad_parameter")["detail"]
    assert detail.startswith(f"{query.partition('=')[0]} is {query.partition('=')[2]!r}: expected ")


# Orders.


def test_every_order_stands_where_its_queue_says(ended: RunningServer) -> None:
    book = msgspec.json.decode(get(ended, "/v1/books/AB?level=3&depth=all").content, type=QueuedBook)
    for side, levels in (("B", book.bids), ("A", book.asks)):
        for price, _, count, queue in levels:
            for place, (order_id, size, ts_event) in enumerate(queue):
                response = get(ended, f"/v1/books/7/orders/{order_id}")
                order = msgspec.json.decode(response.content, type=Order)
                assert (order.side, order.price, order.size, order.ts_event) == (side, price, size, ts_event)
                assert (order.orders_ahead, order.orders_behind) == (place, count - place - 1)
                assert order.size_ahead == sum(entry[1] for entry in queue[:place])
                assert order.size_behind == sum(entry[1] for entry in queue[place + 1 :])
                assert (order.order_id, order.symbol, order.status) == (order_id, "AB", "resting")
                assert (order.epoch, order.seq) == (book.epoch, book.seq)
    assert get(ended, f"/v1/books/1:7/orders/{2**63}").status_code == 200


@pytest.mark.parametrize("order_id", ["1", str(2**64 - 1), str(2**64), "99999999999999999999"])
def test_an_order_that_does_not_rest(ended: RunningServer, order_id: str) -> None:
    body = problem(get(ended, f"/v1/books/7/orders/{order_id}"), 404, "unknown_order")
    assert body["detail"] == f"no order {order_id} rests in '7' now, or is known to have"
    problem(get(ended, f"/v1/books/8/orders/{order_id}"), 404, "unknown_instrument")


@pytest.mark.parametrize("order_id", ["x", "-1", "1.0", "0x1", "%20", "1" * 21, "%D9%A1"])
def test_what_an_order_id_cannot_be(ended: RunningServer, order_id: str) -> None:
    problem(get(ended, f"/v1/books/7/orders/{order_id}"), 422, "bad_parameter")


# Ids.

EVERYWHERE = [
    ("/v1/books/AB", 200),
    ("/livez", 200),
    ("/docs", 200),
    ("/v1/nothing", 404),
    ("/v1/books/none", 404),
    ("/assets/none.js", 404),
    ("/v1/books/AB?at=1", 501),
]


@pytest.mark.parametrize(("path", "status"), EVERYWHERE)
def test_the_request_id_is_on_every_answer(ended: RunningServer, path: str, status: int) -> None:
    mine = get(ended, path, **{"X-Request-Id": "my/own:1"})
    assert (mine.status_code, mine.headers["x-request-id"]) == (status, "my/own:1")
    made = get(ended, path, **{"X-Request-Id": "has a space"})
    assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])
    assert get(ended, path).headers["x-request-id"] != made.headers["x-request-id"]
    if status >= 400:
        assert (mine.json()["request_id"], made.json()["request_id"]) == ("my/own:1", made.headers["x-request-id"])


def test_a_wrong_host_has_ids_too(ended: RunningServer) -> None:
    body = problem(get(ended, "/livez", Host="evil.example"), 421, "wrong_host")
    assert body["request_id"] == body["trace_id"]


# Problems of form.


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (b"GET /v1/books/a b HTTP/1.1", 400, "bad_request"),
        (b"GET /v1/books/\x00 HTTP/1.1", 400, "bad_request"),
        (b"GET /v1/books/\xff HTTP/1.1", 400, "bad_request"),
        (b"GET /v1/books/" + b"a" * 70_000 + b" HTTP/1.1", 400, "bad_request"),
        (b"GET v1 HTTP/1.1", 400, "bad_request"),
        (b"FOO /livez HTTP/1.1", 400, "bad_request"),
        (b"get /livez HTTP/1.1", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00", 400, "bad_request"),
        (b"GET /v1/books/%zz HTTP/1.1", 404, "unknown_instrument"),
        (b"GET /v1/books/%ff%fe HTTP/1.1", 404, "unknown_instrument"),
        (b"GET /v1/books/%00 HTTP/1.1", 404, "unknown_instrument"),
        (b"GET /v1/books/a%2Fb HTTP/1.1", 404, "not_found"),
        (b"GET /v1/books/AB?depth=%zz HTTP/1.1", 422, "bad_parameter"),
        (b"GET /v1/books/AB?%ff=1 HTTP/1.1", 400, "unknown_parameter"),
        (b"GET //v1/instruments HTTP/1.1", 404, "not_found"),
        (b"GET /v1/instruments/ HTTP/1.1", 404, "not_found"),
        (b"TRACE /v1/instruments HTTP/1.1", 405, "method_not_allowed"),
        (b"CONNECT /v1/instruments HTTP/1.1", 405, "method_not_allowed"),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None,
)
def test_whatever_bytes_come_the_answer_is_a_problem(ended: RunningServer, line: bytes, status: int, code: str) -> None:
    answered, headers, body = raw_answer(ended, line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (answered, headers["content-type"]) == (status, "application/problem+json")
    details = msgspec.json.decode(body, type=ProblemDetails)
    assert (details.status, details.code) == (status, code)
    assert details.request_id == headers["x-request-id"]
    assert headers["x-content-type-options"] == "nosniff"
    assert re.fullmatch(r"[!-~]+", details.instance), "an instance is a URI reference"
    if status == 405:
        assert headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", [path for path, status in EVERYWHERE if status == 200])
def test_options_say_what_may_be_asked(ended: RunningServer, path: str) -> None:
    response = ended.client.options(path)
    assert (response.status_code, response.content, response.headers["allow"]) == (204, b"", "GET, HEAD, OPTIONS")
    assert raw_answer(ended, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")[0] == 204
    problem(ended.client.options("/v1/nothing"), 404, "not_found")


def test_head_has_no_body_whatever_the_answer(ended: RunningServer) -> None:
    for path, status in EVERYWHERE:
        head = ended.client.head(path)
        assert (head.status_code, head.content) == (status, b"")
        assert int(head.headers["content-length"]) > 0


# Documents.


def test_documents_are_json_with_an_etag(ended: RunningServer) -> None:
    for path, version in (("/openapi.json", ("openapi", "3.1.0")), ("/asyncapi.json", ("asyncapi", "3.0.0"))):
        response = get(ended, path)
        assert response.headers["content-type"] == "application/json"
        assert response.json()[version[0]] == version[1]
        assert get(ended, path, **{"If-None-Match": response.headers["etag"]}).status_code == 304


def test_the_docs_page_needs_nothing_from_elsewhere(ended: RunningServer) -> None:
    page = get(ended, "/docs", "text/html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script|<style|\bstyle=|\bon\w+=|//", page.text)
    anchors = re.findall(r'\bid="([^"]+)"', page.text)
    assert len(anchors) == len(set(anchors))
    links = re.findall(r'\bhref="([^"]+)"', page.text)
    for link in set(links) - {"data:,"}:
        if link.startswith("#"):
            assert link[1:] in anchors
        else:
            assert ended.get(link).status_code == 200, link
    for path in get(ended, "/openapi.json").json()["paths"]:
        assert f">{path}</code>" in page.text


def test_the_answers_that_clx5_gives_are_those_of_the_document(serve: Callable[..., RunningServer], clx5: Path) -> None:
    server = serve("--source", f"file:{clx5}")
    server.wait_for_state("ended")
    for level, kind in ((1, Book), (2, Book), (3, QueuedBook)):
        path = f"/v1/books/CLX5?level={level}&depth=all"
        book = msgspec.json.decode(get(server, path).content, type=kind)
        assert msgspec.msgpack.decode(get(server, path, "application/msgpack").content, type=kind) == book
        rows = get(server, path, "application/x-ndjson").content.splitlines()
        table = pa.ipc.open_stream(io.BytesIO(get(server, path, ARROW).content)).read_all()
        assert len(rows) == table.num_rows == len(book.bids) + len(book.asks)
