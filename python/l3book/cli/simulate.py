"""Write a realistic, deterministic MBO stream as a DBN file."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from l3book.cli.errors import CommandError
from l3book.cli.numbers import WholeNumber
from l3book.sources.synthetic import INSTRUMENTS_MAX, SEED_MAX

if TYPE_CHECKING:
    from l3book._core import Simulator

MESSAGES_MAX = 10_000_000_000
CHUNK_RECORDS = 16_384
LAST_RECORDS = 65_536
"""Left for the end, which is cut to the record: more than a chunk and the longest event together."""
RECORDS_PER_RESTING_ORDER_MIN = 8
"""Short streams get small books, or they would be little but opening snapshots."""
RESTING_MIN, RESTING_MAX = 64, 18_000
PROGRESS_MESSAGES_MIN = 5_000_000
"""Shorter streams are written before a progress bar could be read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the .dbn or .dbn.zst file to write"
    )
    parser.add_argument(
        "--messages",
        type=WholeNumber(0, MESSAGES_MAX),
        default=1_000_000,
        metavar="N",
        help="records to write (default: 1,000,000)",
    )
    parser.add_argument(
        "--instruments", type=WholeNumber(1, INSTRUMENTS_MAX), default=1, metavar="N", help="books (default: 1)"
    )
    parser.add_argument(
        "--seed",
        type=WholeNumber(0, SEED_MAX),
        default=1,
        metavar="S",
        help="same arguments, same bytes (default: 1)",
    )
    parser.add_argument("--crossed", action="store_true", help="let books cross at times, as before an open")


def run(arguments: argparse.Namespace) -> int:
    """Write the file; -> 0."""
    output: Path = arguments.output
    if not output.name.endswith((".dbn", ".dbn.zst")):
        raise CommandError(f"{output}: expected a name ending in .dbn or .dbn.zst")
    from tqdm import tqdm  # type: ignore[import-untyped]

    from l3book._core import Compressor, Simulator
    from l3book.cli.output import output_file

    messages: int = arguments.messages
    resting = messages // (RECORDS_PER_RESTING_ORDER_MIN * arguments.instruments)
    simulator = Simulator(
        seed=arguments.seed,
        instruments=arguments.instruments,
        crossed=arguments.crossed,
        resting_max=min(max(resting, RESTING_MIN), RESTING_MAX),
    )
    compressor = Compressor() if output.suffix == ".zst" else None
    quiet = not sys.stderr.isatty() or messages < PROGRESS_MESSAGES_MIN
    with (
        output_file(output) as stream,
        tqdm(total=messages, unit="msg", unit_scale=True, leave=False, disable=quiet) as bar,
    ):
        for chunk in _chunks(simulator, messages):
            stream.write(compressor.write(chunk) if compressor else chunk)
            bar.update(simulator.records - bar.n)
        if compressor:
            stream.write(compressor.finish())
    print(f"{output}: {simulator.records:,} records", file=sys.stderr)
    return 0


def _chunks(simulator: "Simulator", messages: int) -> Iterator[bytes]:
    yield simulator.header()
    while messages - simulator.records > LAST_RECORDS:
        yield simulator.read(CHUNK_RECORDS)
    yield simulator.read_last(messages - simulator.records)
