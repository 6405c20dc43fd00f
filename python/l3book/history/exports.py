"""Exports: stretches of the recorded past as files, made on request and kept for a while."""

import contextlib
import itertools
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, cast

import msgspec

from l3book import tracing
from l3book._core import Deriver, Log, Past
from l3book.config import Settings
from l3book.formats import BytesWriter, CsvWriter, ParquetWriter, Writer
from l3book.history.holes import Hole, holes_in
from l3book.history.stretch import first_ordinal, rows_of
from l3book.workers import Patience, Pool, in_worker

ExportFormat: TypeAlias = Literal["dbn", "csv", "parquet"]
ExportSchema: TypeAlias = Literal[
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
]

FOLDER = "exports"
ENDINGS: dict[ExportFormat, str] = {"dbn": "dbn.zst", "csv": "csv", "parquet": "parquet"}
MEDIA_TYPES: dict[str, str] = {
    "dbn.zst": "application/zstd",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
ID_BYTES = 8
THREADS = 1
PENDING_MAX = 4
"""Exports that are being made or wait for it."""

_FILE_NAME = re.compile(r"([0-9a-f]{16})\.(dbn\.zst|csv|parquet)")
_PART = ".part"
_ABOUT = ".about"
"""Ending of the small file beside each, which says whose it is, and what it holds."""


class ExportTooLargeError(Exception):
    """The file would be longer than it may; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted: the records that lead from the books as of `start` to those as of `end` (ts_event, ns)."""

    instrument: str | None
    start: int
    end: int
    schema: ExportSchema
    to: ExportFormat
    with_snapshot: bool
    """Schema mbo: begin with the books as of `start`."""


@dataclass(frozen=True, slots=True)
class About:
    """What a file was made for."""

    owner: str
    """Whose it is: he sees it among his, and may remove it."""
    rows: int
    request: Request
    holes: tuple[Hole, ...] = ()
    """Holes of the history that it leads over."""


@dataclass(frozen=True, slots=True)
class Export:
    """One file that is there."""

    export_id: str
    path: Path
    bytes: int
    about: About

    @property
    def media_type(self) -> str:
        """What it holds."""
        return media_type_of(self.path)


class Exports:
    """For the event loop's thread; the work is done in one of their own."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._directory = directory
        self._folder = directory / FOLDER
        self._settings = settings
        self._pool = Pool("l3book-export", THREADS, PENDING_MAX)

    async def make(self, owner: str, request: Request) -> Export:
        """Write the file; older ones make way where there are too many. Given up when whoever waits is cancelled.

        Raises ExportTooLargeError, SeveralSessionsError, UnknownInstrumentError, AmbiguousInstrumentError,
        NotRecordedError, HistoryError, OSError and BusyError.
        """
        about = {"l3book.instrument": request.instrument, "l3book.schema": request.schema, "l3book.to": request.to}
        with tracing.span("export", **about):
            return await self._pool.run_patiently(lambda patience: self._make(owner, request, patience))

    async def of(self, owner: str) -> list[Export]:
        """List the owner's files that are still there, oldest first."""
        return await in_worker(self._of, owner)

    async def remove(self, owner: str, export_id: str) -> bool:
        """Remove one of the owner's files; -> whether there was one. Raises OSError."""
        return await in_worker(self._remove, owner, export_id)

    def find(self, export_id: str) -> Path | None:
        """Find a file that is still there."""
        for ending in MEDIA_TYPES:
            path = self._folder / f"{export_id}.{ending}"
            if _FILE_NAME.fullmatch(path.name) and path.is_file():
                return path
        return None

    def close(self) -> None:
        """Wait for the thread."""
        self._pool.close()

    def _of(self, owner: str) -> list[Export]:
        found: list[tuple[int, Export]] = []
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                if (named := _FILE_NAME.fullmatch(path.name)) and (about := _about(path)) and about.owner == owner:
                    stat = path.stat()
                    found.append((stat.st_mtime_ns, Export(named[1], path, stat.st_size, about)))
        return [export for _, export in sorted(found, key=lambda entry: entry[0])]

    def _remove(self, owner: str, export_id: str) -> bool:
        path = self.find(export_id)
        about = _about(path) if path is not None else None
        if path is None or about is None or about.owner != owner:
            return False
        _unlink(path)
        return True

    def _make(self, owner: str, request: Request, patience: Patience) -> Export:
        patience.check()
        self._folder.mkdir(exist_ok=True)
        self._remove_unfinished()
        export_id = secrets.token_hex(ID_BYTES)
        path = self._folder / f"{export_id}.{ENDINGS[request.to]}"
        part = path.with_name(path.name + _PART)
        try:
            with part.open("wb") as stream:
                bounded = _Bounded(stream, self._settings.export_bytes_max)
                rows, holes = _write(self._directory, request, bounded, patience)
                about = About(owner, rows, request, holes)
            # Not before: a request that fails must not cost a good file.
            self._make_room()
            path.with_name(path.name + _ABOUT).write_bytes(msgspec.json.encode(asdict(about)))
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
        return Export(export_id, path, path.stat().st_size, about)

    def _remove_unfinished(self) -> None:
        """Remove what a process that was killed left behind; there is one thread, so no other file is unfinished."""
        for path in self._folder.glob(f"*{_PART}"):
            path.unlink(missing_ok=True)
        for path in self._folder.glob(f"*{_ABOUT}"):
            if not path.with_name(path.name.removesuffix(_ABOUT)).exists():
                path.unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Remove the oldest, so that one more is not too many."""
        kept: list[tuple[int, Path]] = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if _FILE_NAME.fullmatch(path.name):
                    kept.append((path.stat().st_mtime_ns, path))
        kept.sort()
        for _, path in kept[: max(0, len(kept) + 1 - self._settings.exports_max)]:
            _unlink(path)


def _about(path: Path) -> About | None:
    """Read what stands beside a file; None: nothing that can be read, so it is nobody's."""
    try:
        return msgspec.json.decode(path.with_name(path.name + _ABOUT).read_bytes(), type=About)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + _ABOUT).unlink(missing_ok=True)


