"""Rows of other schemas, derived from MBO: as bytes, piece by piece, and as numpy arrays laid out as Databento's."""

from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from l3book._core import DecodeError, Deriver, FileReader, UnknownInstrumentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    Source: TypeAlias = str | PathLike[str] | Buffer
    Instrument: TypeAlias = int | str | tuple[int, int]

CHUNK_RECORDS = 8_192
"""Records derived at once: their rows, 3 MB of mbp-10, are still in the processor's cache when they are used."""
CHUNK_BYTES = 256 * 1024
FIRST_BYTES = 4 * 1024 * 1024
SCHEMAS = (
    "mbo",
    "mbp-10",
    "mbp-1",
    "tbbo",
    "bbo-1s",
    "bbo-1m",
    "trades",
    "ohlcv-1s",
    "ohlcv-1m",
    "ohlcv-1h",
    "ohlcv-1d",
)

_HEADER = (("length", "u1"), ("rtype", "u1"), ("publisher_id", "<u2"), ("instrument_id", "<u4"), ("ts_event", "<u8"))
_MBO = (
    ("order_id", "<u8"),
    ("price", "<i8"),
    ("size", "<u4"),
    ("flags", "u1"),
    ("channel_id", "u1"),
    ("action", "S1"),
    ("side", "S1"),
    ("ts_recv", "<u8"),
    ("ts_in_delta", "<i4"),
    ("sequence", "<u4"),
)
_TRADE = (
    ("price", "<i8"),
    ("size", "<u4"),
    ("action", "S1"),
    ("side", "S1"),
    ("flags", "u1"),
    ("depth", "u1"),
    ("ts_recv", "<u8"),
    ("ts_in_delta", "<i4"),
    ("sequence", "<u4"),
)
_BBO = (
    ("price", "<i8"),
    ("size", "<u4"),
    ("_reserved1", "u1"),
    ("side", "S1"),
    ("flags", "u1"),
    ("_reserved2", "u1"),
    ("ts_recv", "<u8"),
    ("_reserved3", "S4"),
    ("sequence", "<u4"),
)
_OHLCV = (("open", "<i8"), ("high", "<i8"), ("low", "<i8"), ("close", "<i8"), ("volume", "<u8"))
_LEVEL = (
    ("bid_px", "<i8"),
    ("ask_px", "<i8"),
    ("bid_sz", "<u4"),
    ("ask_sz", "<u4"),
    ("bid_ct", "<u4"),
    ("ask_ct", "<u4"),
)


def fields(schema: str) -> list[tuple[str, str]]:
    """Name and numpy type of every field of a row, in the order of its bytes."""
    body: tuple[tuple[str, str], ...]
    levels = {"mbp-10": 10, "mbp-1": 1, "tbbo": 1, "bbo-1s": 1, "bbo-1m": 1}.get(schema, 0)
    match schema.partition("-")[0]:
        case "mbo":
            body = _MBO
        case "bbo":
            body = _BBO
        case "ohlcv":
            body = _OHLCV
        case "mbp" | "tbbo" | "trades":
            body = _TRADE
        case _:
            raise ValueError(f"schema {schema!r}, expected one of {', '.join(SCHEMAS)}")
    shown = [(f"{name}_{level:02}", kind) for level in range(levels) for name, kind in _LEVEL]
    return [*_HEADER, *body, *shown]


def mbp10(source: "Source", instrument: "Instrument | None" = None) -> "NDArray[np.void]":
    """Every update of the ten best levels, and every trade, as `DBNStore.to_ndarray(schema="mbp-10")` lays them out.

    `source` is a .dbn or .dbn.zst file of schema mbo, or its bytes; `instrument` a symbol, an instrument_id or
    (publisher_id, instrument_id). Prices are in units of 1e-9, absent ones UNDEF_PRICE. Raises OSError, DecodeError, or
    UnknownInstrumentError if no instrument of the source goes by that name.
    """
    import numpy as np

    deriver = Deriver("mbp-10", instrument=instrument)
    # Doubled when it is full: a bytearray grows by an eighth and is copied many times over. What is never written to
    # of the last doubling takes address space and no memory.
    buffer = np.empty(FIRST_BYTES, dtype=np.uint8)
    end = 0
    for chunk in derived_of(source, deriver, instrument):
        start, end = end, end + len(chunk)
        if end > len(buffer):
            larger = np.empty(2 * end, dtype=np.uint8)
            larger[:start] = buffer[:start]
            buffer = larger
        buffer[start:end] = np.frombuffer(chunk, dtype=np.uint8)
    return buffer[:end].view(fields("mbp-10"))


def derived(source: "Source", deriver: Deriver) -> Iterator[bytes]:
    """Rows, piece by piece. A fault is raised when the rows from before it have been given."""
    try:
        for piece in _pieces(source):
            if rows := deriver.feed(piece):
                yield rows
        deriver.finish()
    except (DecodeError, OSError):
        if rows := deriver.flush():
            yield rows
        raise
    if rows := deriver.flush():
        yield rows


def derived_of(source: "Source", deriver: Deriver, instrument: "Instrument | None") -> Iterator[bytes]:
    """Like `derived`; a name that no instrument goes by is an error, not a day without data."""
    yield from derived(source, deriver)
    if instrument is not None and not deriver.stats()["instruments"]:
        raise UnknownInstrumentError(
            f"no instrument goes by {instrument!r}: expected a symbol, instrument_id or (publisher_id, instrument_id)"
        )


def _pieces(source: "Source") -> Iterator[bytes]:
    if not isinstance(source, (str, PathLike)):
        try:
            whole = memoryview(source)
        except TypeError:
            raise TypeError(f"source of type {type(source).__name__}, expected a path or bytes") from None
        whole = whole.cast("B")
        for at in range(0, len(whole), CHUNK_BYTES):
            yield bytes(whole[at : at + CHUNK_BYTES])
        return
    reader = FileReader(Path(fspath(source)))
    while chunk := reader.read(CHUNK_RECORDS):
        yield chunk
