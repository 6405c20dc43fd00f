"""Books and lists as lines (NDJSON) and as columns (Arrow): the same columns in both.

Only what is asked for in Arrow needs pyarrow.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from l3book.api.schemas import Book, BookRow, Instrument, QueuedBook
from l3book.arrow import PRICE_DECIMALS, PRICE_DIGITS

if TYPE_CHECKING:
    import pyarrow as pa

TS_MAX = 2**63 - 1
"""Arrow's times are signed; a later one, as of a record without time, is null."""

_ENCODER = msgspec.json.Encoder()
_BOOK: msgspec.json.Decoder[Book] = msgspec.json.Decoder(Book)
_QUEUED_BOOK: msgspec.json.Decoder[QueuedBook] = msgspec.json.Decoder(QueuedBook)


def book_lines(body: bytes, level: int) -> bytes:
    """Write an encoded book as NDJSON, a line for each price level."""
    return _ENCODER.encode_lines(list(_rows(_decoded(body, level))))


def book_arrow(body: bytes, level: int) -> bytes:
    """Write an encoded book as an Arrow stream, a row for each price level; its head is the schema's metadata."""
    import pyarrow as pa

    book = _decoded(body, level)
    rows = list(_rows(book))
    columns = {
        "side": pa.array([row.side for row in rows], pa.string()),
        "level": pa.array([row.level for row in rows], pa.uint32()),
        "price": pa.array([Decimal(row.price) for row in rows], pa.decimal128(PRICE_DIGITS, PRICE_DECIMALS)),
        "size": pa.array([row.size for row in rows], pa.uint64()),
        "count": pa.array([row.count for row in rows], pa.uint32()),
    }
    if level == 3:
        columns["orders"] = pa.array([_queue(row) for row in rows], _queue_type())
    head = {name: getattr(book, name) for name in book.__struct_fields__ if name not in {"bids", "asks"}}
    metadata = {name: value if isinstance(value, str) else _ENCODER.encode(value) for name, value in head.items()}
    return _stream(pa.table(columns).replace_schema_metadata(metadata))


def instruments_arrow(instruments: Sequence[Instrument]) -> bytes:
    """Write a list of instruments as an Arrow stream."""
    import pyarrow as pa

    kinds = {
        "symbol": pa.string(),
        "instrument_id": pa.uint32(),
        "publisher_id": pa.uint16(),
        "state": pa.string(),
        "seq": pa.uint64(),
        "orders": pa.uint64(),
    }
    columns = {name: pa.array([getattr(entry, name) for entry in instruments], kind) for name, kind in kinds.items()}
    columns["ts_event"] = pa.array([_ts(entry.ts_event) for entry in instruments], pa.timestamp("ns", tz="UTC"))
    return _stream(pa.table(columns))


def rows_arrow(entries: Sequence[Any], kind: type[msgspec.Struct]) -> bytes:
    """Write rows of the past as an Arrow stream, with a column for each field of their type."""
    import pyarrow as pa

    columns = {name: _column(name, [getattr(entry, name) for entry in entries]) for name in kind.__struct_fields__}
    return _stream(pa.table(columns))


def _column(name: str, values: list[Any]) -> "pa.Array":
    import pyarrow as pa

    if name.startswith("ts"):
        return pa.array([_ts(value) for value in values], pa.timestamp("ns", tz="UTC"))
    if name.endswith("price"):
        prices = [None if value is None else Decimal(value) for value in values]
        return pa.array(prices, pa.decimal128(PRICE_DIGITS, PRICE_DECIMALS))
    if name in {"side", "state"}:
        return pa.array(values, pa.string())
    if name.endswith("count") or name == "sequence":
        return pa.array(values, pa.uint32())
    return pa.array(list(map(int, values)), pa.uint64())


def lines(entries: Sequence[Any]) -> bytes:
    """Write entries as NDJSON, a line each."""
    return _ENCODER.encode_lines(entries)


def _decoded(body: bytes, level: int) -> Book | QueuedBook:
    return _QUEUED_BOOK.decode(body) if level == 3 else _BOOK.decode(body)


def _rows(book: Book | QueuedBook) -> Iterator[BookRow]:
    if isinstance(book, QueuedBook):
        for side, queued in (("B", book.bids), ("A", book.asks)):
            for level, (price, size, count, queue) in enumerate(queued, 1):
                yield BookRow(side=side, level=level, price=price, size=size, count=count, orders=queue)  # type: ignore[arg-type]
        return
    for side, levels in (("B", book.bids), ("A", book.asks)):
        for level, (price, size, count) in enumerate(levels, 1):
            yield BookRow(side=side, level=level, price=price, size=size, count=count)  # type: ignore[arg-type]


def _queue(row: BookRow) -> list[dict[str, int | None]]:
    orders = row.orders or []
    return [{"order_id": int(order_id), "size": size, "ts_event": _ts(ts)} for order_id, size, ts in orders]


def _queue_type() -> "pa.DataType":
    import pyarrow as pa

    order = [("order_id", pa.uint64()), ("size", pa.uint64()), ("ts_event", pa.timestamp("ns", tz="UTC"))]
    return pa.list_(pa.struct(order))


def _ts(text: str) -> int | None:
    return ts if (ts := int(text)) <= TS_MAX else None


def _stream(table: "pa.Table") -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
