"""Measure on this machine: messages per second, latencies, and what a snapshot costs."""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError, cannot_use, check_input_file
from l3book.cli.output import write_standard_output
from l3book.cli.reconstruct import faults_of
from l3book.cli.simulate import RECORDS_PER_RESTING_ORDER_MIN, RESTING_MAX, RESTING_MIN
from l3book.digits import whole_number
from l3book.sources.synthetic import INSTRUMENTS_MAX

if TYPE_CHECKING:
    from l3book import Market

MESSAGES_DEFAULT = 1_000_000
MESSAGES_MAX = 20_000_000
"""They lie in memory: 56 bytes each."""
CHUNK_RECORDS = 1_024
ROUNDS = 5
READS = 2_000
DEPTH = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="a .dbn or .dbn.zst file (default: synthetic)"
    )
    parser.add_argument(
        "--messages",
        type=_whole(MESSAGES_MAX),
        default=MESSAGES_DEFAULT,
        metavar="N",
        help=f"records to apply, of a file its first (default: {MESSAGES_DEFAULT:,})",
    )
    parser.add_argument(
        "--instruments", type=_whole(INSTRUMENTS_MAX), default=1, metavar="N", help="synthetic books (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; -> 0 if the file was whole and good."""
    path: Path | None = arguments.file
    if path is None:
        chunks = _synthetic(arguments.messages, arguments.instruments)
    else:
        chunks = _from_file(path, arguments.messages)
    results, faults = _measure(chunks, path or Path("synthetic"))
    text = json.dumps(results) if arguments.json else _as_text(results)
    write_standard_output(os.fsencode(text + "\n"))
    if faults:
        raise CommandError("; ".join(faults), EXIT_ANSWER_IS_NO)
    return 0


def _synthetic(messages: int, instruments: int) -> list[bytes]:
    from l3book._core import Simulator

    resting = messages // (RECORDS_PER_RESTING_ORDER_MIN * instruments)
    simulator = Simulator(instruments=instruments, resting_max=min(max(resting, RESTING_MIN), RESTING_MAX))
    chunks = [simulator.header()]
    while simulator.records < messages:
        chunks.append(simulator.read(CHUNK_RECORDS))
    return chunks


def _from_file(path: Path, messages: int) -> list[bytes]:
    from l3book import DecodeError
    from l3book._core import FileReader

    check_input_file(path)
    chunks: list[bytes] = []
    try:
        reader = FileReader(path)
        # Nearly: records of other types count here too.
        while not reader.ended and len(chunks) * CHUNK_RECORDS < messages:
            chunks.append(reader.read(CHUNK_RECORDS))
    except DecodeError as error:
        raise CommandError(str(error) if error.filename else f"{path}: {error}", EXIT_ANSWER_IS_NO) from None
    except OSError as error:
        raise cannot_use(path, error) from None
    return chunks


def _measure(chunks: list[bytes], source: Path) -> tuple[dict[str, int | float | str], list[str]]:
    """-> what was found, and what is wrong with records of which a book can still be made."""
    from statistics import median

    from l3book import DecodeError, Market, __version__

    took_ns: list[int] = []
    for _ in range(ROUNDS):
        market = Market()
        try:
            start = time.perf_counter_ns()
            messages = sum(map(market.feed, chunks))
            took_ns.append(time.perf_counter_ns() - start)
            market.finish()
        except DecodeError as error:
            raise CommandError(f"{source}: {error}", EXIT_ANSWER_IS_NO) from None
        if messages == 0:
            raise CommandError(f"{source}: no MBO records to measure with", EXIT_ANSWER_IS_NO)
    apply = market.latency()["apply"]
    ns = median(took_ns) / messages
    results: dict[str, int | float | str] = {
        "source": str(source),
        "version": __version__,
        "messages": messages,
        "books": len(market),
        "orders": market.stats()["orders"],
        "messages_per_second": round(1e9 / ns),
        "feed_ns_per_message": round(ns, 1),
        "feed_ns_per_message_min": round(min(took_ns) / messages, 1),
        "feed_ns_per_message_max": round(max(took_ns) / messages, 1),
        "apply_p50_ns": apply["p50_ns"],
        "apply_p99_ns": apply["p99_ns"],
        **_reads(market),
    }
    return results, faults_of(source, market, None)


def _reads(market: "Market") -> dict[str, int]:
    """Look at the book with the most orders."""
    largest = max(market.instruments(), key=lambda instrument: instrument.orders)
    key = (largest.publisher_id, largest.instrument_id)
    book = market.book(key)
    return {
        "snapshot_ns": _ns_per_call(lambda: book.snapshot(DEPTH)),
        "snapshot_json_ns": _ns_per_call(lambda: market.book_json(key, depth=DEPTH)),
    }


def _ns_per_call(call: Callable[[], object]) -> int:
    start = time.perf_counter_ns()
    for _ in range(READS):
        call()
    return (time.perf_counter_ns() - start) // READS


def _as_text(results: dict[str, int | float | str]) -> str:
    r = results
    rows = [
        ("source", f"{r['source']}: {r['messages']:,} messages, {r['books']:,} books, {r['orders']:,} resting orders"),
        ("decode and apply", f"{r['messages_per_second']:,} messages/s, {r['feed_ns_per_message']} ns per message"),
        ("", f"({r['feed_ns_per_message_min']} to {r['feed_ns_per_message_max']} in {ROUNDS} rounds, one core)"),
        ("apply one", f"p50 {r['apply_p50_ns']} ns, p99 {r['apply_p99_ns']} ns, timer included"),
        (f"snapshot({DEPTH})", f"{r['snapshot_ns']:,} ns as an object, {r['snapshot_json_ns']:,} ns as JSON"),
    ]
    return "\n".join(f"{name:<18}{value}" for name, value in rows)


def _whole(high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = whole_number(text.replace("_", "").replace(",", ""))
        if number is not None and 1 <= number <= high:
            return number
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 to {high}")

    return parse
