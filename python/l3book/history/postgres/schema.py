"""The tables, as text: cut by days, natively or as hypertables of TimescaleDB.

What is unsigned in the log lies here as the signed number with the same bits, since PostgreSQL has no others; what has
fewer than 64 bits lies in the next larger type, as it is.

Records need no identity here: the position is written in the same transaction, and tells exactly which of them are
there. All other rows have theirs as their key, by which those of an unfinished second are replaced.
"""

from datetime import date
from typing import Final, NamedTuple

from l3book.times import NS_PER_S

VERSION = 1
SCHEMA = "l3book"
NS_PER_DAY = 86_400 * NS_PER_S
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
COMPRESS_AFTER_DAYS = 2
"""Days of a hypertable that old are compressed: nothing is written to them any more, unless a recording is served."""


class Table(NamedTuple):
    """A table of rows: names and types of its columns, the time that days are cut by, keys and indexes."""

    name: str
    columns: tuple[tuple[str, str], ...]
    time: str
    constraint: str
    indexes: tuple[str, ...]
    compress_by: str

    @property
    def names(self) -> str:
        """The columns, in the order in which rows are copied."""
        return ", ".join(name for name, _ in self.columns)


def _columns(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (column.split(" ", 1) for column in text.split(", "))
    return tuple((name, kind) for name, kind in pairs)


TRADES = Table(
    "trades",
    _columns(
        "ordinal bigint, ts_event bigint, ts_recv bigint, order_id bigint, price bigint, size bigint, "
        'sequence bigint, book integer, flags smallint, side "char"'
    ),
    "ts_recv",
    "PRIMARY KEY (book, ts_recv, ordinal)",
    ("brin (ts_recv)",),
    "ts_recv, ordinal",
)
BBO = Table(
    "bbo",
    _columns(
        "ts bigint, ordinal bigint, bid_px bigint, ask_px bigint, bid_size bigint, ask_size bigint, "
        "bid_count bigint, ask_count bigint, book integer, state smallint"
    ),
    "ts",
    "PRIMARY KEY (book, ts)",
    ("brin (ts)",),
    "ts",
)
LEVELS = Table(
    "levels",
    _columns('ts bigint, ordinal bigint, price bigint, size bigint, count bigint, book integer, side "char"'),
    "ts",
    "PRIMARY KEY (book, ts, side, price)",
    # The second for one level over time, or all levels of that time would be read; in the order that aligns best.
    ("brin (ts)", "btree (price, book, side, ts)"),
    "price, side, ts",
)
RECORDS = Table(
    "records",
    _columns(
        "ordinal bigint, ts_event bigint, ts_recv bigint, order_id bigint, price bigint, size bigint, "
        "sequence bigint, book integer, ts_in_delta integer, flags smallint, channel_id smallint, "
        'action "char", side "char"'
    ),
    "ts_recv",
    "",
    ("brin (ts_recv)", "btree (book, order_id)"),
    "order_id, ordinal",
)
TABLES = (TRADES, BBO, LEVELS, RECORDS)

_SMALL_TABLES = f"""
CREATE TABLE {SCHEMA}.books (
    book integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    publisher_id integer NOT NULL,
    instrument_id bigint NOT NULL,
    symbol text,
    UNIQUE (publisher_id, instrument_id)
);
CREATE TABLE {SCHEMA}.sessions (
    ordinal bigint PRIMARY KEY,
    uri text NOT NULL,
    ts_recv bigint NOT NULL
);
CREATE TABLE {SCHEMA}.position (
    version integer NOT NULL,
    is_hyper boolean NOT NULL,
    resume_ordinal bigint NOT NULL,
    end_ordinal bigint NOT NULL,
    newest_ts bigint NOT NULL
);
CREATE UNIQUE INDEX ON {SCHEMA}.position ((1));
"""


def statements(*, is_hyper: bool) -> list[str]:
    """Give all that makes the tables in an empty schema; `is_hyper`: as hypertables of TimescaleDB."""
    made = [f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}", _SMALL_TABLES]
    made.append(f"INSERT INTO {SCHEMA}.position VALUES ({VERSION}, {is_hyper}, 0, 0, 0)")
    if is_hyper:
        made.append(_NOW)
    for table in TABLES:
        made += _made(table, is_hyper=is_hyper)
    return made


def staging(table: Table) -> str:
    """Give what makes a table of this connection alone, where rows wait for being merged."""
    return f"CREATE TEMPORARY TABLE IF NOT EXISTS new_{table.name} ({_types(table)}) ON COMMIT DELETE ROWS"


def partition(table: Table, day: int) -> str:
    """Give what makes the table's part of one day since 1970."""
    begin = day * NS_PER_DAY
    return (
        f"CREATE TABLE IF NOT EXISTS {partition_name(table, day)} PARTITION OF {SCHEMA}.{table.name} "
        f"FOR VALUES FROM ({begin}) TO ({begin + NS_PER_DAY})"
    )


def partition_name(table: Table, day: int) -> str:
    """Name the table's part of one day."""
    return f"{SCHEMA}.{table.name}_{date.fromordinal(_EPOCH_DAY + day):%Y%m%d}"


def drop_hyper(table: Table, before_ts: int) -> str:
    """Give what drops the days of a hypertable that end at or before this time."""
    return f"SELECT drop_chunks('{SCHEMA}.{table.name}', older_than => {before_ts}::bigint)"


# Hypertables cut by numbers ask it what time it is.
_NOW = f"""
CREATE FUNCTION {SCHEMA}.now_ns() RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT (extract(epoch FROM now()) * {NS_PER_S})::bigint $$
"""


def _types(table: Table) -> str:
    return ", ".join(f"{name} {kind} NOT NULL" for name, kind in table.columns)


def _made(table: Table, *, is_hyper: bool) -> list[str]:
    name = f"{SCHEMA}.{table.name}"
    body = f"{_types(table)}, {table.constraint}" if table.constraint else _types(table)
    if not is_hyper:
        made = [f"CREATE TABLE {name} ({body}) PARTITION BY RANGE ({table.time})"]
        # Of times that no clock tells, such as DBN's mark for none.
        made.append(f"CREATE TABLE {name}_other PARTITION OF {name} DEFAULT")
        return [*made, *(f"CREATE INDEX ON {name} USING {index}" for index in table.indexes)]
    days_ns = COMPRESS_AFTER_DAYS * NS_PER_DAY
    # Chunks are pruned by time already, so that no index by block range is needed.
    indexes = [index for index in table.indexes if not index.startswith("brin")]
    return [
        f"CREATE TABLE {name} ({body})",
        f"SELECT create_hypertable('{name}', '{table.time}', chunk_time_interval => {NS_PER_DAY}::bigint, "
        "create_default_indexes => false)",
        *(f"CREATE INDEX ON {name} USING {index}" for index in indexes),
        f"SELECT set_integer_now_func('{name}', '{SCHEMA}.now_ns')",
        f"ALTER TABLE {name} SET (timescaledb.compress, timescaledb.compress_segmentby = 'book', "
        f"timescaledb.compress_orderby = '{table.compress_by}')",
        f"SELECT add_compression_policy('{name}', compress_after => {days_ns}::bigint)",
    ]
