"""`LiveStream`: the bytes of a live session, read by the official decoder."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import databento_dbn
import pytest
import zstandard

from dbn_bytes import LAST, MAYBE_BAD_BOOK, RECORD_BYTES, SNAPSHOT, T0, UNIT, Mbo, metadata, other_record, split, stream
from l3book import DecodeError, Deriver, Market
from l3book._core import LiveStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

P = 100 * UNIT
SYMBOLS = {"CLX5": 1, "CLZ5": 2, "CLX5-CLZ5": 3, "LOX5 C6500": 4, "ESZ5": 5, "CLEAR": 6}
DAY_NS = 86_400 * UNIT
SECOND_NS = UNIT
MIDNIGHT = T0 - T0 % DAY_NS
UNDEF = 2**64 - 1


def add(number: int, instrument_id: int = 1, **fields: int) -> Mbo:
    ts = T0 + number * 1_000
    fields = {"ts_event": ts, "ts_recv": ts + 150, "sequence": number + 1} | fields
    return Mbo(
        "A", "BA"[number % 2], P + number % 2 * UNIT, 1 + number, number + 1, instrument_id=instrument_id, **fields
    )


RECORDS = [add(n, 1 + n % 6) for n in range(60)]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.dbn"
    path.write_bytes(metadata(symbols=SYMBOLS) + stream(RECORDS))
    return path


def read_all(live: LiveStream, records: int = 7) -> bytes:
    parts = []
    while not live.ended:
        parts.append(live.read(records))
    return b"".join(parts)


def decode(data: bytes, *, header: bytes = b"", ts_out: bool = False, **options: Any) -> list[Any]:
    decoder = databento_dbn.DBNDecoder(has_metadata=bool(header), ts_out=ts_out, **options)
    decoder.write(header + data)
    return list(decoder.decode())


def mappings(records: Iterable[Any]) -> list[tuple[int, str, str]]:
    return [
        (record.instrument_id, record.stype_in_symbol, record.stype_out_symbol)
        for record in records
        if isinstance(record, databento_dbn.SymbolMappingMsg)
    ]


def mbo(records: Iterable[Any]) -> list[bytes]:
    return [bytes(record) for record in records if isinstance(record, databento_dbn.MBOMsg)]


def wanted(*instrument_ids: int) -> list[bytes]:
    return [record.to_bytes() for record in RECORDS if record.instrument_id in instrument_ids]


def test_the_metadata_are_those_of_a_live_session(recording: Path) -> None:
    live = LiveStream([recording], ts_out=True)
    (read,) = decode(b"", header=live.metadata(123))
    assert (live.dataset, live.schema) == (read.dataset, "mbo") == ("GLBX.MDP3", "mbo")
    assert (read.version, read.schema, read.start, read.end, read.limit, read.ts_out) == (
        3,
        None,
        123,
        None,
        None,
        True,
    )
    assert (read.stype_in, read.stype_out) == (None, databento_dbn.SType.INSTRUMENT_ID)
    assert (read.symbols, read.partial, read.not_found, read.mappings) == ([], [], [], {})


@pytest.mark.parametrize("ts_out", [False, True])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_the_official_decoder_reads_every_kind_of_record(recording: Path, compression: Any, ts_out: bool) -> None:
    live = LiveStream([recording], compression=compression, ts_out=ts_out)
    schemas = ["mbo", "mbp-10", "mbp-1", "tbbo", "trades", "bbo-1s", "bbo-1m", "ohlcv-1s", "ohlcv-1d"]
    for number, schema in enumerate(schemas):
        assert live.subscribe(schema, "raw_symbol", None) == []
        live.system(1, f"Subscription request {number} for {schema} data succeeded")
    live.error(4, "Failed to resolve symbol")
    header = live.metadata(T0)
    queued = live.take()
    assert live.position == 0
    options = {"compression": databento_dbn.Compression.ZSTD} if compression == "zstd" else {}
    _, *records = decode(queued + read_all(live), header=header, ts_out=ts_out, **options)
    kinds = Counter(type(record).__name__ for record in records)
    assert kinds["SystemMsg"] == len(schemas)
    assert kinds["ErrorMsg"] == 1
    assert kinds["MBOMsg"] == len(RECORDS)
    assert kinds["MBP10Msg"] == len(RECORDS)
    assert kinds["BBOMsg"] == 2 * len(SYMBOLS), "a row of each second's and minute's end, for every instrument"
    assert mappings(records) == [(number, symbol, symbol) for symbol, number in SYMBOLS.items()]
    first = records[0]
    assert (first.ts_event, first.code, first.msg) == (
        RECORDS[0].ts_recv,
        databento_dbn.SystemCode.SUBSCRIPTION_ACK,
        "Subscription request 0 for mbo data succeeded",
    )
    if ts_out:
        assert all(record.ts_out > T0 for record in records)
    assert live.records_sent == len(records) - len(schemas) - 1 - len(SYMBOLS)


def test_derived_rows_are_those_of_a_deriver(clx5: Path) -> None:
    for schema in ("mbp-10", "mbp-1", "tbbo", "trades", "bbo-1s", "ohlcv-1m"):
        live = LiveStream([clx5])
        live.subscribe(schema, "raw_symbol", ["CLX5"])
        mapping, rows = live.take(), read_all(live, 999)
        assert len(mapping) == 176
        deriver = Deriver(schema)
        assert rows == deriver.feed(clx5.read_bytes()) + deriver.flush()


def test_rows_of_a_second_come_before_those_of_its_minute_however_long_nothing_happens(tmp_path: Path) -> None:
    path = tmp_path / "recorded.dbn"
    path.write_bytes(metadata(symbols=SYMBOLS) + stream([add(0), add(6, ts_recv=T0 + 90 * SECOND_NS)]))
    live, idle = LiveStream([path]), LiveStream([path])
    for tape in (live, idle):
        for schema in ("bbo-1m", "bbo-1s"):
            tape.subscribe(schema, "raw_symbol", ["CLX5"])
    at_once = read_all(live)
    idle.read(1)
    second = decode(idle.read(9, T0 + 3 * SECOND_NS))
    assert [(row.rtype, row.ts_recv) for row in second] == [(0xC3, T0 - T0 % SECOND_NS + SECOND_NS)]
    rows = [record for record in decode(at_once) if isinstance(record, databento_dbn.BBOMsg)]
    assert [row.rtype for row in rows] == [0xC3, 0xC4, 0xC3, 0xC4]
    assert [bytes(row) for row in rows[1:]] == [bytes(row) for row in decode(read_all(idle))]


def test_every_record_of_a_recording_comes_as_it_is(clx5: Path) -> None:
    header, records = split(clx5.read_bytes())
    live = LiveStream([clx5])
    live.subscribe("mbo", "parent", ["CL.FUT"])
    assert live.take()[:2] == bytes([44, 0x16])
    assert read_all(live, 4_096) == records
    raw = LiveStream([clx5], raw=True)
    assert raw.metadata(0) + read_all(raw, 4_096) == header + records


SELECTIONS: dict[str, tuple[str, list[str], list[str], list[int]]] = {
    "raw symbols": ("raw_symbol", ["CLX5", "NOPE", "ESZ5"], ["NOPE"], [1, 5]),
    "numbers": ("instrument_id", ["2", "99", "x"], ["99", "x"], [2]),
    "futures of a parent, with spreads": ("parent", ["CL.FUT"], [], [1, 2, 3]),
    "options of a parent": ("parent", ["LO.OPT", "CL.OPT"], ["CL.OPT"], [4]),
    "no parent": ("parent", ["CL", "XX.FUT", ".FUT"], ["CL", "XX.FUT", ".FUT"], []),
    "continuous": ("continuous", ["CL.c.0"], ["CL.c.0"], []),
}


@pytest.mark.parametrize(("stype", "symbols", "unresolved", "ids"), SELECTIONS.values(), ids=SELECTIONS)
def test_symbols_mean_instruments(
    recording: Path, stype: str, symbols: list[str], unresolved: list[str], ids: list[int]
) -> None:
    live = LiveStream([recording])
    assert live.subscribe("mbo", stype, symbols) == unresolved
    records = decode(live.take())
    names = {number: name for name, number in SYMBOLS.items()}
    assert [(number, out) for number, _, out in mappings(records)] == [(number, names[number]) for number in ids]
    if stype == "parent":
        assert {symbol for _, symbol, _ in mappings(records)} <= set(symbols)
    records = decode(read_all(live))
    assert mappings(records) == [], "each was mapped before"
    assert mbo(records) == wanted(*ids)


def test_a_file_mapped_from_parents_or_continuous_symbols_resolves_by_them(tmp_path: Path) -> None:
    for stype_in, stype, symbol in ((4, "parent", "CL.FUT"), (3, "continuous", "CL.c.0")):
        path = tmp_path / f"{stype}.dbn"
        path.write_bytes(metadata(stype_in=stype_in, symbols={symbol: 1}) + stream(RECORDS))
        live = LiveStream([path])
        assert live.subscribe("mbo", "raw_symbol", ["CLX5"]) == ["CLX5"]
        assert live.subscribe("mbo", stype, [symbol]) == []
        records = decode(read_all(live))
        assert mappings(records) == [(1, symbol, symbol)]
        assert mbo(records) == wanted(1)


def test_an_instrument_without_metadata_goes_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "bare.dbn"
    path.write_bytes(stream(RECORDS))
    live = LiveStream([path])
    assert live.dataset == "GLBX.MDP3", "told by the publisher"
    assert live.subscribe("mbo", "instrument_id", ["3"]) == []
    assert live.subscribe("mbo", "raw_symbol", ["4", "CLX5"]) == ["CLX5"]
    records = decode(read_all(live))
    assert sorted(mappings(records)) == [(3, "3", "3"), (4, "4", "4")]
    assert mbo(records) == wanted(3, 4)


def test_a_number_that_is_reused_the_next_day_is_mapped_anew(tmp_path: Path) -> None:
    paths = [tmp_path / "today.dbn", tmp_path / "tomorrow.dbn"]
    days = [[add(0, 1), add(1, 2)], [add(2 + n, 1 + n, ts_recv=MIDNIGHT + DAY_NS + n) for n in range(2)]]
    for path, symbols, dates, records in zip(
        paths,
        [{"OLD": 1, "TWO": 2}, {"NEW": 1, "OLD": 2}],
        [(20250924, 20250925), (20250925, 20250926)],
        days,
        strict=True,
    ):
        path.write_bytes(metadata(symbols=symbols, dates=dates) + stream(records))
    live = LiveStream(paths)
    assert live.subscribe("mbo", "raw_symbol", ["OLD"]) == []
    records = decode(read_all(live))
    assert mappings(records) == [(1, "OLD", "OLD"), (2, "OLD", "OLD")]
    assert mbo(records) == [days[0][0].to_bytes(), days[1][1].to_bytes()]
    live = LiveStream(paths)
    live.subscribe("mbo", "raw_symbol", None)
    assert mappings(decode(read_all(live))) == [
        (1, "OLD", "OLD"),
        (2, "TWO", "TWO"),
        (1, "NEW", "NEW"),
        (2, "OLD", "OLD"),
    ]


def test_the_mappings_and_other_records_of_a_captured_stream(tmp_path: Path, recording: Path) -> None:
    source = LiveStream([recording], ts_out=True)
    source.subscribe("mbo", "raw_symbol", None)
    source.system(0, "Heartbeat")
    captured = tmp_path / "captured.dbn"
    captured.write_bytes(source.metadata(T0) + read_all(source))
    live = LiveStream([captured])
    assert live.schema == "mbo"
    live.subscribe("mbo", "raw_symbol", None)
    records = decode(read_all(live))
    assert mbo(records) == [record.to_bytes() for record in RECORDS], "without ts_out"
    assert mappings(records) == [(number, symbol, symbol) for symbol, number in SYMBOLS.items()]
    assert live.records_skipped == 1


def test_a_file_of_another_schema_is_served_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "trades.dbn"
    row = bytearray(other_record(0, 48, instrument_id=7))
    path.write_bytes(metadata(schema=4, symbols={"CLX5": 7}) + bytes(row) * 3)
    live = LiveStream([path])
    assert live.schema == "trades"
    with pytest.raises(ValueError, match="schema mbp-10 cannot be made from the recorded trades, expected trades"):
        live.subscribe("mbp-10", "raw_symbol", None)
    live.subscribe("trades", "raw_symbol", ["CLX5"])
    assert read_all(live)[176:] == bytes(row) * 3


BAD_REQUESTS: dict[str, tuple[tuple[str, str, Sequence[str] | None], dict[str, Any], str]] = {
    "schema": (("mbq", "raw_symbol", None), {}, "unknown schema"),
    "underivable": (("status", "raw_symbol", None), {}, "status cannot be made from the recorded mbo"),
    "stype": (("mbo", "nonsense", ["X"]), {}, "unknown stype_in"),
    "nobody": (("mbo", "raw_symbol", []), {}, "no symbols"),
    "snapshot of rows": (("mbp-1", "raw_symbol", None), {"snapshot": True}, "snapshot of schema mbp-1, expected mbo"),
    "snapshot and start": (("mbo", "raw_symbol", None), {"snapshot": True, "start": 0}, "both snapshot and start"),
    "an injection": (("mbo|a=b\nc", "raw_symbol", None), {}, "unknown schema"),
}


@pytest.mark.parametrize(("request_", "options", "what"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_bad_subscription_is_one_clear_line(recording: Path, request_: Any, options: Any, what: str) -> None:
    live = LiveStream([recording])
    with pytest.raises(ValueError, match=what) as caught:
        live.subscribe(*request_, **options)
    assert not set("\r\n|") & set(str(caught.value))
    assert live.take() == b""


def test_what_cannot_be_opened_is_told_with_its_path(tmp_path: Path, recording: Path) -> None:
    text, other = tmp_path / "text.dbn", tmp_path / "other.dbn"
    text.write_text("GET / HTTP/1.1\r\nHost: example\r\n\r\n" * 9)
    other.write_bytes(metadata(dataset="XNAS.ITCH") + stream(RECORDS))
    with pytest.raises(DecodeError, match=f"^{text}: byte 0: .*DBN"):
        LiveStream([text])
    with pytest.raises(DecodeError, match=f"^{text}: byte 0: "):
        LiveStream([recording, text])
    with pytest.raises(ValueError, match=f"^{other}: dataset XNAS.ITCH, expected GLBX.MDP3 as in {recording}$"):
        LiveStream([recording, other])
    with pytest.raises(FileNotFoundError):
        LiveStream([tmp_path / "missing.dbn"])
    with pytest.raises(IsADirectoryError):
        LiveStream([tmp_path])
    for options, what in (
        ({"compression": "gzip"}, "compression"),
        ({"raw": True, "ts_out": True}, "ts_out"),
        ({"rate": 0}, "rate 0"),
        ({"speed": 0.0}, "speed 0"),
        ({"speed": 1.0, "rate": 1}, "both"),
    ):
        with pytest.raises(ValueError, match=what):
            LiveStream([recording], **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no files"):
        LiveStream([])


@pytest.mark.parametrize("is_packed", [False, True])
def test_damage_is_told_once_all_before_it_has_come(recording: Path, is_packed: bool) -> None:
    data = recording.read_bytes()
    data = zstandard.ZstdCompressor(write_checksum=True).compress(data)[:-2] if is_packed else data[:-5]
    recording.write_bytes(data)
    live = LiveStream([recording])
    live.subscribe("mbo", "raw_symbol", None)
    got = []
    for _ in range(15):
        assert not live.ended
        got.append(live.read(4))
    with pytest.raises(DecodeError, match=f"^{recording}: byte ") as caught:
        live.read(4)
    assert mbo(decode(b"".join(got))) == [record.to_bytes() for record in RECORDS[: 60 if is_packed else 59]]
    assert caught.value.filename == recording
    assert live.ended
    assert live.read(4) == b""


def test_a_reading_stops_at_a_time(recording: Path) -> None:
    live = LiveStream([recording])
    live.subscribe("mbo", "raw_symbol", None)
    assert live.next_ts == RECORDS[0].ts_recv
    assert live.last_ts == 0
    assert mbo(decode(live.read(100, RECORDS[9].ts_recv))) == [record.to_bytes() for record in RECORDS[:10]]
    assert (live.position, live.last_ts, live.next_ts) == (10, RECORDS[9].ts_recv, RECORDS[10].ts_recv)
    assert live.read(100, RECORDS[10].ts_recv - 1) == b""
    assert live.seek_due(RECORDS[20].ts_recv) == 11
    assert live.next_ts == RECORDS[21].ts_recv
    assert live.seek(RECORDS[40].ts_event) == 19
    live.seek_position(3)
    assert (live.position, live.next_ts) == (3, RECORDS[3].ts_recv)


def test_control_records_are_stamped_with_the_time_of_the_position(recording: Path) -> None:
    live = LiveStream([recording])
    steps = [lambda: None, lambda: live.read(3), lambda: live.seek_position(30), lambda: live.seek(T0 + 40_000)]
    stamps = []
    for step in [*steps, lambda: live.read(5)]:
        step()
        live.system(0, "Heartbeat")
        stamps.append(decode(live.take())[0].ts_event)
    assert stamps == [RECORDS[n].ts_recv for n in (0, 2, 30, 40, 44)]


def test_books_that_cannot_be_made_again_are_not_made_up(recording: Path) -> None:
    live = LiveStream([recording])
    live.read(20)
    recording.write_bytes(metadata(symbols=SYMBOLS) + stream(RECORDS[:10]))
    live.subscribe("mbo", "raw_symbol", None, snapshot=True)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"^{recording}: ends after record 10, but 20 were read before"):
            live.take()


def test_fresh_times_keep_their_distances(recording: Path) -> None:
    origin = T0 + 10**15
    for options, due in (
        ({}, lambda n: n * 1_000),
        ({"speed": 0.5}, lambda n: n * 2_000),
        ({"speed": 4.0}, lambda n: n * 250),
        ({"rate": 3}, lambda n: n * SECOND_NS // 3),
    ):
        live = LiveStream([recording], loop=True, as_if_now=origin, **options)  # type: ignore[arg-type]
        live.subscribe("mbo", "raw_symbol", None)
        records = [Mbo.from_bytes(raw) for raw in mbo(decode(live.read(60)))]
        assert [r.ts_recv for r in records] == [origin + due(n) for n in range(60)]
        assert all(r.ts_recv - r.ts_event == 150 for r in records)
        again = [Mbo.from_bytes(raw) for raw in mbo(decode(live.read(66)))]
        assert live.passes == 1
        assert [(r.action, r.flags, r.side) for r in again[:6]] == [("R", LAST, "N")] * 6
        assert [r.instrument_id for r in again[:6]] == [1, 2, 3, 4, 5, 6]
        assert again[0].ts_recv > records[-1].ts_recv
        assert [r.ts_recv for r in again] == sorted(r.ts_recv for r in again)
        assert [r.sequence for r in again[6:]] == [r.sequence + 60 for r in records]


def test_a_snapshot_is_the_book_at_its_position(clx5: Path) -> None:
    whole = Market()
    whole.feed_file(clx5)
    for position in (0, 1, 11, 20_000, 38_212):
        live = LiveStream([clx5], compression="zstd")
        live.read(position)
        live.subscribe("mbo", "instrument_id", ["432669"], snapshot=True)
        data = live.metadata(T0) + read_all(live, 5_000)
        market = Market()
        market.feed(data)
        snapshot, expected = market.snapshot("CLX5", depth=None), whole.snapshot("CLX5", depth=None)
        assert (snapshot.bids == expected.bids).all()
        assert (snapshot.asks == expected.asks).all()
        assert snapshot.state == "live"


def test_a_snapshot_looks_as_databento_sends_it(tmp_path: Path) -> None:
    path = tmp_path / "recorded.dbn"
    records = [add(0), add(1), add(2), add(4), Mbo("R", instrument_id=2, flags=LAST, sequence=9), add(6, flags=0)]
    path.write_bytes(metadata(symbols=SYMBOLS) + stream([*records, add(8), add(10)]))
    live = LiveStream([path])
    live.read(5)
    live.subscribe("mbo", "raw_symbol", None, snapshot=True)
    sent = decode(live.take())
    assert mappings(sent) == [(1, "CLX5", "CLX5"), (2, "CLZ5", "CLZ5")]
    clear, *adds, empty = [Mbo.from_bytes(raw) for raw in mbo(sent)]
    assert (clear.action, clear.side, clear.flags, clear.sequence, clear.instrument_id) == ("R", "N", 40, 0, 1)
    assert [(r.order_id, r.flags) for r in adds] == [(1, 40), (3, 40), (5, 40), (2, 168)]
    assert [r.ts_event for r in adds] == [records[i].ts_event for i in (0, 2, 3, 1)]
    assert {r.ts_recv for r in (clear, *adds, empty)} == {T0}, "the time of the last record read"
    assert (empty.action, empty.flags, empty.instrument_id) == ("R", 168, 2)


def test_a_book_that_appears_later_begins_with_an_empty_snapshot(recording: Path) -> None:
    live = LiveStream([recording])
    live.read(3)
    live.subscribe("mbo", "raw_symbol", None, snapshot=True)
    assert [Mbo.from_bytes(raw).instrument_id for raw in mbo(decode(live.take()))] == [1, 1, 2, 2, 3, 3]
    clear, record = mbo(decode(live.read(1)))
    assert (Mbo.from_bytes(clear).action, Mbo.from_bytes(clear).flags, Mbo.from_bytes(clear).instrument_id) == (
        "R",
        168,
        4,
    )
    assert record == RECORDS[3].to_bytes()


def test_between_two_passes_a_snapshot_is_the_end_of_the_first(recording: Path) -> None:
    live = LiveStream([recording], loop=True)
    live.read(60)
    assert live.next_ts == RECORDS[0].ts_recv
    live.subscribe("mbo", "raw_symbol", None, snapshot=True)
    assert len(mbo(decode(live.take()))) == 6 + 60, "a Clear for each of the books, and all orders"


def test_a_snapshot_waits_for_the_end_of_an_event(tmp_path: Path) -> None:
    path = tmp_path / "recorded.dbn"
    records = [add(0), add(2, flags=0), add(4, flags=0), add(6), add(8)]
    path.write_bytes(metadata(symbols=SYMBOLS) + stream(records))
    live = LiveStream([path])
    live.read(2)
    live.subscribe("mbo", "raw_symbol", ["CLX5"], snapshot=True)
    assert mbo(decode(live.take())) == []
    assert live.read(1) == b"", "a part of an event whose beginning the client has not seen"
    clear, *adds, last = [Mbo.from_bytes(raw) for raw in mbo(decode(live.read(2)))]
    assert (clear.action, clear.flags, clear.ts_recv) == ("R", 40, records[3].ts_recv)
    assert [r.order_id for r in adds] == [1, 3, 5, 7]
    assert last == records[4]


def test_a_gap_is_marked_on_what_follows_of_each_book_and_schema(recording: Path) -> None:
    live = LiveStream([recording])
    live.subscribe("mbo", "raw_symbol", None)
    live.inject("gap", 3)
    records = [Mbo.from_bytes(raw) for raw in mbo(decode(read_all(live)))]
    assert len(records) == 57
    marked = [n for n, record in enumerate(records) if record.flags & MAYBE_BAD_BOOK]
    assert [records[n].instrument_id for n in marked] == [1, 2, 3]
    assert marked == [3, 4, 5]
    with pytest.raises(ValueError, match='fault "flip"'):
        live.inject("flip", 1)  # type: ignore[arg-type]


def test_bytes_are_whole_records_however_little_is_read(recording: Path) -> None:
    live = LiveStream([recording])
    live.subscribe("mbo", "raw_symbol", ["CLX5"])
    live.take()
    sizes = []
    while not live.ended:
        sizes.append(len(live.read(1)))
    assert Counter(sizes) == {RECORD_BYTES: 10, 0: 50}
    assert live.position == 60
    assert repr(live) == "<LiveStream: GLBX.MDP3 mbo, at record 60>"


def test_the_same_subscription_is_kept_once_however_often_it_is_asked_for(recording: Path) -> None:
    """Each one was kept: a hundred thousand of them took quadratic time."""
    live = LiveStream([recording])
    for _ in range(50):
        live.subscribe("mbo", "raw_symbol", ["CLX5"])
        live.subscribe("mbo", "raw_symbol", ["CLX5", "NOPE"])
        live.subscribe("mbo", "instrument_id", ["1"])
        live.subscribe("trades", "raw_symbol", ["CLX5"])
    assert live.subscriptions == 3
    live.subscribe("mbo", "raw_symbol", ["ESZ5"], start=T0)
    assert live.subscriptions == 4
    assert mbo(decode(live.take() + read_all(live))) == wanted(1, 5)


def test_a_snapshot_that_is_asked_for_again_and_again_comes_each_time_and_is_kept_once(recording: Path) -> None:
    live = LiveStream([recording])
    sent = []
    for _ in range(20):
        live.subscribe("mbo", "raw_symbol", ["CLX5"], snapshot=True)
        sent += mbo(decode(live.take()))
        sent += mbo(decode(live.read(2)))
    assert live.subscriptions == 2
    actions = [Mbo.from_bytes(raw).action for raw in sent]
    # Before the first record there is no book to be cleared: that one comes with the record.
    assert actions.count("R") == 20
    assert [raw for raw in sent if not Mbo.from_bytes(raw).flags & SNAPSHOT] == wanted(1)[: 40 // 6 + 1]


def test_a_plain_subscription_goes_on_while_a_snapshot_of_the_same_waits(tmp_path: Path) -> None:
    records = [add(0), add(1), add(2, flags=0), add(3, flags=0), add(4), add(5)]
    path = tmp_path / "recorded.dbn"
    path.write_bytes(metadata(symbols=SYMBOLS) + stream(records))
    live = LiveStream([path])
    sent = []
    for read in (1, 1, 1, 1, 2):
        live.subscribe("mbo", "raw_symbol", ["CLX5"], snapshot=True)
        live.subscribe("mbo", "raw_symbol", ["CLX5"])
        sent += mbo(decode(live.take() + live.read(read)))
    plain = [raw for raw in sent if not Mbo.from_bytes(raw).flags & SNAPSHOT]
    assert plain == [record.to_bytes() for record in records]
    market = Market()
    market.feed(metadata(symbols=SYMBOLS) + b"".join(sent))
    assert market.snapshot("CLX5").asks.tolist() == market_of(path).snapshot("CLX5").asks.tolist()
    assert market.stats()["orders"] == len(records)


def market_of(path: Path) -> Market:
    market = Market()
    market.feed_file(path)
    return market
