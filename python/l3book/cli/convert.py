"""Derive other Databento schemas from an MBO file, as DBN, CSV, Parquet or Arrow."""

import argparse
import contextlib
import importlib
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from l3book.cli.errors import (
    EXIT_ANSWER_IS_NO,
    EXIT_MISUSE,
    CommandError,
    cannot_use,
    check_input_file,
    check_other_file,
)
from l3book.formats import FORMATS

if TYPE_CHECKING:
    from l3book import Deriver
    from l3book.formats import Writer

PIPE_CHUNK_BYTES = 256 * 1024
STANDARD_OUTPUT = Path("-")
_NEEDS_PYARROW = ("parquet", "arrow")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    from l3book.arrow import PRICE_TYPES
    from l3book.rows import SCHEMAS

    parser.add_argument("file", type=Path, metavar="FILE", help="a .dbn or .dbn.zst file of schema mbo")
    parser.add_argument("--schema", choices=SCHEMAS, required=True, metavar="SCHEMA", help=", ".join(SCHEMAS))
    parser.add_argument(
        "--to", choices=FORMATS, metavar="FORMAT", help=f"{', '.join(FORMATS)} (default: what the name of -o ends in)"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=STANDARD_OUTPUT,
        metavar="FILE",
        help="write here, compressed if the name ends in .zst (default: -, standard output)",
    )
    parser.add_argument("--instrument", metavar="ID", help="this one only: instrument_id, publisher:id or symbol")
    flag = argparse.BooleanOptionalAction
    parser.add_argument("--pretty-px", action=flag, default=True, help="csv: prices as decimals, not in units of 1e-9")
    parser.add_argument("--pretty-ts", action=flag, default=True, help="times as times, not as ns (dbn: always ns)")
    parser.add_argument("--map-symbols", action=flag, default=True, help="a column with the symbol (dbn: metadata)")
    parser.add_argument(
        "--price-type",
        choices=PRICE_TYPES,
        default="fixed",
        help="parquet, arrow: fixed (integers in units of 1e-9, the default), decimal or float",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the rows, counters on standard error; -> 0 if the file was whole and good."""
    from l3book import Deriver

    path: Path = arguments.file
    kind = _format(arguments)
    check_input_file(path)
    if arguments.output != STANDARD_OUTPUT:
        check_other_file(path, arguments.output)
    deriver = Deriver(arguments.schema, instrument=arguments.instrument)
    faults: list[str] = []
    start_s = time.perf_counter()
    rows = _rows(path, deriver, faults)
    # The first piece, before there is an output: a file with nothing good in it makes none.
    first = [next(rows, b"")]
    while deriver.header() is None and (piece := next(rows, None)) is not None:
        first.append(piece)
    if deriver.header() is not None:
        with _output(arguments.output) as stream:
            writer = _writer(kind, stream, deriver, arguments)
            try:
                for piece in itertools.chain(first, rows):
                    if piece:
                        writer.write(piece)
                _check_found(path, deriver, arguments.instrument, faults)
                writer.finish()
            except BaseException:
                writer.abandon()
                raise
        _print_counters(path, deriver, time.perf_counter() - start_s)
    if problem := deriver.problem:
        rejected = f"{deriver.stats()['rejected']:,} records rejected, the first: {problem}"
        faults.append(rejected if faults else f"{path}: {rejected}")
    if faults:
        raise CommandError("; ".join(faults), EXIT_ANSWER_IS_NO)
    return 0


def _format(arguments: argparse.Namespace) -> str:
    """Choose what to write; refuse what cannot be, before anything is read."""
    output: Path = arguments.output
    is_compressed = output.suffix == ".zst"
    ending = Path(output.stem if is_compressed else output.name).suffix.removeprefix(".")
    kind: str | None = arguments.to or (ending if ending in FORMATS else None)
    if kind is None:
        raise CommandError(f"{output}: no format: expected --to, or a name ending in one of {', '.join(FORMATS)}")
    if kind in _NEEDS_PYARROW:
        if is_compressed:
            raise CommandError(f"{output}: {kind} compresses by itself: expected a name without .zst")
        try:
            # Now rather than behind a long read; and Ctrl-C can get lost while a module is imported.
            importlib.import_module("pyarrow.parquet" if kind == "parquet" else "pyarrow")
        except ImportError:
            raise CommandError(f"--to {kind}: pyarrow is missing: expected `pip install l3book[arrow]`") from None
    if output == STANDARD_OUTPUT and kind != "csv" and sys.stdout is not None and sys.stdout.isatty():
        raise CommandError(f"--to {kind}: standard output is a terminal: expected -o FILE")
    return kind


def _rows(path: Path, deriver: "Deriver", faults: list[str]) -> Iterator[bytes]:
    """Rows piece by piece, up to the fault if there is one; it is noted then."""
    from l3book import DecodeError

    try:
        pieces = _file_pieces(path) if path.is_file() else _pipe_pieces(path)
        for piece in pieces:
            yield deriver.feed(piece)
        deriver.finish()
    except DecodeError as error:
        faults.append(str(error) if error.filename else f"{path}: {error}")
    except OSError as error:
        raise cannot_use(path, error) from None
    yield deriver.flush()


def _file_pieces(path: Path) -> Iterator[bytes]:
    from l3book._core import FileReader
    from l3book.cli.progress import file_progress
    from l3book.rows import CHUNK_RECORDS

    reader = FileReader(path)
    with file_progress(path) as progress:
        while chunk := reader.read(CHUNK_RECORDS):
            if progress:
                progress(reader.offset, reader.size)
            yield chunk


def _pipe_pieces(path: Path) -> Iterator[bytes]:
    """Read what is no regular file. Opening and reading may wait for ever; from here, Ctrl-C ends both at once."""
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(PIPE_CHUNK_BYTES):
            yield chunk


@contextlib.contextmanager
def _output(path: Path) -> Iterator[BinaryIO]:
    from l3book.cli.output import output_file

    if path != STANDARD_OUTPUT:
        with output_file(path) as stream:
            yield stream
        return
    if sys.stdout is None:
        raise CommandError("standard output: closed: expected one that can be written to")
    try:
        # Not sys.stdout.buffer: where PYTHONUNBUFFERED is set, it may write a part and not tell.
        with open(sys.stdout.fileno(), "wb", closefd=False) as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_use("standard output", error) from None


def _writer(kind: str, stream: BinaryIO, deriver: "Deriver", arguments: argparse.Namespace) -> "Writer":
    from l3book import formats
    from l3book.arrow import ArrowBatches

    output: Path = arguments.output
    compress = output.suffix == ".zst"
    shown = {"pretty_ts": arguments.pretty_ts, "map_symbols": arguments.map_symbols}
    if kind == "dbn":
        return formats.BytesWriter(stream, deriver.header() or b"", compress=compress)
    if kind == "csv":
        return formats.CsvWriter(stream, deriver, compress=compress, pretty_px=arguments.pretty_px, **shown)
    batches = ArrowBatches(deriver, price_type=arguments.price_type, **shown)
    if kind == "parquet":
        return formats.ParquetWriter(stream, batches)
    return formats.ArrowWriter(stream, batches, streamed=output == STANDARD_OUTPUT)


def _check_found(path: Path, deriver: "Deriver", instrument: str | None, faults: list[str]) -> None:
    """Refuse a file without what was asked for: inside of the output's block, so that none appears."""
    stats = deriver.stats()
    fault = None
    code = EXIT_ANSWER_IS_NO
    if stats["other_records"] and not stats["records"]:
        fault = f"{stats['other_records']:,} records, none of them MBO: expected schema mbo"
    elif instrument is not None and not stats["instruments"]:
        fault = f"no instrument goes by {instrument!r}: expected a symbol, instrument_id or publisher:id in the file"
        code = EXIT_ANSWER_IS_NO if faults else EXIT_MISUSE
    if fault:
        raise CommandError("; ".join([*faults, fault] if faults else [f"{path}: {fault}"]), code)


def _print_counters(path: Path, deriver: "Deriver", took_s: float) -> None:
    stats = deriver.stats()
    made = f"{stats['records']:,} records, {stats['rows']:,} {deriver.schema} rows"
    several = stats["metadata_headers"] - 1
    streams = f"; streams in one file: {several + 1:,}" if several > 0 else ""
    print(f"{path.name}: {made} of {stats['instruments']:,} instruments in {took_s:.3f} s{streams}", file=sys.stderr)
