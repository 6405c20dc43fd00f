"""What REST offers of the past, held against the file that was recorded."""

import io
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from http_contract import problem
from keyed import make_key
from l3book import Market
from l3book._core import Deriver, FileReader
from l3book.api.history_schemas import BboEntry, GoneOrder, LevelEntry, Order, TradeEntry
from l3book.api.schemas import Book, QueuedBook
from l3book.prices import price_text
from l3book.rows import derived, fields
from recorded import (
    book_as_of,
    recorded_server,
    serve_recorded,
    simulated,
    times_of,
    wait_until_durable,
    wait_until_recorded,
    without_epoch,
)
from running import RunningServer, run

TOLD_S = 60
RECORDS = 40_000
INSTRUMENTS = 2
SAMPLES = 40
NS_PER_S = 1_000_000_000
HOUR_NS = 3600 * NS_PER_S
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(
        tmp_path_factory.mktemp("past") / "sim.dbn", RECORDS, seed=11, instruments=INSTRUMENTS, resting_max=300
    )


@pytest.fixture(scope="module")
def times(recording: Path) -> list[int]:
    return times_of(recording)


@pytest.fixture(scope="module")
def server(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One that has recorded all of it, with checkpoints so near to each other that books begin at different ones."""
    with recorded_server(recording, tmp_path_factory.mktemp("history"), history_checkpoint_records=7000) as server:
        yield server


def past(server: RunningServer, name: str, query: str) -> dict[str, Any]:
    response = server.get(f"/v1/books/{name}?{query}")
    assert response.status_code == 200, response.text
    return without_epoch(response.json())


def test_a_book_as_of_any_time_is_what_the_file_alone_leads_to(
    server: RunningServer, recording: Path, times: list[int]
) -> None:
    chosen = random.Random(5).sample(times, SAMPLES)
    for number, at in enumerate([*chosen, *(at - 1 for at in chosen[:5]), times[-1], times[-1] + HOUR_NS]):
        name = f"SYN{number % INSTRUMENTS}"
        level, depth = (1, 2, 3)[number % 3], (10, None, 3)[number % 3]
        query = f"level={level}&depth={depth or 'all'}&at={at}"
        assert past(server, name, query) == book_as_of(recording, at, name, level=level, depth=depth), at


def test_as_the_command_says_it(server: RunningServer, recording: Path, times: list[int]) -> None:
    at = times[len(times) // 3]
    done = run("reconstruct", recording, "--at", at, "--instrument", "SYN1")
    assert done.returncode == 0, done.stderr
    assert past(server, "SYN1", f"depth=all&at={at}") == without_epoch(msgspec.json.decode(done.stdout))


def test_of_a_real_recording(serve: Callable[..., RunningServer], clx5: Path, tmp_path: Path) -> None:
    env = {"L3BOOK_HISTORY_CHECKPOINT_RECORDS": "10000"}
    server = serve("--source", f"file:{clx5}", "--history", str(tmp_path / "history"), env=env)
    server.wait_for_state("ended")
    wait_until_durable(server)
    (book,) = server.get("/v1/instruments").json()["instruments"]
    name = f"{book['publisher_id']}:{book['instrument_id']}"
    times = times_of(clx5)
    for at in [times[0], *random.Random(8).sample(times, 10), times[-1]]:
        assert past(server, name, f"depth=all&level=3&at={at}") == book_as_of(clx5, at, name, level=3, depth=None)


def test_a_time_can_be_written_for_people(server: RunningServer, times: list[int]) -> None:
    at = times[len(times) // 2] // NS_PER_S * NS_PER_S + NS_PER_S
    written = datetime.fromtimestamp(at // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert past(server, "SYN0", f"at={written}") == past(server, "SYN0", f"at={at}")


@pytest.mark.parametrize("level", [1, 2, 3])
def test_every_representation_says_the_same(server: RunningServer, times: list[int], level: int) -> None:
    path = f"/v1/books/SYN0?level={level}&depth=5&at={times[len(times) // 2]}"
    kind = QueuedBook if level == 3 else Book
    told = server.get(path).content
    assert msgspec.json.decode(told, type=kind)
    packed = server.get(path, headers={"Accept": "application/msgpack"})
    assert msgspec.msgpack.decode(packed.content) == msgspec.json.decode(told)
    lines = server.get(path, headers={"Accept": "application/x-ndjson"}).text.splitlines()
    table = pa.ipc.open_stream(server.get(path, headers={"Accept": ARROW}).content).read_all()
    levels = sum(len(msgspec.json.decode(told)[side]) for side in ("bids", "asks"))
    assert len(lines) == table.num_rows == levels


def test_the_past_can_be_kept_and_the_end_cannot(server: RunningServer, times: list[int]) -> None:
    settled = server.get(f"/v1/books/SYN0?at={times[100]}")
    assert settled.headers["Cache-Control"].startswith("private, max-age=")
    again = server.get(f"/v1/books/SYN0?at={times[100]}", headers={"If-None-Match": settled.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = server.get(f"/v1/books/SYN0?at={times[9000]}", headers={"If-None-Match": settled.headers["ETag"]})
    assert other.status_code == 200
    assert server.get(f"/v1/books/SYN0?at={times[-1] + 1}").headers["Cache-Control"] == "no-cache"


def test_before_the_recording_and_unknown_names(server: RunningServer, times: list[int]) -> None:
    problem(server.get(f"/v1/books/SYN0?at={times[0] - HOUR_NS}"), 404, "not_recorded")
    problem(server.get(f"/v1/books/NONE?at={times[100]}"), 404, "unknown_instrument")
    problem(server.get("/v1/books/SYN0?at=soon"), 422, "bad_parameter")
    problem(server.get(f"/get_snapshot?at={times[100]}"), 409, "ambiguous_instrument")


def test_orders_are_told_from_where_they_rest_to_where_they_went(server: RunningServer, recording: Path) -> None:
    """At the end of the recording: each rests as the book has it, or its last records say how it went."""
    lives = lives_of(recording, "SYN0")
    book = server.get("/v1/books/SYN0?level=3&depth=all").json()
    resting = {order[0] for side in ("bids", "asks") for level in book[side] for order in level[3]}
    seen = set()
    for order_id in random.Random(6).sample(sorted(lives), SAMPLES):
        told = server.get(f"/v1/books/SYN0/orders/{order_id}").content
        if str(order_id) in resting:
            order = msgspec.json.decode(told, type=Order)
        else:
            order = msgspec.json.decode(told, type=GoneOrder)
            assert order.status in {"filled", "cancelled"}
        seen.add(order.status)
        told_life = [(int(event.ts_event), event.action, event.size) for event in order.life or []]
        assert told_life == lives[order_id]
    assert {"resting", "cancelled"} <= seen


def test_an_order_as_of_a_time(server: RunningServer, recording: Path) -> None:
    lives = {order_id: life for order_id, life in lives_of(recording, "SYN1").items() if len(life) > 1}
    for order_id in random.Random(7).sample(sorted(lives), 10):
        added, *_, last = lives[order_id]
        path = f"/v1/books/SYN1/orders/{order_id}?at="
        problem(server.get(f"{path}{added[0] - 1}"), 404, "unknown_order")
        told = server.get(f"{path}{last[0] - 1}")
        if last[0] > added[0]:
            order = msgspec.json.decode(told.content, type=Order)
            queue = queue_of(recording, last[0] - 1, order.side, order.price)
            place = queue.index(str(order_id))
            assert (order.orders_ahead, order.orders_behind) == (place, len(queue) - place - 1)
            assert all(int(event.ts_event) < last[0] for event in order.life or [])
            assert order.life


def test_the_life_can_be_left_out(server: RunningServer) -> None:
    book = server.get("/v1/books/SYN0?level=3&depth=1").json()
    order_id = book["bids"][0][3][0][0]
    path = f"/v1/books/SYN0/orders/{order_id}"
    with_life = server.get(path).json()
    assert with_life.pop("life")
    assert server.get(f"{path}?life=false").json() == with_life
    problem(server.get(f"{path}?life=maybe"), 422, "bad_parameter")


def test_an_order_that_never_was(server: RunningServer) -> None:
    # Clears, and trades of no resting order, have the id 0.
    for order_id in ("0", "1", str(2**64 - 1), str(10**20 - 1)):
        problem(server.get(f"/v1/books/SYN0/orders/{order_id}"), 404, "unknown_order")


def test_trades_page_by_page(server: RunningServer, recording: Path) -> None:
    expected = [
        (str(row["ts_recv"]), str(row["ts_event"]), price_text(row["price"]), row["size"], row["sequence"])
        for row in table_of(recording, "trades", "SYN0")
    ]
    entries = all_rows(server, "/v1/books/SYN0/history/trades?limit=97", "trades", TradeEntry)
    told = [(entry.ts_recv, entry.ts_event, entry.price, entry.size, entry.sequence) for entry in entries]
    assert told == expected
    assert [entry.ordinal for entry in entries] == sorted(entry.ordinal for entry in entries)
    middle = expected[len(expected) // 2][0]
    later = all_rows(server, f"/v1/books/SYN0/history/trades?start={middle}", "trades", TradeEntry)
    sooner = all_rows(server, f"/v1/books/SYN0/history/trades?end={middle}", "trades", TradeEntry)
    assert len(sooner) + len(later) == len(expected)
    assert all(int(entry.ts_recv) < int(middle) for entry in sooner)


def test_best_prices_by_the_second(server: RunningServer, recording: Path) -> None:
    entries = all_rows(server, "/v1/books/SYN1/history/bbo?interval=1s&limit=7", "bbo", BboEntry)
    assert len(entries) >= 3
    assert all(int(two.ts) - int(one.ts) == NS_PER_S for one, two in pairwise(entries))
    for entry in entries:
        market = until_the_end_of(recording, int(entry.ts))
        bid, ask = market.book("SYN1").bbo()
        assert bid is not None
        assert ask is not None
        assert (entry.bid_price, entry.bid_size, entry.bid_count) == (price_text(bid.price), bid.size, bid.count)
        assert (entry.ask_price, entry.ask_size, entry.ask_count) == (price_text(ask.price), ask.size, ask.count)


def test_levels_by_the_second(server: RunningServer, recording: Path) -> None:
    entries = all_rows(server, "/v1/books/SYN0/history/levels?side=B&limit=100", "levels", LevelEntry)
    by_second: dict[str, list[LevelEntry]] = defaultdict(list)
    for entry in entries:
        by_second[entry.ts].append(entry)
    assert len(by_second) >= 3
    for ts, levels in by_second.items():
        bids = until_the_end_of(recording, int(ts)).snapshot("SYN0", None).bids.tolist()
        there = {price_text(price): (size, count) for price, size, count in bids}
        assert all((entry.size, entry.count) == there.get(entry.price, (0, 0)) for entry in levels)
        assert all(entry.side == "B" for entry in levels)
    one = entries[0].price
    of_one = all_rows(server, f"/v1/books/SYN0/history/levels?side=B&price={one}", "levels", LevelEntry)
    assert of_one == [entry for entry in entries if entry.price == one]
    filled = all_rows(server, f"/v1/books/SYN0/history/levels?side=B&price={one}&interval=1s", "levels", LevelEntry)
    assert [int(entry.ts) for entry in filled] == sorted({int(entry.ts) for entry in filled})


@pytest.mark.parametrize("name", ["bbo", "trades", "levels"])
def test_every_representation_of_rows(server: RunningServer, name: str) -> None:
    path = f"/v1/books/SYN0/history/{name}?limit=2"
    told = server.get(path)
    assert told.headers["Link"] == f'<{path}&cursor={told.json()["next_cursor"]}>; rel="next"'
    assert msgspec.msgpack.decode(server.get(path, headers={"Accept": "application/msgpack"}).content) == told.json()
    lines = server.get(path, headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert [msgspec.json.decode(line) for line in lines] == told.json()[name]
    table = pa.ipc.open_stream(server.get(path, headers={"Accept": ARROW}).content).read_all()
    assert table.column_names == list(told.json()[name][0])
    assert table.num_rows == 2


@pytest.mark.parametrize(
    "query",
    ["start=x", "end=x", "limit=0", "limit=10001", "cursor=x", "interval=0s", "interval=5", "side=N", "price=1e5"],
)
def test_what_rows_cannot_be_asked_with(server: RunningServer, query: str) -> None:
    problem(server.get(f"/v1/books/SYN0/history/levels?{query}"), 422, "bad_parameter")


def test_rows_of_nothing(server: RunningServer, times: list[int]) -> None:
    assert server.get(f"/v1/books/SYN0/history/trades?start={times[-1] + HOUR_NS}").json()["trades"] == []
    assert server.get(f"/v1/books/SYN0/history/bbo?start={times[0]}&end={times[0]}").json()["bbo"] == []
    problem(server.get("/v1/books/NONE/history/bbo"), 404, "unknown_instrument")


@pytest.mark.parametrize("name", ["bbo", "trades", "levels"])
def test_rows_of_a_time_that_ends_before_it_begins_are_refused(
    server: RunningServer, times: list[int], name: str
) -> None:
    start, end = times[-1], times[0]
    said = problem(server.get(f"/v1/books/SYN0/history/{name}?start={start}&end={end}"), 422, "bad_parameter")
    assert said["detail"] == f"start {start} is after end {end} (ns): expected a time before it"


def test_rows_can_be_asked_for_as_soon_as_a_server_is_ready(
    serve: Callable[..., RunningServer], recording: Path, tmp_path: Path
) -> None:
    """Another process has to find its tables first, which takes it half a second."""
    for _ in range(2):
        server = serve("--source", f"file:{recording}", "--history", str(tmp_path / "history"))
        server.wait_until_ready()
        for name in ("bbo", "trades", "levels"):
            answer = server.get(f"/v1/books/SYN0/history/{name}")
            assert answer.status_code == 200, answer.text
        server.kill()


def test_a_store_that_cannot_be_read_is_said_to_be(
    serve: Callable[..., RunningServer], recording: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "history"
    folder.mkdir()
    (folder / "history.sqlite").write_bytes(b"no database" * 1000)
    server = serve("--source", f"file:{recording}", "--history", str(folder))
    server.wait_for_state("ended")
    answer = server.get("/v1/books/SYN0/history/trades")
    problem(answer, 503, "store_unavailable")
    assert answer.headers["Retry-After"]
    assert str(tmp_path) not in answer.text
    # The process that writes the tables tells of it when it has found out.
    until_s = time.monotonic() + TOLD_S
    while (error := server.metrics()["history"]["indexing"]["error"]) is None:
        assert time.monotonic() < until_s, "".join(server.lines)
        time.sleep(0.02)
    assert error.startswith("history.sqlite: ")
    assert server.wait_for_line(re.escape(f"{folder / 'history.sqlite'}: ")), "it is in the log"


def made_export(server: RunningServer, **body: Any) -> dict[str, Any]:
    made = server.client.post("/v1/exports", json=body)
    assert made.status_code == 201, made.text
    answer: dict[str, Any] = made.json()
    assert made.headers["Location"] == answer["url"]
    return answer


def exported(server: RunningServer, **body: Any) -> bytes:
    answer = made_export(server, **body)
    file = server.get(answer["url"])
    assert len(file.content) == answer["bytes"]
    return file.content


def test_an_export_leads_from_one_book_to_the_other(server: RunningServer, recording: Path, times: list[int]) -> None:
    start, end = times[5000], times[9000]
    body = {"start": str(start), "end": str(end), "schema": "mbo", "to": "dbn"}
    market = Market()
    market.feed(exported(server, **body, snapshot=True))
    for name in ("SYN0", "SYN1"):
        book = msgspec.json.decode(market.book_json(name, level=2, depth=None))
        expected = book_as_of(recording, end, name, depth=None)
        assert {side: book[side] for side in ("bids", "asks")} == {side: expected[side] for side in ("bids", "asks")}
    records = Market()
    records.feed(exported(server, **body))
    ordinals = [counted(recording, at) for at in (start, end)]
    assert records.stats()["records"] == ordinals[1] - ordinals[0]


@pytest.mark.parametrize("schema", ["mbp-10", "bbo-1s", "trades"])
def test_an_export_of_everything_is_what_convert_makes(
    server: RunningServer, recording: Path, times: list[int], tmp_path: Path, schema: str
) -> None:
    converted = tmp_path / "rows.csv"
    done = run("convert", recording, "--schema", schema, "--instrument", "SYN0", "-o", converted)
    assert done.returncode == 0, done.stderr
    body = {"start": str(times[0] - 1), "end": str(times[-1]), "schema": schema, "to": "csv", "instrument": "SYN0"}
    assert exported(server, **body).decode().splitlines() == converted.read_text().splitlines()


def test_an_export_as_dbn_names_its_symbols_and_begins_where_its_rows_do(
    server: RunningServer, times: list[int]
) -> None:
    import databento

    stretch = {"start": str(times[5000]), "end": str(times[9000])}
    for instrument, symbols in ((None, ["SYN0", "SYN1"]), ("SYN1", ["SYN1"])):
        data = exported(server, **stretch, schema="trades", to="dbn", instrument=instrument)
        store = databento.DBNStore.from_bytes(data)
        assert sorted(store.symbols) == sorted(store.mappings) == symbols
        rows = store.to_ndarray()
        assert times[5000] - HOUR_NS < store.metadata.start <= int(rows["ts_recv"].min())
    data = exported(server, **stretch, schema="mbo", to="dbn")
    store = databento.DBNStore.from_bytes(data)
    assert store.metadata.start == int(store.to_ndarray()["ts_recv"].min())


def test_an_export_of_a_time_in_which_a_book_was_quiet_is_empty(server: RunningServer, times: list[int]) -> None:
    body = {"start": str(times[5000]), "end": str(times[5000]), "schema": "trades", "to": "csv", "instrument": "SYN1"}
    assert made_export(server, **body)["rows"] == 0


def test_an_export_to_parquet(server: RunningServer, times: list[int]) -> None:
    import pyarrow.parquet as pq

    body = {
        "start": str(times[2000]),
        "end": str(times[3000]),
        "schema": "mbp-1",
        "to": "parquet",
        "instrument": "SYN1",
    }
    table = pq.read_table(io.BytesIO(exported(server, **body)))
    assert table.num_rows > 10
    assert set(table["symbol"].to_pylist()) == {"SYN1"}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"schema": "mbp-5"}, 422, "bad_body"),
        ({"to": "xlsx"}, 422, "bad_body"),
        ({"more": 1}, 422, "bad_body"),
        ({"start": "soon"}, 422, "bad_parameter"),
        ({"start": "1758751200000000001", "end": "1758751200000000000"}, 422, "bad_parameter"),
        ({"instrument": "NONE"}, 404, "unknown_instrument"),
    ],
)
def test_what_cannot_be_exported(
    server: RunningServer, times: list[int], changes: dict[str, Any], status: int, code: str
) -> None:
    body = {"start": str(times[0]), "end": str(times[50]), "schema": "mbo", "to": "csv", **changes}
    problem(server.client.post("/v1/exports", json=body), status, code)
    problem(server.get("/v1/exports/0123456789abcdef"), 404, "unknown_export")
    problem(server.get("/v1/exports/..%2Fhistory.sqlite"), 404, "not_found")


def test_a_body_that_is_none(server: RunningServer) -> None:
    headers = {"Content-Type": "application/json"}
    problem(server.client.post("/v1/exports", content=b"{", headers=headers), 400, "bad_body")
    problem(server.client.post("/v1/replays", content=b"[]", headers=headers), 422, "bad_body")
    packed = msgspec.msgpack.encode({"from": "1"})
    problem(
        server.client.post("/v1/replays", content=packed, headers={"Content-Type": "application/msgpack"}),
        404,
        "not_recorded",
    )


def test_exports_make_way_and_are_bounded(
    serve: Callable[..., RunningServer], recording: Path, times: list[int], tmp_path: Path
) -> None:
    server = serve_recorded(serve, recording, tmp_path / "history", exports_max=2, export_bytes_max=50_000)
    body = {"start": str(times[-200]), "end": str(times[-100]), "schema": "mbo", "to": "csv"}
    urls = [made_export(server, **body)["url"] for _ in range(3)]
    problem(server.get(urls[0]), 404, "unknown_export")
    assert [server.get(url).status_code for url in urls[1:]] == [200, 200]
    body["start"] = str(times[0])
    problem(server.client.post("/v1/exports", json=body), 422, "export_too_large")
    # … and costs none of those that are there.
    assert [server.get(url).status_code for url in urls[1:]] == [200, 200]
    # What was begun and given up is not left behind.
    names = {path.name for path in (tmp_path / "history" / "exports").iterdir()}
    assert names == {f"{url.rpartition('/')[2]}.csv{ending}" for url in urls[1:] for ending in ("", ".about")}


def test_only_who_may_control_makes_exports(
    serve: Callable[..., RunningServer], recording: Path, times: list[int], tmp_path: Path
) -> None:
    env = {"L3BOOK_STATE_DIR": str(tmp_path / "state")}
    keys = {scope: make_key(env, scope, scope) for scope in ("read", "control")}
    server = serve("--source", f"file:{recording}", "--history", str(tmp_path / "history"), env=env)
    headers = {scope: {"Authorization": f"Bearer {key}"} for scope, key in keys.items()}
    server.client.headers.update(headers["read"])
    server.wait_for_state("ended")
    wait_until_recorded(server)
    body = {"start": str(times[0]), "end": str(times[100]), "schema": "mbo", "to": "csv"}
    problem(server.client.post("/v1/exports", json=body), 403, "insufficient_scope")
    made = server.client.post("/v1/exports", json=body, headers={**headers["control"], "Idempotency-Key": "once"})
    assert made.status_code == 201
    again = server.client.post("/v1/exports", json=body, headers={**headers["control"], "Idempotency-Key": "once"})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == made.json()
    assert server.get(made.json()["url"]).status_code == 200
    replay = server.client.post("/v1/replays", json={"from": str(times[100])})
    assert replay.status_code == 201
    listed = server.get("/v1/exports", headers=headers["control"]).json()["exports"]
    assert listed == [made.json()]
    assert server.get("/v1/exports").json()["exports"] == [], "none of the reader's"
    other = {"Authorization": f"Bearer {make_key(env, 'other', 'control')}"}
    problem(server.client.delete(made.json()["url"], headers=other), 404, "unknown_export")
    problem(server.client.delete(made.json()["url"]), 403, "insufficient_scope")
    assert server.client.delete(made.json()["url"], headers=headers["control"]).status_code == 204
    problem(server.get(made.json()["url"]), 404, "unknown_export")
    assert server.get("/v1/exports", headers=headers["control"]).json()["exports"] == []
    assert list((tmp_path / "history" / "exports").iterdir()) == []
    theirs = server.get(replay.headers["Location"], headers=headers["control"])
    problem(theirs, 404, "unknown_replay")
    assert server.get("/v1/replays", headers=headers["control"]).json() == {"replays": []}


def all_rows(server: RunningServer, path: str, name: str, kind: type[Any]) -> list[Any]:
    """Every page, by its links."""
    found: list[Any] = []
    link: str | None = path
    while link:
        response = server.get(link)
        assert response.status_code == 200, response.text
        found += msgspec.convert(response.json()[name], list[kind])  # type: ignore[valid-type]
        link = response.links.get("next", {}).get("url")
    return found


def table_of(path: Path, schema: str, instrument: str) -> np.ndarray:
    rows = b"".join(derived(path, Deriver(schema, instrument=instrument)))
    return np.frombuffer(rows, np.dtype(fields(schema)))


def lives_of(path: Path, instrument: str) -> dict[int, list[tuple[int, str, int]]]:
    """Of every order: (ts_event, action, size) of each record."""
    found: dict[int, list[tuple[int, str, int]]] = defaultdict(list)
    for row in table_of(path, "mbo", instrument):
        if row["order_id"]:
            found[int(row["order_id"])].append((int(row["ts_event"]), row["action"].decode(), int(row["size"])))
    return found


def queue_of(path: Path, at: int, side: str, price: str) -> list[str]:
    book = book_as_of(path, at, "SYN1", level=3, depth=None)
    (queue,) = [level[3] for level in book["bids" if side == "B" else "asks"] if level[0] == price]
    return [order[0] for order in queue]


def counted(path: Path, at: int) -> int:
    """MBO records that lead to the books as of a time."""
    return sum(int(row["ts_event"]) <= at for row in table_of(path, "mbo", "SYN0")) + sum(
        int(row["ts_event"]) <= at for row in table_of(path, "mbo", "SYN1")
    )


def until_the_end_of(path: Path, second: int) -> Market:
    """All books as they were at the end of a second, by ts_recv."""
    reader, market = FileReader(path), Market()
    while chunk := reader.read(RECORDS, second + NS_PER_S - 1):
        market.feed(chunk)
    return market