def media_type_of(path: Path) -> str:
    """Tell what a file holds by its name."""
    return MEDIA_TYPES[path.name.partition(".")[2]]


class _Bounded:
    """A stream that takes so many bytes and no more; the writers need no more of a stream than this."""

    def __init__(self, stream: BinaryIO, bytes_max: int) -> None:
        self._stream = stream
        self._left = bytes_max
        self._bytes_max = bytes_max
        self.closed = False

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise ExportTooLargeError(f"the file is longer than {self._bytes_max} bytes (export_bytes_max)")
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def tell(self) -> int:
        return self._stream.tell()


def _write(directory: Path, request: Request, stream: _Bounded, patience: Patience) -> tuple[int, tuple[Hole, ...]]:
    """Write everything; -> how many rows, and what is missing in between."""
    past, log = Past(directory), Log(directory)
    first = first_ordinal(past, log, request.start)
    end = max(first, past.ordinal_at(request.end))
    deriver = Deriver(request.schema, instrument=request.instrument)
    pieces = rows_of(log, first, end, deriver, with_snapshot=request.with_snapshot, check=patience.check)
    # The first piece, before anything is written: only then the deriver knows whether anybody goes by the name.
    begun = next(pieces)
    if request.instrument is not None and not deriver.stats()["instruments"]:
        # Nothing of it lies in there; raises where it was never recorded at all.
        past.resolve(request.instrument)
    writer = _writer(request.to, stream, deriver)
    row_bytes, count = deriver.row_bytes, 0
    try:
        for piece in itertools.chain([begun], pieces):
            count += len(piece) // row_bytes
            if piece:
                writer.write(piece)
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    return count, tuple(holes_in(log, first, end))


def _writer(to: ExportFormat, stream: _Bounded, deriver: Deriver) -> Writer:
    target = cast("BinaryIO", stream)
    if to == "dbn":
        return BytesWriter(target, deriver.header() or b"", compress=True)
    if to == "csv":
        return CsvWriter(target, deriver, compress=False, pretty_px=True, pretty_ts=True, map_symbols=True)
    from l3book.arrow import ArrowBatches

    return ParquetWriter(target, ArrowBatches(deriver, price_type="fixed", pretty_ts=True, map_symbols=True))
