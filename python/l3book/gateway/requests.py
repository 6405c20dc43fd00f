"""What clients ask for: to be let in, and to be sent records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from l3book.digits import whole_number
from l3book.gateway.lines import shown
from l3book.times import parse_time_ns

HEARTBEAT_INTERVAL_S = 30
HEARTBEAT_INTERVAL_S_MIN, HEARTBEAT_INTERVAL_S_MAX = 5, 1800
LINE_SYMBOLS_MAX = 500
REQUEST_SYMBOLS_MAX = 200_000
"""Of all lines of one request together: they are held until the last of them has come."""
ALL_SYMBOLS = "ALL_SYMBOLS"
ID_MAX = 2**32 - 1


class RequestError(ValueError):
    """A request that cannot be granted; the text is ready for the client."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """The client's answer to the challenge, and how it wants its session."""

    auth: str
    dataset: str
    ts_out: bool
    compression: Literal["none", "zstd"]
    heartbeat_interval_s: int
    slow_reader_behavior: Literal["warn", "skip"]
    client: str

    @classmethod
    def parse(cls, line: Mapping[str, str]) -> "Authentication":
        """Read the fields of a line. Raises RequestError."""
        if "auth" not in line:
            raise RequestError("no auth field in the first line: expected auth=…, dataset=… after the challenge")
        if not line.get("dataset"):
            raise RequestError("no dataset: expected dataset=…")
        _one_of(line, "encoding", ("dbn",))
        interval_s = whole_number(line.get("heartbeat_interval_s", str(HEARTBEAT_INTERVAL_S)))
        if interval_s is None or not HEARTBEAT_INTERVAL_S_MIN <= interval_s <= HEARTBEAT_INTERVAL_S_MAX:
            raise RequestError(
                f"heartbeat_interval_s is {shown(line['heartbeat_interval_s'])}: expected "
                f"{HEARTBEAT_INTERVAL_S_MIN} to {HEARTBEAT_INTERVAL_S_MAX} seconds"
            )
        return cls(
            auth=line["auth"],
            dataset=line["dataset"],
            ts_out=_one_of(line, "ts_out", ("0", "1")) == "1",
            compression=cast('Literal["none", "zstd"]', _one_of(line, "compression", ("none", "zstd"))),
            heartbeat_interval_s=interval_s,
            slow_reader_behavior=cast(
                'Literal["warn", "skip"]', _one_of(line, "slow_reader_behavior", ("warn", "skip"))
            ),
            client=line.get("client", ""),
        )


@dataclass(frozen=True, slots=True)
class Subscription:
    """One line of a request; `symbols` is None for all there are."""

    schema: str
    stype_in: str
    symbols: tuple[str, ...] | None
    start: int | None
    snapshot: bool
    id: int | None
    is_last: bool

    @classmethod
    def parse(cls, line: Mapping[str, str]) -> "Subscription":
        """Read the fields of a line. Raises RequestError."""
        symbols = tuple(symbol.strip() for symbol in line.get("symbols", "").split(","))
        if not all(symbols):
            raise RequestError(
                f"symbols is {shown(line.get('symbols', ''))}: expected ALL_SYMBOLS or symbols with commas between them"
            )
        if len(symbols) > LINE_SYMBOLS_MAX:
            raise RequestError(f"{len(symbols)} symbols in a line: expected at most {LINE_SYMBOLS_MAX}")
        snapshot = _one_of(line, "snapshot", ("0", "1")) == "1"
        start = _start(line.get("start", ""))
        if snapshot and start is not None:
            raise RequestError("start and snapshot=1 exclude each other: expected one of them")
        identifier = line.get("id")
        number = whole_number(identifier) if identifier else None
        if identifier and (number is None or number > ID_MAX):
            raise RequestError(f"id is {shown(identifier)}: expected a whole number up to {ID_MAX}")
        return cls(
            schema=line.get("schema", ""),
            stype_in=line.get("stype_in") or "raw_symbol",
            symbols=None if symbols == (ALL_SYMBOLS,) else symbols,
            start=start,
            snapshot=snapshot,
            id=number,
            is_last=_one_of(line, "is_last", ("1", "0")) == "1",
        )


class RequestAssembler:
    """Joins the lines of a request: they share everything but symbols, and the last says that it is."""

    def __init__(self) -> None:
        self._first: Subscription | None = None
        self._symbols: list[str] = []

    @property
    def is_waiting(self) -> bool:
        """Whether the last line of a request is still to come."""
        return self._first is not None

    def add(self, line: Subscription) -> Subscription | None:
        """Return the whole request once its last line is there. Raises RequestError."""
        first = self._first or line
        if (first.id, first.schema, first.stype_in, first.start, first.snapshot) != (
            line.id,
            line.schema,
            line.stype_in,
            line.start,
            line.snapshot,
        ):
            raise RequestError(
                "a line of another subscription before the one with is_last=1: expected the lines of a request together"
            )
        if line.symbols is None and (self._first is not None or not line.is_last):
            raise RequestError("ALL_SYMBOLS in a request of several lines: expected it alone")
        self._symbols.extend(line.symbols or ())
        if len(self._symbols) > REQUEST_SYMBOLS_MAX:
            raise RequestError(f"more than {REQUEST_SYMBOLS_MAX} symbols in a request: expected fewer")
        if not line.is_last:
            self._first = first
            return None
        symbols = None if line.symbols is None else tuple(dict.fromkeys(self._symbols))
        self._first, self._symbols = None, []
        return Subscription(first.schema, first.stype_in, symbols, first.start, first.snapshot, first.id, is_last=True)


def _one_of(line: Mapping[str, str], key: str, values: tuple[str, ...]) -> str:
    """Return the value of a field, the first of `values` when it is not there or empty."""
    value = line.get(key) or values[0]
    if value not in values:
        raise RequestError(f"{key} is {shown(value)}: expected {' or '.join(values)}")
    return value


def _start(text: str) -> int | None:
    if not text:
        return None
    try:
        return parse_time_ns(text)
    except ValueError as error:
        raise RequestError(f"start: {error}") from None
