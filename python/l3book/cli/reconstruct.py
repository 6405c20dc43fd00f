"""Rebuild the books of a DBN file or a history, as they are at its end or at a time."""

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l3book.cli.errors import (
    EXIT_ANSWER_IS_NO,
    EXIT_MISUSE,
    CommandError,
    cannot_use,
    check_input_file,
    check_other_file,
)
from l3book.cli.progress import file_progress
from l3book.digits import whole_number
from l3book.times import parse_time_ns

if TYPE_CHECKING:
    from l3book import Market
    from l3book._core import Log

PIPE_CHUNK_BYTES = 256 * 1024
CHOICES_SHOWN_MAX = 8
DEPTH_MAX = 999_999_999
"""More levels than any book has, and few enough for every platform's integers."""

_ACTIONS = {
    "A": "adds",
    "C": "cancels",
    "M": "modifies",
    "R": "clears",
    "T": "trades",
    "F": "fills",
    "N": "nones",
}
_ODD = {
    "other_records": "records of other types",
    "over_cancels": "cancels of more than rests",
    "zero_sizes": "sizes of 0",
    "forced_events": "events forced",
    "bad_book_marks": "marks of lost packets",
}
"""What is said of a file only where it occurs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a .dbn or .dbn.zst file of schema mbo, or the folder of a history (`serve --history DIR`)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the JSON here (default: standard output)"
    )
    parser.add_argument(
        "--at",
        type=_time,
        metavar="TIME",
        help="the books as of TIME, events at exactly TIME included: ns since 1970, or ISO 8601 (UTC)",
    )
    parser.add_argument("--instrument", metavar="ID", help="this one only: instrument_id, publisher:id or symbol")
    parser.add_argument("--depth", type=_depth, metavar="N", help="levels a side (default: all)")
    parser.add_argument("--level", type=int, choices=(2, 3), default=2, help="3 adds each level's queue (default: 2)")


def run(arguments: argparse.Namespace) -> int:
    """Write the books as JSON, counters on standard error; -> 0 if the file was whole and good."""
    from l3book import DecodeError, Market

    path: Path = arguments.file
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise cannot_use(path, error) from None
    if is_folder:
        return _run_history(path, arguments)
    check_input_file(path)
    market = Market(until=arguments.at)
    damage: str | None = None
    if arguments.output is not None:
        check_other_file(path, arguments.output)
    start_s = time.perf_counter()
    try:
        if path.is_file():
            with file_progress(path) as progress:
                market.feed_file(path, progress=progress)
        else:
            _feed_pipe(market, path)
    except DecodeError as error:
        damage = str(error) if error.filename else f"{path}: {error}"
    except OSError as error:
        raise cannot_use(path, error) from None
    took_s = time.perf_counter() - start_s
    stats = market.stats()
    if damage is None and stats["other_records"] and not stats["records"]:
        found = f"{stats['other_records']:,} records, none of them MBO"
        raise CommandError(f"{path}: {found}: expected schema mbo", EXIT_ANSWER_IS_NO)
    faults = faults_of(path, market, damage)
    if len(market) or damage is None:
        try:
            content = _books_json(market, arguments)
        except _NoSuchBookError as error:
            # What is wrong with the file may be why the book is not there.
            faults.append(str(error) if faults else f"{path}: {error}")
            raise CommandError("; ".join(faults), EXIT_ANSWER_IS_NO if len(faults) > 1 else EXIT_MISUSE) from None
        _write(arguments.output, content)
        _print_counters(path, market, took_s)
    if faults:
        raise CommandError("; ".join(faults), EXIT_ANSWER_IS_NO)
    return 0


def _run_history(folder: Path, arguments: argparse.Namespace) -> int:
    """Do the same with what was recorded: by a checkpoint and the records after it, not by reading everything."""
    from l3book._core import HistoryError
    from l3book.history.inspection import NoHistoryError, open_log

    start_s = time.perf_counter()
    try:
        log = open_log(folder)
        if arguments.at is None:
            content = _books_json(log.restore(), arguments)
        else:
            content = _past_books_json(folder, log, arguments)
    except NoHistoryError as error:
        raise CommandError(str(error)) from None
    except _NoSuchBookError as error:
        raise CommandError(f"{folder}: {error}") from None
    except (HistoryError, OSError) as error:
        raise CommandError(str(error), EXIT_ANSWER_IS_NO) from None
    _write(arguments.output, content)
    records = f"{log.end_ordinal - log.first_ordinal:,} records"
    print(f"{folder}: {records} recorded, restored in {time.perf_counter() - start_s:.3f} s", file=sys.stderr)
    return 0


def _past_books_json(folder: Path, log: "Log", arguments: argparse.Namespace) -> bytes:
    """One book's object, or the list of several, each as of the time that was asked for."""
    from l3book import AmbiguousInstrumentError, UnknownInstrumentError
    from l3book._core import Past

    past = Past(folder)
    past.ordinal_at(arguments.at)  # raises where nothing is known of that time
    # At the ordinal after a session's last record the next one begins, with other books.
    begun = (one for one in past.range() if one["ts_begin"] is not None and one["ts_begin"] <= arguments.at)
    *_, session = begun
    last = session["end_ordinal"] - 1
    market = log.restore(last)
    market.feed(log.read(last, 1)[1])

    def book(instrument: str | tuple[int, int]) -> bytes:
        return past.book_json(instrument, arguments.at, level=arguments.level, depth=arguments.depth)

    if arguments.instrument is not None:
        try:
            return book(arguments.instrument)
        except (UnknownInstrumentError, AmbiguousInstrumentError) as error:
            raise _no_such_book(market, arguments.instrument, error) from None
    books = []
    for entry in market.instruments():
        # One that came later is in no past before it.
        with contextlib.suppress(UnknownInstrumentError):
            books.append(book((entry.publisher_id, entry.instrument_id)))
    return _one_or_list(books)


