"""The history by store: how fast it takes a stream, how many bytes a row costs, how long questions take.

`make bench` and `make bench-history` run it; it writes target/bench/history.json. Streams (b) and (c) are those of the
other benchmarks, made by the simulator and recorded first. Every store takes the same batches, one store at a time, for
so long at most; questions are asked of what it has by then. Parquet is what SQLite has taken, compacted. A store whose
packages or server are not here is named with the reason.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from streams_made import REPOSITORY, RESULTS

from l3book._core import Indexer, Log, Market, Past, Recorder, Simulator
from l3book.history import rows
from l3book.history.sqlite import SqliteStore

if TYPE_CHECKING:
    from l3book.history.store import Book, Store

IS_QUICK = os.environ.get("L3BOOK_BENCH_QUICK", "0") not in {"", "0"}
MESSAGES = 200_000 if IS_QUICK else 5_000_000
STREAMS = {"b": 1, "c": 100}
"""Instruments of each."""
CHUNK_RECORDS = 10_000
BATCH_RECORDS = 250_000
ASKED = 20 if IS_QUICK else 200
"""Questions of each kind; the 99th of a hundred of 200 is still one that was seen twice."""
WRITE_S_MAX = 45.0
"""A store is written to for so long, with the making of its rows: what it has by then, it is measured on."""
ASK_S_MAX = 6.0
ASKED_MIN = 20
"""Questions of one kind end after so long, but not before so many."""
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY_S = 86_400
WAIT_S = 120
ORDINAL_BYTES = 8
UNDEF_PRICE = 2**63 - 1
KINDS = {
    "a": "book as of T",
    "b": "1 s BBO over ten minutes",
    "c": "volume per minute",
    "d": "size at one price over ten minutes, by the second",
    "e": "life of one order",
}

Ask = Callable[[], object]


@dataclass
class Recorded:
    """A stream in a history's folder, and what can be asked of it."""

    folder: Path
    messages: int
    record_s: float
    log_bytes: int


def record(folder: Path, instruments: int) -> Recorded:
    """Record a synthetic stream, as a server would."""
    simulator = Simulator(instruments=instruments)
    market = Market()
    chunks = [simulator.header()]
    while simulator.records < MESSAGES:
        chunks.append(simulator.read(CHUNK_RECORDS))
    recorder = Recorder(folder)
    recorder.begin(market, "synthetic:")
    start = time.perf_counter()
    for chunk in chunks:
        market.feed(chunk)
        while not recorder.wait_room(WAIT_S):
            pass
    if not recorder.close(WAIT_S):
        raise TimeoutError(f"{folder}: the recorder has not closed in {WAIT_S} s")
    took_s = time.perf_counter() - start
    log = Log(folder)
    return Recorded(folder, log.end_ordinal, took_s, sum(segment["bytes"] for segment in log.segments()))


@dataclass
class Taken:
    """What writing took, and what the rows are that questions may be asked of."""

    seconds: float
    indexing_s: float
    rows: dict[str, int]
    messages: int
    questions: dict[str, list[tuple[Any, ...]]]


def take(recorded: Recorded, store: Store, *, keeps_records: bool) -> Taken:
    """Write the whole log into the store; of the rows, remember some to ask about."""
    chance = random.Random(1)
    indexer = Indexer(recorded.folder, ordinal=0, keep_records=keeps_records)
    counts = {"trades": 0, "bbo": 0, "levels": 0}
    written_s = indexing_s = 0.0
    seen: dict[str, list[tuple[Any, ...]]] = {"level": [], "order": [], "book": []}
    end_ordinal = 0
    while written_s + indexing_s < WRITE_S_MAX:
        start = time.perf_counter()
        batch = indexer.advance(BATCH_RECORDS)
        indexing_s += time.perf_counter() - start
        if batch is None:
            break
        start = time.perf_counter()
        store.write(batch)
        written_s += time.perf_counter() - start
        for name, kind in (("trades", rows.TRADE), ("bbo", rows.BBO), ("levels", rows.LEVEL)):
            counts[name] += len(getattr(batch, name)) // kind.itemsize
        if keeps_records:
            counts["records"] = counts.get("records", 0) + len(batch.ordinals) // ORDINAL_BYTES
        _remember(seen, batch, chance)
        end_ordinal = batch.end_ordinal
    log = Log(recorded.folder)
    while len(seen["order"]) < ASKED:
        _, record = log.read(chance.randrange(end_ordinal), 1)
        row = np.frombuffer(record, RECORD)[0]
        if row["order_id"]:
            seen["order"].append(((int(row["publisher_id"]), int(row["instrument_id"])), int(row["order_id"])))
    return Taken(written_s, indexing_s, counts, end_ordinal, seen)


