"""Arrays and tables of derived rows, against the official client's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import databento
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dbn_bytes import LAST, UNDEF_PRICE, UNIT, Mbo, metadata, parse, stream
from l3book import DecodeError, Deriver, UnknownInstrumentError, arrow_reader, mbp10, to_arrow
from l3book._core import Compressor, Simulator
from l3book.rows import SCHEMAS, derived, fields

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.filterwarnings("ignore:The inplace keyword"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
RECORDS = 4_000
STRETCH = 1_000
INDEX_PRICES = ("float", "fixed")


@pytest.fixture(scope="module")
def made() -> bytes:
    """A minute and more of two instruments."""
    simulator = Simulator(seed=3, instruments=2, resting_max=64)
    header, records = simulator.header(), parse(simulator.header() + simulator.read(RECORDS))
    start = records[0].ts_recv

    def stretched(ts: int) -> int:
        return start + (ts - start) * STRETCH

    slow = [r._replace(ts_event=stretched(r.ts_event), ts_recv=stretched(r.ts_recv)) for r in records]
    assert slow[-1].ts_recv - start > 120 * UNIT
    return header + stream(slow)


def dbn_of(source: bytes, schema: str, **options: object) -> bytes:
    deriver = Deriver(schema, **options)  # type: ignore[arg-type]
    rows = b"".join(derived(source, deriver))
    header = deriver.header()
    assert header is not None
    return header + rows


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_official_client_reads_our_dbn(made: bytes, schema: str) -> None:
    store = databento.DBNStore.from_bytes(dbn_of(made, schema))
    given = databento.DBNStore.from_bytes(made)
    assert store.schema == schema
    assert store.metadata.version == 3
    assert (store.dataset, store.symbols, store.start, store.end, store.stype_in, store.stype_out, store.mappings) == (
        given.dataset,
        given.symbols,
        given.start,
        given.end,
        given.stype_in,
        given.stype_out,
        given.mappings,
    )
    array = store.to_ndarray()
    assert array.dtype == np.dtype(fields(schema))
    ours = np.frombuffer(b"".join(derived(made, Deriver(schema))), dtype=fields(schema))
    assert np.array_equal(ours, array)
    frame = store.to_df()
    assert len(frame) == len(ours) > 0
    assert set(frame["symbol"]) == {"SYN0", "SYN1"}


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("price_type", INDEX_PRICES)
def test_a_table_is_the_official_frame(made: bytes, schema: str, price_type: str) -> None:
    store = databento.DBNStore.from_bytes(dbn_of(made, schema))
    table = to_arrow(made, schema, price_type=price_type)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(table.to_pandas(), store.to_df(price_type=price_type))


def test_columns_are_those_of_the_official_parquet(made: bytes, tmp_path: Path) -> None:
    path = tmp_path / "official.parquet"
    databento.DBNStore.from_bytes(dbn_of(made, "mbp-1")).to_parquet(path, price_type="fixed")
    official = pq.read_schema(path).remove_metadata()
    ours = to_arrow(made, "mbp-1").schema
    assert ours.names == official.names
    # Text has been string or large_string, by the version of pandas.
    assert [t for t in ours.types if not pa.types.is_large_string(t)] == [
        t for t in official.types if not (pa.types.is_large_string(t) or pa.types.is_string(t))
    ]


def test_mbp10_is_laid_out_as_the_official_array(made: bytes) -> None:
    array = mbp10(made)
    official = databento.DBNStore.from_bytes(dbn_of(made, "mbp-10")).to_ndarray()
    assert array.dtype == official.dtype
    assert np.array_equal(array, official)
    one = mbp10(made, "SYN1")
    assert np.array_equal(one, official[official["instrument_id"] == one["instrument_id"][0]])


def test_no_rows_are_an_empty_array() -> None:
    array = mbp10(metadata())
    assert (array.shape, array.dtype) == ((0,), np.dtype(fields("mbp-10")))


def test_a_file_its_bytes_and_its_compressed_bytes_give_the_same(made: bytes, tmp_path: Path) -> None:
    compressor = Compressor()
    packed = compressor.write(made) + compressor.finish()
    plain, compressed = tmp_path / "a.dbn", tmp_path / "a.dbn.zst"
    plain.write_bytes(made)
    compressed.write_bytes(packed)
    expected = mbp10(made)
    for source in (str(plain), plain, compressed, packed, bytearray(made), memoryview(made)):
        assert np.array_equal(mbp10(source), expected)


@pytest.mark.parametrize("source", [None, 5, databento.DBNStore])
def test_what_is_neither_a_path_nor_bytes_is_refused_as_that(source: Any) -> None:
    for read in (mbp10, to_arrow):
        with pytest.raises(TypeError, match=f"source of type {type(source).__name__}, expected a path or bytes"):
            read(source)


def test_bars_are_pandas_resampled_trades(made: bytes) -> None:
    """As Databento's own example makes them: "Custom OHLCV bars from trades"."""
    trades = databento.DBNStore.from_bytes(dbn_of(made, "trades")).to_df()
    for schema, frequency in (("ohlcv-1s", "1s"), ("ohlcv-1m", "1min"), ("ohlcv-1h", "1h"), ("ohlcv-1d", "1D")):
        bars = databento.DBNStore.from_bytes(dbn_of(made, schema)).to_df().reset_index()
        expected = (
            trades.groupby("symbol")
            .resample(frequency)
            .agg(
                open=("price", "first"),
                high=("price", "max"),
                low=("price", "min"),
                close=("price", "last"),
                volume=("size", "sum"),
            )
            .dropna()
            .reset_index()
            .rename(columns={"ts_recv": "ts_event"})
        )
        by = ["ts_event", "symbol"]
        columns = [*by, "open", "high", "low", "close", "volume"]
        pd.testing.assert_frame_equal(
            bars[columns].sort_values(by).reset_index(drop=True),
            expected[columns].sort_values(by).reset_index(drop=True),
            check_dtype=False,
        )