class _NoSuchBookError(Exception):
    """--instrument names no book, or several; the text says what it could have named."""


def _feed_pipe(market: "Market", path: Path) -> None:
    """Read what is no regular file. Opening and reading may wait for ever; from here, Ctrl-C ends both at once."""
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(PIPE_CHUNK_BYTES):
            market.feed(chunk)
    market.finish()


def _time(text: str) -> int:
    try:
        return parse_time_ns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _depth(text: str) -> int:
    if (depth := whole_number(text)) and depth <= DEPTH_MAX:
        return depth
    raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")


def _books_json(market: "Market", arguments: argparse.Namespace) -> bytes:
    """One book's object, or the list of several (or none)."""
    from l3book import AmbiguousInstrumentError, UnknownInstrumentError

    def book(instrument: str | tuple[int, int]) -> bytes:
        return market.book_json(instrument, level=arguments.level, depth=arguments.depth)

    if arguments.instrument is not None:
        try:
            return book(arguments.instrument)
        except (UnknownInstrumentError, AmbiguousInstrumentError) as error:
            raise _no_such_book(market, arguments.instrument, error) from None
    # By key: by its text, each would be looked for among the symbols of all.
    books = [book((entry.publisher_id, entry.instrument_id)) for entry in market.instruments()]
    return _one_or_list(books)


def _one_or_list(books: list[bytes]) -> bytes:
    return books[0] if len(books) == 1 else b"[" + b",\n".join(books) + b"]"


def _no_such_book(market: "Market", instrument: str, error: Exception) -> _NoSuchBookError:
    from l3book import AmbiguousInstrumentError

    how = "several books go" if isinstance(error, AmbiguousInstrumentError) else "no book goes"
    return _NoSuchBookError(f"{how} by {instrument!r}: expected {_choices(market, error)}")


def _choices(market: "Market", error: Exception) -> str:
    from l3book import AmbiguousInstrumentError

    entries = market.instruments()
    if isinstance(error, AmbiguousInstrumentError):
        entries = [entry for entry in entries if (entry.publisher_id, entry.instrument_id) in error.choices]
    shown = [
        f"{entry.publisher_id}:{entry.instrument_id}" + (f" ({entry.symbol})" if entry.symbol else "")
        for entry in entries[:CHOICES_SHOWN_MAX]
    ]
    if len(entries) > len(shown):
        shown.append(f"one of {len(entries) - len(shown)} more")
    return " or ".join(shown) if shown else "nothing, as the file has no book"


def _write(output: Path | None, content: bytes) -> None:
    from l3book.cli.output import output_file, write_standard_output

    if output is None:
        write_standard_output(content + b"\n")
        return
    with output_file(output) as stream:
        stream.write(content + b"\n")


def _print_counters(path: Path, market: "Market", took_s: float) -> None:
    stats: dict[str, Any] = market.stats()
    records = stats["records"]
    actions = ", ".join(f"{letter} {stats[name]:,}" for letter, name in _ACTIONS.items() if stats[name])
    rate = records / took_s if took_s > 0 else 0.0
    print(f"{path.name}: {records:,} records in {took_s:.3f} s, {rate:,.0f} messages/s", file=sys.stderr)
    print(f"  actions: {actions or 'none'}", file=sys.stderr)
    print(
        f"  books: {len(market):,}, events: {stats['events']:,}, resting orders: {stats['orders']:,}",
        file=sys.stderr,
    )
    print(
        f"  unknown cancels: {stats['unknown_cancels']:,}, unknown modifies: {stats['unknown_modifies']:,}, "
        f"duplicate adds: {stats['duplicate_adds']:,}, rejected: {_rejected(stats):,}",
        file=sys.stderr,
    )
    odd = ", ".join(f"{words}: {stats[name]:,}" for name, words in _ODD.items() if stats[name])
    if stats["metadata_headers"] > 1:
        odd += f"{', ' if odd else ''}streams in one file: {stats['metadata_headers']:,}"
    if odd:
        print(f"  {odd}", file=sys.stderr)
    if stats["held"]:
        print(f"  held back, of events without their last record: {stats['held']:,}", file=sys.stderr)


def _rejected(stats: dict[str, Any]) -> int:
    return sum(count for name, count in stats.items() if name.startswith("rejected_"))


def faults_of(path: Path, market: "Market", damage: str | None) -> list[str]:
    """Why the file was not whole and good; the first fault names it."""
    faults = [] if damage is None else [damage]
    rejected = _rejected(market.stats())
    if rejected:
        first = f"{rejected:,} records rejected, the first: {market.problems()[0]['message']}"
        faults.append(first if faults else f"{path}: {first}")
    return faults