def compacted(store: SqliteStore, taken: Taken) -> Taken:
    """Move everything that was taken to Parquet files, also the days that are not over."""
    from l3book.history import compaction

    def every_day(of: SqliteStore) -> list[int]:
        with of.reading() as connection:
            (oldest,) = connection.execute("SELECT min(second) FROM bbo").fetchone()
            (newest,) = connection.execute("SELECT newest_second FROM position").fetchone()
        return list(range(oldest // DAY_S, newest // DAY_S + 1))

    compaction._closed_days = every_day
    start = time.perf_counter()
    days = list(compaction.compact(store))
    took_s = time.perf_counter() - start
    counts = {table: sum(getattr(day, table) for day in days) for table in ("trades", "bbo", "levels")}
    return Taken(took_s, taken.indexing_s, counts, taken.messages, taken.questions)


def _remember(seen: dict[str, list[tuple[Any, ...]]], batch: Any, chance: random.Random) -> None:
    levels = np.frombuffer(batch.levels, rows.LEVEL)
    for row in chance.choices(levels, k=ASKED) if len(levels) else []:
        book = (int(row["publisher_id"]), int(row["instrument_id"]))
        seen["book"].append((book, int(row["ts"])))
        seen["level"].append((book, int(row["ts"]), row["side"].decode(), int(row["price"])))


RECORD = np.dtype(
    {
        "names": ["publisher_id", "instrument_id", "order_id"],
        "formats": ["<u2", "<u4", "<u8"],
        "offsets": [2, 4, 16],
        "itemsize": 56,
    }
)


def questions(store: Store, taken: Taken) -> dict[str, list[Ask]]:
    """Questions of each kind, in the order of the design's table; those of kind a are asked of the log."""
    chance = random.Random(2)

    def best(book: Book, ts: int) -> object:
        start = ts - chance.randrange(600) * SECOND
        return store.bbo(book, start, start + 600 * SECOND, SECOND, 600)

    def volume(book: Book, ts: int) -> object:
        return store.volume(book, ts - 12 * 60 * MINUTE, ts + 12 * 60 * MINUTE, MINUTE, 24 * 60)

    def level(book: Book, ts: int, side: str, price: int) -> object:
        start = ts - chance.randrange(600) * SECOND
        return store.levels(book, start, start + 600 * SECOND, SECOND, 600, side=side, price=price)

    def some(ask: Callable[..., object], about: str) -> list[Ask]:
        return [functools.partial(ask, *chance.choice(taken.questions[about])) for _ in range(ASKED)]

    return {
        "b": some(best, "book"),
        "c": some(volume, "book"),
        "d": some(level, "level"),
        "e": some(store.order_life, "order"),
    }


def past_questions(recorded: Recorded, books: list[tuple[Any, ...]]) -> Iterator[Ask]:
    """Books as of any time within the log."""
    chance = random.Random(3)
    past = Past(recorded.folder)
    begin = past.range()[-1]["ts_begin"]
    # Checkpoints are as far as rows are.
    end = max(ts for _, ts in books)
    for _ in range(ASKED):
        book, _ = chance.choice(books)
        at = chance.randint(begin, max(begin, end))
        yield functools.partial(past.book_json, book, at, depth=10)


def latencies(asked: Iterable[Ask]) -> dict[str, float]:
    """Percentiles in ms; the first question, which finds nothing warm, is among them."""
    took_ms: list[float] = []
    until_s = time.perf_counter() + ASK_S_MAX
    for ask in asked:
        if len(took_ms) >= ASKED_MIN and time.perf_counter() > until_s:
            break
        start = time.perf_counter_ns()
        ask()
        took_ms.append((time.perf_counter_ns() - start) / 1e6)
    return {
        "p50_ms": float(np.percentile(took_ms, 50)),
        "p99_ms": float(np.percentile(took_ms, 99)),
        "asked": len(took_ms),
    }


class NotHereError(Exception):
    """Why a store is not measured."""


def _need(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise NotHereError(f"{module} is not installed")


@contextmanager
def sqlite(recorded: Recorded, _folder: Path) -> Iterator[tuple[Store, Callable[[], int]]]:
    """The embedded store: order lives are read from the log, so that no records are kept twice."""
    store = SqliteStore(recorded.folder)
    store.open()
    try:
        yield store, store.bytes_used
    finally:
        store.close()


@contextmanager
def parquet(recorded: Recorded, folder: Path) -> Iterator[tuple[Store, Callable[[], int]]]:
    """What SQLite has taken, once it is compacted; read with DuckDB."""
    _need("duckdb", "pyarrow")
    with sqlite(recorded, folder) as (store, _):
        assert isinstance(store, SqliteStore)
        yield store, store.archive.bytes_used


@contextmanager
def chdb(_recorded: Recorded, folder: Path) -> Iterator[tuple[Store, Callable[[], int]]]:
    """ClickHouse's engine in this process."""
    _need("chdb", "clickhouse_connect")
    from l3book.history.clickhouse import ClickHouseStore, Target
    from l3book.history.clickhouse.connection import Connection

    target = Target("bench", path=str(folder / "chdb"))
    store = ClickHouseStore(target)
    store.open()
    connection = Connection(target, 0)

    def size() -> int:
        for table in ("trades", "bbo", "levels", "records"):
            connection.execute(f"OPTIMIZE TABLE bench.{table} FINAL")
        ((taken,),) = connection.read_lists(
            "SELECT toUInt64(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = 'bench'"
        )
        return int(taken)

    try:
        yield store, size
    finally:
        store.close()
        connection.execute("DROP DATABASE bench")
        connection.close()


@contextmanager
def postgres(_recorded: Recorded, _folder: Path) -> Iterator[tuple[Store, Callable[[], int]]]:
    """A PostgreSQL server of its own, by loopback."""
    _need("psycopg", "psycopg_pool", "pytest")
    import pytest

    from l3book.history.postgres import PostgresStore
    from running_postgres import DATABASE, RunningPostgres

    try:
        server = RunningPostgres(fsync="on", shared_buffers="512MB", max_wal_size="4GB")
    except pytest.skip.Exception as reason:
        raise NotHereError(str(reason)) from None
    store = PostgresStore(server.options(), "postgresql://bench")
    try:
        store.open()
        yield store, lambda: int(server.execute(f"SELECT pg_database_size('{DATABASE}')")[0][0])
        store.close()
    finally:
        server.close()


STORES = {
    "sqlite": (sqlite, False),
    "parquet (DuckDB)": (parquet, False),
    "clickhouse (chdb)": (chdb, True),
    "postgresql": (postgres, True),
}


def measured(recorded: Recorded, folder: Path, name: str, by_sqlite: list[Taken]) -> dict[str, Any]:
    """Everything of one store; what SQLite took is kept in `by_sqlite`."""
    opened, keeps_records = STORES[name]
    try:
        with opened(recorded, folder) as (store, size):
            before = size()
            if opened is parquet:
                assert isinstance(store, SqliteStore)
                taken = compacted(store, by_sqlite[0])
            else:
                taken = take(recorded, store, keeps_records=keeps_records)
                if opened is sqlite:
                    by_sqlite.append(taken)
            count = sum(taken.rows.values())
            grown = size() - before
            return {
                "rows": taken.rows,
                "rows_per_s": count / taken.seconds,
                "messages": taken.messages,
                "messages_per_s": taken.messages / taken.seconds,
                "indexing_messages_per_s": taken.messages / taken.indexing_s,
                "bytes_per_row": grown / count,
                "bytes_per_message": grown / taken.messages,
                "latencies": {
                    "a": latencies(past_questions(recorded, taken.questions["book"])),
                    **{kind: latencies(asked) for kind, asked in questions(store, taken).items()},
                },
            }
    except NotHereError as reason:
        return {"missing": str(reason)}


def main() -> None:
    """Measure, write it down, and say so."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    found: dict[str, Any] = {
        "kinds": KINDS,
        "asked": ASKED,
        "commit": commit.stdout.strip() or "unknown",
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
        "streams": {},
    }
    for stream, instruments in STREAMS.items():
        with tempfile.TemporaryDirectory(prefix="l3book-bench-history-") as temporary:
            folder = Path(temporary)
            recorded = record(folder / "history", instruments)
            result: dict[str, Any] = {
                "instruments": instruments,
                "messages": recorded.messages,
                "recorded_messages_per_s": recorded.messages / recorded.record_s,
                "log_bytes_per_message": recorded.log_bytes / recorded.messages,
                "stores": {},
            }
            by_sqlite: list[Taken] = []
            for name in STORES:
                if name != "parquet (DuckDB)":
                    shutil.rmtree(recorded.folder / "checkpoints", ignore_errors=True)
                start = time.perf_counter()
                result["stores"][name] = measured(recorded, folder, name, by_sqlite)
                sys.stdout.write(f"({stream}) {name}: {time.perf_counter() - start:.0f} s\n")
                sys.stdout.flush()
            found["streams"][stream] = result
            sys.stdout.write(json.dumps({stream: result}, indent=1) + "\n")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "history.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
