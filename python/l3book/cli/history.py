"""Look into the recorded past, prove it, compact it, write parts of it to files."""

import argparse
import contextlib
import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError, cannot_use
from l3book.cli.numbers import counted
from l3book.cli.output import write_standard_output
from l3book.times import parse_time_ns

if TYPE_CHECKING:
    from l3book import Deriver
    from l3book.formats import Writer
    from l3book.history.holes import Hole

FORMATS = ("dbn", "csv", "parquet")
_NAME_WIDTH = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-verb each."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="what is there: records, times, sessions, holes, files, tables")
    verify = actions.add_parser(
        "verify", help="read everything, compare all checksums, name every fault; exit 1 if there is any"
    )
    compact = actions.add_parser("compact", help="move the rows of closed days from history.sqlite to Parquet files")
    export = actions.add_parser("export", help="write a stretch of the log, or rows derived from it, to a file")
    for action in (info, verify, compact, export):
        action.add_argument("folder", type=Path, metavar="DIR", help="the folder of a history (`serve --history DIR`)")
    for action in (info, verify):
        action.add_argument("--json", action="store_true", help="as one JSON object; times in ns")
    _add_export_arguments(export)


def _add_export_arguments(export: argparse.ArgumentParser) -> None:
    from l3book.rows import SCHEMAS

    time_help = "from the books as of TIME on (ts_event): ns since 1970, or ISO 8601 (UTC); default: the beginning"
    export.add_argument("--start", type=_time, metavar="TIME", help=time_help)
    export.add_argument("--end", type=_time, metavar="TIME", help="to the books as of TIME; default: the end")
    export.add_argument("--instrument", metavar="ID", help="this one only: instrument_id, publisher:id or symbol")
    export.add_argument(
        "--schema", choices=SCHEMAS, default="mbo", metavar="SCHEMA", help=f"{', '.join(SCHEMAS)} (default: mbo)"
    )
    export.add_argument(
        "--to", choices=FORMATS, metavar="FORMAT", help=f"{', '.join(FORMATS)} (default: what the name of -o ends in)"
    )
    export.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="write here; compressed if it ends in .zst"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; -> 0 if the answer is good."""
    from l3book._core import HistoryError
    from l3book.history.inspection import NoHistoryError
    from l3book.history.store import StoreError
    from l3book.history.stretch import SeveralSessionsError

    actions = {"info": _info, "verify": _verify, "compact": _compact, "export": _export}
    try:
        actions[arguments.action](arguments)
    except NoHistoryError as error:
        raise CommandError(str(error)) from None
    except (HistoryError, SeveralSessionsError, StoreError) as error:
        raise CommandError(str(error), EXIT_ANSWER_IS_NO) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_use(error.filename or arguments.folder, error) from None
    return 0


def _info(arguments: argparse.Namespace) -> None:
    from l3book.history.inspection import describe

    found = describe(arguments.folder)
    text = json.dumps(found, indent=2) if arguments.json else "\n".join(_info_lines(found))
    write_standard_output(text.encode() + b"\n")
    damages = [*found["damages"], *filter(None, [found["tables_damage"]])]
    if damages:
        raise CommandError("; ".join(damages), EXIT_ANSWER_IS_NO)


def _info_lines(found: dict[str, Any]) -> Iterator[str]:
    records, log, saved, tables = found["records"], found["log"], found["checkpoints"], found["tables"]
    yield _line("records", f"{records:,}, ordinals {found['first_ordinal']:,} to {found['end_ordinal']:,}")
    if records:
        yield _line("captured", f"{_iso(found['ts_recv_min'])} to {_iso(found['ts_recv_max'])}")
    each = f", {log['bytes_per_record']:.1f} bytes a record" if records else ""
    segments, frames = counted(log["segments"], "segment"), counted(log["frames"], "frame")
    files = f"{log['bytes']:,} bytes in {segments} of {frames}"
    yield _line("log", f"{files}{each}; {', '.join(log['datasets']) or 'no dataset'}")
    for number, session in enumerate(found["sessions"]):
        times = (
            f"{_iso(session['ts_event_min'])} to {_iso(session['ts_event_max'])}"
            if session["ts_event_min"] is not None
            else "nothing yet"
        )
        span = f"records {session['ordinal']:,} to {session['end_ordinal']:,}"
        yield _line("sessions" if number == 0 else "", f"{span}, {times}, {session['uri']}")
    for number, hole in enumerate(found["holes"]):
        missing = _missing(hole["first"], hole["end"] - hole["first"], hole["reason"])
        yield _line("holes" if number == 0 else "", missing)
    if not found["holes"]:
        yield _line("holes", "none")
    newest = f", the newest of record {saved['newest']:,}" if saved["count"] else ""
    yield _line("checkpoints", f"{saved['count']:,}, {saved['bytes']:,} bytes{newest}")
    if tables is None:
        yield _line("tables", "damaged" if found["tables_damage"] else "none in history.sqlite")
        return
    yield _line("tables", f"{counted(tables['books'], 'book')}, final up to record {tables['position']:,}")
    compacted = f", and {tables['compacted_bytes']:,} in {counted(tables['compacted_days'], 'compacted day')}"
    yield _line("", f"{tables['bytes']:,} bytes in SQLite{compacted if tables['compacted_days'] else ''}")


def _missing(first: int, count: int, reason: str) -> str:
    return f"{counted(count, 'record')} from {first:,} on {'is' if count == 1 else 'are'} missing: {reason}"


def _verify(arguments: argparse.Namespace) -> None:
    from l3book.cli.progress import bytes_progress
    from l3book.history.inspection import find_damage, open_log

    size = sum(segment["bytes"] for segment in open_log(arguments.folder).segments())
    with bytes_progress(str(arguments.folder), size) as progress:
        found = find_damage(arguments.folder, progress)
    good = (
        f"{counted(found['records'], 'record')} in {counted(found['segments'], 'segment')}, "
        f"{counted(found['checkpoints'], 'checkpoint')}, {counted(found['days'], 'compacted day')}"
    )
    faults = [_fault(damage) for damage in found["damages"]]
    lines = [f"{'good' if faults else 'all good'}: {good}", *faults]
    text = json.dumps(found, indent=2) if arguments.json else "\n".join(lines)
    write_standard_output(os.fsencode(text) + b"\n")
    if faults:
        more = f" (the first of {len(faults):,} faults)" if len(faults) > 1 else ""
        raise CommandError(f"{faults[0]}{more}", EXIT_ANSWER_IS_NO)


def _fault(damage: dict[str, Any]) -> str:
    where = [f"{name} {damage[name]:,}" for name in ("offset", "ordinal") if damage[name] is not None]
    place = f"{damage['path']}: {', '.join(where)}" if where else damage["path"]
    return f"{place}: {damage['what']}"


def _compact(arguments: argparse.Namespace) -> None:
    from l3book.cli.progress import rows_progress
    from l3book.history.archive import day_name
    from l3book.history.compaction import compact
    from l3book.history.inspection import open_log
    from l3book.history.sqlite import FILE_NAME, SqliteStore

    open_log(arguments.folder)
    if not (arguments.folder / FILE_NAME).exists():
        raise CommandError(f"{arguments.folder}: no {FILE_NAME}: expected a history whose tables are in SQLite")
    store = SqliteStore(arguments.folder)
    store.open()
    with contextlib.closing(store), rows_progress("compact") as progress:
        days = 0
        for made in compact(store, progress):
            days += 1
            rows = f"{made.trades:,} trades, {made.bbo:,} best prices, {made.levels:,} levels"
            print(f"{day_name(made.day)}: {rows}, {made.bytes:,} bytes", file=sys.stderr)
    if not days:
        closed = "a day (UTC) is closed once something is recorded of an hour after its end, whatever day it is now"
        print(f"nothing to compact: {closed}", file=sys.stderr)


def _export(arguments: argparse.Namespace) -> None:
    from l3book import AmbiguousInstrumentError, Deriver, UnknownInstrumentError
    from l3book._core import Past
    from l3book.cli.output import output_file
    from l3book.history.holes import holes_in
    from l3book.history.inspection import open_log
    from l3book.history.stretch import first_ordinal, rows_of

    kind = _format(arguments)
    if None not in (arguments.start, arguments.end) and arguments.start > arguments.end:
        begin, until = (f"{_iso(time)} ({time} ns)" for time in (arguments.start, arguments.end))
        raise CommandError(f"--start {begin} is after --end {until}: expected a time before it")
    log = open_log(arguments.folder)
    past = Past(arguments.folder)
    first = log.first_ordinal if arguments.start is None else first_ordinal(past, log, arguments.start)
    end = log.end_ordinal if arguments.end is None else past.ordinal_at(arguments.end)
    deriver = Deriver(arguments.schema, instrument=arguments.instrument)
    rows = rows_of(log, first, max(first, end), deriver)
    try:
        begun = next(rows, b"")
        if arguments.instrument is not None and not deriver.stats()["instruments"]:
            # Nothing of it lies in there; is it known at all?
            with contextlib.suppress(AmbiguousInstrumentError):
                past.resolve(arguments.instrument)
    except UnknownInstrumentError:
        expected = "expected a symbol, instrument_id or publisher:id that was recorded"
        problem = f"{arguments.folder}: no instrument goes by {arguments.instrument!r}: {expected}"
        raise CommandError(problem) from None
    count = 0
    with output_file(arguments.output) as stream:
        writer = _writer(kind, stream, deriver, arguments.output)
        try:
            for piece in itertools.chain([begun], rows):
                count += len(piece) // deriver.row_bytes
                if piece:
                    writer.write(piece)
            writer.finish()
        except BaseException:
            writer.abandon()
            raise
    print(f"{arguments.output}: {count:,} {arguments.schema} rows", file=sys.stderr)
    for hole in holes_in(log, first, max(first, end)):
        missing = _missing(hole.ordinal, hole.records, hole.reason)
        print(f"{arguments.output}: a hole in the history, {_between(hole)}: {missing}", file=sys.stderr)


def _between(hole: "Hole") -> str:
    start, end = ("?" if ts is None else _iso(ts) for ts in (hole.start, hole.end))
    return f"{start} to {end}"


def _format(arguments: argparse.Namespace) -> str:
    output: Path = arguments.output
    is_compressed = output.suffix == ".zst"
    ending = Path(output.stem if is_compressed else output.name).suffix.removeprefix(".")
    kind: str | None = arguments.to or (ending if ending in FORMATS else None)
    if kind is None:
        raise CommandError(f"{output}: no format: expected --to, or a name ending in one of {', '.join(FORMATS)}")
    if kind == "parquet" and is_compressed:
        raise CommandError(f"{output}: parquet compresses by itself: expected a name without .zst")
    return kind


def _writer(kind: str, stream: BinaryIO, deriver: "Deriver", output: Path) -> "Writer":
    from l3book import formats

    compress = output.suffix == ".zst"
    if kind == "dbn":
        return formats.BytesWriter(stream, deriver.header() or b"", compress=compress)
    if kind == "csv":
        return formats.CsvWriter(stream, deriver, compress=compress, pretty_px=True, pretty_ts=True, map_symbols=True)
    from l3book.arrow import ArrowBatches

    return formats.ParquetWriter(stream, ArrowBatches(deriver))


def _time(text: str) -> int:
    try:
        return parse_time_ns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _iso(ns: int) -> str:
    from l3book._verification import iso

    return iso(ns)


def _line(name: str, text: str) -> str:
    return f"{name:<{_NAME_WIDTH}} {text}"
