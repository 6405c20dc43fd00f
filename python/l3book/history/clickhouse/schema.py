"""The tables, as text.

Each is a ReplacingMergeTree whose sorting key is a row's identity, and whose version is its ordinal: what is written
twice, whole or in other pieces, is one row again when parts merge, and for every query with FINAL before that. Tokens
that make a server drop a repeated insert would not do: after a crash the log is read again in pieces of other sizes,
and the rows of the unfinished second have to be replaced.

Sorting keys follow the questions: a book's seconds in order, a book's trades in order, one order's records together.
Codecs are those that took the fewest bytes per row on synthetic books, column by column (docs/history-stores.md).
Times and prices are the exact integers of the records; ALIAS columns show them as DateTime64 at no cost.
"""

from typing import NamedTuple

from l3book.history.rows import STATES

VERSION = 1
"""Of the tables. A store of another one is refused, since there has been no other yet."""

DAY_OF = "toDate(intDiv({}, 1000000000))"


class Column(NamedTuple):
    """A column in the order of the packed rows, which are ClickHouse's RowBinary as they lie."""

    name: str
    type: str
    codec: str = "ZSTD(1)"
    is_stored: bool = True
    """False for bytes between the fields: they are taken and not kept."""


class Table(NamedTuple):
    """A table of rows: columns, the column of the time that days are cut by, its sorting key."""

    name: str
    columns: tuple[Column, ...]
    time: str
    key: str

    @property
    def column_names(self) -> list[str]:
        """In the order in which the bytes of a row lie."""
        return [column.name for column in self.columns]


_DELTA, _DELTAS, _T64 = "Delta, ZSTD(1)", "DoubleDelta, ZSTD(1)", "T64, ZSTD(1)"
_BOOK = (Column("instrument_id", "UInt32"), Column("publisher_id", "UInt16"))
_SIDE = Column("side", "FixedString(1)")
_STATE = ", ".join(f"'{state}' = {index}" for index, state in enumerate(STATES))
_PAD = Column("_pad", "UInt8", is_stored=False)

TRADES = Table(
    "trades",
    (
        Column("ordinal", "UInt64", _DELTA),
        Column("ts_event", "UInt64", _DELTA),
        Column("ts_recv", "UInt64", _DELTA),
        Column("order_id", "UInt64", _DELTA),
        Column("price", "Int64"),
        Column("size", "UInt32", _T64),
        Column("sequence", "UInt32", _DELTA),
        *_BOOK,
        _SIDE,
        Column("flags", "UInt8"),
    ),
    "ts_recv",
    "publisher_id, instrument_id, ts_recv, ordinal",
)
BBO = Table(
    "bbo",
    (
        Column("ts", "UInt64", _DELTAS),
        Column("ordinal", "UInt64"),
        Column("bid_px", "Int64", _DELTA),
        Column("ask_px", "Int64", _DELTA),
        Column("bid_size", "UInt64", _T64),
        Column("ask_size", "UInt64", _T64),
        Column("bid_count", "UInt32", _T64),
        Column("ask_count", "UInt32", _T64),
        *_BOOK,
        Column("state", f"Enum8({_STATE})"),
        _PAD,
    ),
    "ts",
    "publisher_id, instrument_id, ts",
)
LEVELS = Table(
    "levels",
    (
        Column("ts", "UInt64", _DELTAS),
        Column("ordinal", "UInt64"),
        Column("price", "Int64", _DELTA),
        Column("size", "UInt64", _T64),
        Column("count", "UInt32", _T64),
        *_BOOK,
        _SIDE,
        _PAD,
    ),
    "ts",
    "publisher_id, instrument_id, ts, side, price",
)
RECORDS = Table(
    "records",
    (
        Column("ordinal", "UInt64", _T64),
        Column("length", "UInt8", is_stored=False),
        Column("rtype", "UInt8", is_stored=False),
        *reversed(_BOOK),
        Column("ts_event", "UInt64"),
        Column("order_id", "UInt64", _DELTA),
        Column("price", "Int64"),
        Column("size", "UInt32", _T64),
        Column("flags", "UInt8"),
        Column("channel_id", "UInt8"),
        Column("action", "FixedString(1)"),
        _SIDE,
        Column("ts_recv", "UInt64"),
        Column("ts_in_delta", "Int32", _T64),
        Column("sequence", "UInt32", _T64),
    ),
    "ts_recv",
    "publisher_id, instrument_id, order_id, ordinal",
)
TABLES = (TRADES, BBO, LEVELS, RECORDS)

