"""Rows as Arrow tables, with the columns of `DBNStore.to_parquet`. Needs pyarrow (`pip install l3book[arrow]`).

Prices are exact unless floats are asked for: `price_type="fixed"` gives int64 in units of 1e-9, an absent price being
UNDEF_PRICE; "decimal" gives decimal128(19, 9) and "float" doubles, an absent price being null in both.
"""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from l3book._core import UNDEF_PRICE, Deriver
from l3book.rows import derived_of, fields

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from l3book.rows import Instrument, Source

PriceType: TypeAlias = Literal["fixed", "float", "decimal"]
PRICE_TYPES = ("fixed", "float", "decimal")
UNDEF_TIMESTAMP = 2**64 - 1
PRICE_DIGITS, PRICE_DECIMALS = 19, 9
PRICE_UNITS = 10**PRICE_DECIMALS

_PRICES = {"price", "open", "high", "low", "close"}
_LETTERS = {"action", "side"}
_TIMES = {"ts_event", "ts_recv"}
_FIRST = ("ts_event", "rtype", "publisher_id", "instrument_id", "action", "side", "depth")
_MBO_ORDER = (
    *_FIRST[:-1],
    "price",
    "size",
    "channel_id",
    "order_id",
    "flags",
    "ts_in_delta",
    "sequence",
)


def to_arrow(
    source: "Source",
    schema: str = "mbo",
    *,
    instrument: "Instrument | None" = None,
    price_type: PriceType = "fixed",
    pretty_ts: bool = True,
    map_symbols: bool = True,
) -> "pa.Table":
    """Read a DBN file of schema mbo (or its bytes), or rows of any schema derived from it, as a `pyarrow.Table`.

    Column names, types and order are those of `DBNStore.to_parquet`, and `.to_pandas()` gives the frame that
    `DBNStore.to_df` gives. `pretty_ts`: times as timestamp[ns, UTC] and not as integers; `map_symbols`: a column
    `symbol`. Raises OSError or DecodeError. See `arrow_reader` for what is larger than memory.
    """
    reader = arrow_reader(
        source, schema, instrument=instrument, price_type=price_type, pretty_ts=pretty_ts, map_symbols=map_symbols
    )
    return reader.read_all()


def arrow_reader(
    source: "Source",
    schema: str = "mbo",
    *,
    instrument: "Instrument | None" = None,
    price_type: PriceType = "fixed",
    pretty_ts: bool = True,
    map_symbols: bool = True,
) -> "pa.RecordBatchReader":
    """Like `to_arrow`, batch by batch, as a `pyarrow.RecordBatchReader`: in bounded memory.

    A DecodeError comes after the batches of all good records.
    """
    import pyarrow as pa

    batches = ArrowBatches(
        Deriver(schema, instrument=instrument), price_type=price_type, pretty_ts=pretty_ts, map_symbols=map_symbols
    )
    rows = derived_of(source, batches.deriver, instrument)
    return pa.RecordBatchReader.from_batches(batches.schema, (batches.batch(chunk) for chunk in rows))


