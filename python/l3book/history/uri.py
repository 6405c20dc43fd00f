"""Stores by their URI. A password never stands in one: it comes from the environment or from a file."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from l3book.secret import read_secret

if TYPE_CHECKING:
    from l3book.history.store import Store

PASSWORD_VARIABLE = "L3BOOK_HISTORY_STORE_PASSWORD"  # noqa: S105  # its name
DATABASE_DEFAULT = "l3book"
EXPECTED = (
    "expected sqlite:, clickhouse://USER@HOST:PORT/DATABASE, chdb:///PATH or postgresql://USER@HOST:PORT/DATABASE"
)


def check_store_uri(uri: str) -> SplitResult:
    """Take a store's URI apart. Raises ValueError, whose text does not show a password that stands in it."""
    try:
        parts = urlsplit(uri)
        port, password = parts.port, parts.password
    except ValueError:
        # The error's own text may show a part of a password, where that holds a / or #.
        raise ValueError(f"history store: no host and port that can be read: {EXPECTED}") from None
    if password is not None or any("pass" in key.lower() for key, _ in parse_qsl(parts.query, keep_blank_values=True)):
        shown = f"{parts.scheme}://{parts.hostname or ''}"
        raise ValueError(
            f"history store {shown}: a password in the URI: expected it in {PASSWORD_VARIABLE} or the file that"
            f" {PASSWORD_VARIABLE}_FILE names"
        )
    if port == 0 or parts.scheme not in _MAKERS or parts.fragment:
        raise ValueError(f"history store {uri!r}: {EXPECTED}")
    return parts


def store_of(uri: str, folder: Path, environ: Mapping[str, str] = os.environ) -> "Store":
    """Make the store that a URI names, for the history in a folder; it is not open yet.

    Raises ValueError where the URI is wrong, or a package that the store needs is missing; SecretError, which is one,
    where the password cannot be read.
    """
    parts = check_store_uri(uri)
    return _MAKERS[parts.scheme](parts, folder, environ)


def _sqlite(parts: SplitResult, folder: Path, _environ: Mapping[str, str]) -> "Store":
    if parts.netloc or parts.path or parts.query:
        raise ValueError(
            f"history store {parts.geturl()!r}: expected sqlite: alone, since it is in the history's folder"
        )
    from l3book.history.sqlite import SqliteStore

    return SqliteStore(folder)


def _clickhouse(parts: SplitResult, _folder: Path, environ: Mapping[str, str]) -> "Store":
    query = _only(parts, "cluster", "secure")
    if not parts.hostname or query.get("secure", "0") not in {"0", "1"} or query.get("cluster") == "":
        raise ValueError(
            f"history store {parts.geturl()!r}: expected clickhouse://USER@HOST:PORT/DATABASE, and of ?cluster=NAME and"
            " secure=1 what is wanted"
        )
    _needs(parts, "clickhouse_connect", "clickhouse")
    from l3book.history.clickhouse import ClickHouseStore, Target

    return ClickHouseStore(
        Target(
            database=_database(parts),
            host=parts.hostname,
            port=parts.port,
            user=unquote(parts.username or ""),
            password=read_secret(PASSWORD_VARIABLE, environ),
            secure=query.get("secure") == "1",
            cluster=query.get("cluster"),
        )
    )


def _chdb(parts: SplitResult, _folder: Path, _environ: Mapping[str, str]) -> "Store":
    query = _only(parts, "database")
    if parts.netloc or parts.path in {"", "/"} or query.get("database") == "":
        raise ValueError(f"history store {parts.geturl()!r}: expected chdb:///PATH, with ?database=NAME if wanted")
    _needs(parts, "clickhouse_connect", "clickhouse")
    _needs(parts, "chdb", "clickhouse", "chdb")
    from l3book.history.clickhouse import ClickHouseStore, Target

    return ClickHouseStore(Target(database=query.get("database", DATABASE_DEFAULT), path=unquote(parts.path)))


def _postgres(parts: SplitResult, _folder: Path, environ: Mapping[str, str]) -> "Store":
    _needs(parts, "psycopg", "postgres")
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    from l3book.history.postgres import PostgresStore

    try:
        options = {name: value for name, value in conninfo_to_dict(parts.geturl()).items() if value is not None}
    except ProgrammingError as error:
        raise ValueError(f"history store {parts.geturl()!r}: {str(error).strip()}") from None
    if password := read_secret(PASSWORD_VARIABLE, environ):
        options["password"] = password
    # Without a user's name, as ClickHouse's.
    place = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return PostgresStore(options, place)


_MAKERS = {
    "sqlite": _sqlite,
    "clickhouse": _clickhouse,
    "chdb": _chdb,
    "postgresql": _postgres,
    "postgres": _postgres,
}


def _only(parts: SplitResult, *known: str) -> dict[str, str]:
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    for key in query:
        if key not in known:
            raise ValueError(f"history store {parts.geturl()!r}: unknown key {key!r}: expected {' or '.join(known)}")
    return query


def _database(parts: SplitResult) -> str:
    return unquote(parts.path.strip("/")) or DATABASE_DEFAULT


def _needs(parts: SplitResult, module: str, extra: str, package: str | None = None) -> None:
    if find_spec(module) is None:
        wanted = package or f"'l3book[{extra}]'"
        raise ValueError(f"history store {parts.geturl()!r}: {module} is not installed: pip install {wanted}")