_SMALL_TABLES = {
    "instruments": (
        "publisher_id UInt16, instrument_id UInt32, symbol Nullable(String), ordinal UInt64",
        "ordinal",
        "publisher_id, instrument_id",
    ),
    "sessions": ("ordinal UInt64, uri String, ts_recv UInt64", "ordinal", "ordinal"),
    "position": ("id UInt8, resume_ordinal UInt64, end_ordinal UInt64", "resume_ordinal", "id"),
    "version": ("version UInt16", "version", "version"),
}
"""Columns, version and sorting key of tables of few rows."""


class Names:
    """How the tables are called in statements: on one server, or on a cluster by way of Distributed tables.

    On a cluster each server keeps its shard of a table in NAME_local, replicated by ClickHouse Keeper; NAME leads to
    all of them. All rows of a book are in one shard, so that each shard can tell which of two rows is in force.
    """

    def __init__(self, database: str, cluster: str | None) -> None:
        self._database = quoted(database)
        self._on_cluster = f" ON CLUSTER {quoted(cluster)}" if cluster else ""
        self._cluster = cluster

    def all_of(self, table: str) -> str:
        """Name what is read from and written to."""
        return f"{self._database}.{quoted(table)}"

    def stored(self, table: str) -> str:
        """Name what is altered: the table that keeps rows, on every server."""
        return self._local(table) + self._on_cluster

    def statements(self) -> list[str]:
        """Give all that makes the tables, where they are missing."""
        made = [text for table in TABLES for text in self._made(table.name, *_definition(table))]
        for name, (columns, version, key) in _SMALL_TABLES.items():
            made += self._made(name, columns, version, key, "")
        return made

    def make_database(self) -> str:
        """Give the statement that makes the database."""
        return f"CREATE DATABASE IF NOT EXISTS {self._database}{self._on_cluster}"

    def _local(self, table: str) -> str:
        return self.all_of(f"{table}_local" if self._cluster else table)

    def _made(self, name: str, columns: str, version: str, key: str, partition: str) -> list[str]:
        engine = f"ReplacingMergeTree({version})"
        if self._cluster:
            # The server fills in the braces: each shard has a log of its own in Keeper, shared by its replicas.
            path = f"/clickhouse/tables/{{shard}}/{{database}}/{name}"
            engine = f"ReplicatedReplacingMergeTree('{path}', '{{replica}}', {version})"
        stored = (
            f"CREATE TABLE IF NOT EXISTS {self.stored(name)} ({columns}) ENGINE = {engine}{partition} ORDER BY ({key})"
        )
        if not self._cluster:
            return [stored]
        shard = "cityHash64(publisher_id, instrument_id)" if "publisher_id" in key else "0"
        everywhere = (
            f"CREATE TABLE IF NOT EXISTS {self.all_of(name)}{self._on_cluster} AS {self._local(name)} "
            f"ENGINE = Distributed({text(self._cluster)}, {self._database}, {quoted(name + '_local')}, {shard})"
        )
        return [stored, everywhere]


def _definition(table: Table) -> tuple[str, str, str, str]:
    columns = [
        f"{column.name} {column.type} CODEC({column.codec})" if column.is_stored else f"{column.name} UInt8 EPHEMERAL"
        for column in table.columns
    ]
    columns.append(f"time DateTime64(9, 'UTC') ALIAS fromUnixTimestamp64Nano(toInt64({table.time}), 'UTC')")
    return ", ".join(columns), "ordinal", table.key, f" PARTITION BY {DAY_OF.format(table.time)}"


def quoted(name: str) -> str:
    """Quote a name of the user's for a statement."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def text(value: str) -> str:
    """Quote a text for a statement."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