class ArrowBatches:
    """Makes record batches of a deriver's rows."""

    def __init__(
        self, deriver: Deriver, *, price_type: str = "fixed", pretty_ts: bool = True, map_symbols: bool = True
    ) -> None:
        import numpy as np
        import pyarrow as pa

        if price_type not in PRICE_TYPES:
            raise ValueError(f"price_type {price_type!r}, expected one of {', '.join(PRICE_TYPES)}")
        self.deriver = deriver
        self._row = np.dtype(fields(deriver.schema))
        self._price_type = price_type
        self._pretty_ts = pretty_ts
        self._map_symbols = map_symbols
        self._letters = pa.array([chr(byte) for byte in range(256)], pa.large_string())
        self._index = "ts_recv" if "ts_recv" in (self._row.names or ()) else "ts_event"
        self.schema: pa.Schema = self._make_schema()

    def batch(self, rows: bytes) -> "pa.RecordBatch":
        """One batch of these rows."""
        import numpy as np
        import pyarrow as pa

        table = np.frombuffer(rows, dtype=self._row)
        arrays = [self._symbols(rows) if field.name == "symbol" else self._array(table, field) for field in self.schema]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _names(self) -> list[str]:
        """Databento's order: that of a DataFrame, whose index a Parquet file holds last."""
        names = [name for name in self._row.names or () if name != "length" and not name.startswith("_")]
        first = _MBO_ORDER if self.deriver.schema == "mbo" else _FIRST
        ordered = [name for name in first if name in names]
        ordered += [name for name in names if name not in ordered]
        ordered.remove(self._index)
        return [*ordered, *(["symbol"] if self._map_symbols else []), self._index]

    def _make_schema(self) -> "pa.Schema":
        import json

        import pyarrow as pa

        types = dict(fields(self.deriver.schema))
        made = []
        for name in self._names():
            if name in _TIMES and self._pretty_ts:
                kind = pa.timestamp("ns", tz="UTC")
            elif name == "symbol" or name in _LETTERS:
                kind = pa.large_string()
            elif _is_price(name) and self._price_type != "fixed":
                is_float = self._price_type == "float"
                kind = pa.float64() if is_float else pa.decimal128(PRICE_DIGITS, PRICE_DECIMALS)
            else:
                kind = pa.from_numpy_dtype(types[name])
            made.append(pa.field(name, kind))
        return pa.schema(made, metadata={"pandas": json.dumps(self._pandas_metadata())})

    def _pandas_metadata(self) -> dict[str, Any]:
        """Say that the time is the index, so that pandas makes the frame of `DBNStore.to_df`."""
        kinds = ("datetimetz", "datetime64[ns]") if self._pretty_ts else ("uint64", "uint64")
        index = {
            "name": self._index,
            "field_name": self._index,
            "pandas_type": kinds[0],
            "numpy_type": kinds[1],
            "metadata": {"timezone": "UTC"} if self._pretty_ts else None,
        }
        return {"index_columns": [self._index], "column_indexes": [], "columns": [index], "pandas_version": "2.2.0"}

    def _symbols(self, rows: bytes) -> "pa.Array":
        import numpy as np
        import pyarrow as pa

        places, names = self.deriver.symbols(rows)
        return pa.array(names, pa.large_string()).take(pa.array(np.frombuffer(places, dtype=np.uint32)))

    def _array(self, table: "NDArray[np.void]", field: "pa.Field") -> "pa.Array":
        import numpy as np
        import pyarrow as pa

        column = np.ascontiguousarray(table[field.name])
        if field.name in _LETTERS:
            return self._letters.take(pa.array(column.view(np.uint8)))
        if field.name in _TIMES and self._pretty_ts:
            absent = column == UNDEF_TIMESTAMP
            return pa.array(column.view(np.int64), mask=absent if absent.any() else None).view(field.type)
        if _is_price(field.name) and self._price_type != "fixed":
            absent = column == UNDEF_PRICE
            if self._price_type == "float":
                return pa.array(column / PRICE_UNITS, mask=absent)
            return _decimals(column, absent)
        return pa.array(column)


def _is_price(name: str) -> bool:
    return name in _PRICES or name.startswith(("bid_px", "ask_px"))


def _decimals(prices: "NDArray[np.int64]", absent: "NDArray[np.bool_]") -> "pa.Array":
    """Integers in units of 1e-9 as decimals, by their bits: 128, of which the upper half repeats the sign."""
    import numpy as np
    import pyarrow as pa

    wide = np.empty((len(prices), 2), dtype=np.int64)
    wide[:, 0] = prices
    wide[:, 1] = prices >> 63
    present = pa.array(~absent).buffers()[1]
    kind = pa.decimal128(PRICE_DIGITS, PRICE_DECIMALS)
    return pa.Array.from_buffers(kind, len(prices), [present, pa.py_buffer(wide)])