def test_absent_prices_and_times_are_null_or_undefined() -> None:
    data = metadata() + stream([Mbo("A", "B", 5 * UNIT + 1, 3, 9)])
    price = "ask_px_00"
    assert to_arrow(data, "bbo-1s")[price].to_pylist() == [UNDEF_PRICE]
    for price_type, bid in (("float", 5.000000001), ("decimal", pa.scalar("5.000000001").cast(pa.decimal128(19, 9)))):
        table = to_arrow(data, "bbo-1s", price_type=price_type)  # type: ignore[arg-type]
        assert table[price].to_pylist() == [None]
        assert table["bid_px_00"].to_pylist() == [bid if isinstance(bid, float) else bid.as_py()]
    assert to_arrow(data, "bbo-1s")["ts_event"].to_pylist() == [None]


def test_decimals_keep_their_sign() -> None:
    prices = [-(2**63), -UNIT - 1, -1, 0, 1, 37 * UNIT, 2**63 - 2]
    data = metadata() + stream([Mbo("T", "N", price, 1) for price in prices])
    table = to_arrow(data, "trades", price_type="decimal")
    assert [int(value.scaleb(9)) for value in table["price"].to_pylist()] == prices


def test_raw_times_and_no_symbols(made: bytes) -> None:
    table = to_arrow(made, "trades", pretty_ts=False, map_symbols=False)
    assert "symbol" not in table.schema.names
    assert table.schema.field("ts_recv").type == pa.uint64()
    official = databento.DBNStore.from_bytes(dbn_of(made, "trades")).to_df(
        price_type="fixed", pretty_ts=False, map_symbols=False
    )
    pd.testing.assert_frame_equal(table.to_pandas(), official)


def test_a_symbol_that_is_not_known_is_null() -> None:
    assert to_arrow(stream([Mbo("T", "B", UNIT, 1)]), "trades")["symbol"].to_pylist() == [None]


def test_a_reader_gives_the_good_batches_and_then_the_fault(made: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.dbn"
    path.write_bytes(made[:-10])
    reader = arrow_reader(path, "mbo")
    batches = []
    with pytest.raises(DecodeError, match="the stream ends inside record"):
        batches.extend(reader)
    whole = Deriver("mbo")
    list(derived(made, whole))
    assert sum(batch.num_rows for batch in batches) == whole.stats()["records"] - 1
    with pytest.raises(DecodeError):
        mbp10(path)


def test_a_deriver_keeps_what_came_before_a_fault() -> None:
    deriver = Deriver("mbp-1")
    good = stream([Mbo("A", "B", UNIT, 3, 9)])
    with pytest.raises(DecodeError):
        deriver.feed(metadata() + good + bytes(56))
    assert len(deriver.flush()) == deriver.row_bytes
    assert deriver.flush() == b""
    assert deriver.stats()["rows"] == 1


def test_a_number_is_an_instrument_id_where_it_is_no_symbol() -> None:
    trades = [Mbo("T", "B", UNIT, 1, instrument_id=instrument_id) for instrument_id in (7, 9)]
    for symbols, found in (({"AB": 7}, [7]), ({"7": 9}, [9])):
        deriver = Deriver("trades", instrument="7")
        rows = deriver.feed(metadata(symbols=symbols) + stream(trades))
        assert np.frombuffer(rows, dtype=fields("trades"))["instrument_id"].tolist() == found


def test_bare_records_get_metadata_of_their_own() -> None:
    data = stream([Mbo("T", "B", UNIT, 1, flags=LAST)])
    store = databento.DBNStore.from_bytes(dbn_of(data, "trades"))
    assert store.dataset == "GLBX.MDP3"
    assert store.to_ndarray()["price"].tolist() == [UNIT]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_metadata_of_every_version_becomes_version_3(version: int) -> None:
    data = metadata(version, symbols={"AB": 1}, limit=5, ts_out=True) + stream([Mbo("T", "B", UNIT, 1)], ts_out=True)
    store = databento.DBNStore.from_bytes(dbn_of(data, "trades"))
    assert (store.metadata.version, store.limit, store.metadata.ts_out) == (3, None, False)
    assert store.to_df()["symbol"].tolist() == ["AB"]


def test_of_two_streams_in_one_the_first_heads_the_rows() -> None:
    one = metadata(symbols={"AB": 1}) + stream([Mbo("T", "B", UNIT, 1)])
    two = metadata(symbols={"CD": 2}, dataset="XNAS.ITCH") + stream([Mbo("T", "B", UNIT, 1, instrument_id=2)])
    assert databento.DBNStore.from_bytes(dbn_of(one + two, "trades")).dataset == "GLBX.MDP3"
    assert to_arrow(one + two, "trades")["symbol"].to_pylist() == ["AB", "CD"]


def test_any_buffer_is_fed_and_nothing_else() -> None:
    data = metadata() + stream([Mbo("T", "B", UNIT, 1)] * 3)
    expected = Deriver("trades").feed(data)
    for buffer in (bytearray(data), memoryview(data), np.frombuffer(data, dtype=np.int8)):
        assert Deriver("trades").feed(buffer) == expected
    for wrong in (5, "text", [1, 2]):
        with pytest.raises(TypeError):
            Deriver("trades").feed(wrong)  # type: ignore[arg-type]


def test_wrong_arguments_say_what_is_expected() -> None:
    with pytest.raises(ValueError, match=r"schema \"mbp-2\", expected one of mbo, mbp-10"):
        Deriver("mbp-2")
    with pytest.raises(ValueError, match="price_type 'exact', expected one of fixed, float, decimal"):
        to_arrow(b"", price_type="exact")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 bytes, expected whole trades rows of 48"):
        Deriver("trades").csv(b"abc")
    with pytest.raises(TypeError, match="expected a symbol"):
        Deriver("trades", instrument=1.5)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        mbp10("no such file")


def test_a_name_that_no_instrument_goes_by_is_no_empty_day() -> None:
    data = metadata() + stream([Mbo("T", "B", UNIT, 1)])
    with pytest.raises(UnknownInstrumentError, match="no instrument goes by 'NOPE'"):
        mbp10(data, instrument="NOPE")
    with pytest.raises(UnknownInstrumentError, match="NOPE"):
        to_arrow(data, "trades", instrument="NOPE")
