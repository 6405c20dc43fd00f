"""Write a realistic, deterministic MBO stream as a DBN file."""

import argparse
import sys
from pathlib import Path

from l3book.cli.errors import CommandError

MESSAGES_MAX = 10_000_000_000
INSTRUMENTS_MAX = 10_000
SEED_MAX = 2**64 - 1
CHUNK_RECORDS = 16_384
PROGRESS_MESSAGES_MIN = 5_000_000
"""Shorter streams are written before a progress bar could be read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the .dbn file to write"
    )
    parser.add_argument(
        "--messages",
        type=_whole(0, MESSAGES_MAX),
        default=1_000_000,
        metavar="N",
        help="records to write, and those that complete the last event (default: 1,000,000)",
    )
    parser.add_argument(
        "--instruments", type=_whole(1, INSTRUMENTS_MAX), default=1, metavar="N", help="books (default: 1)"
    )
    parser.add_argument(
        "--seed", type=_whole(0, SEED_MAX), default=1, metavar="S", help="same seed, same bytes (default: 1)"
    )
    parser.add_argument("--crossed", action="store_true", help="let books cross at times, as before an open")


def run(arguments: argparse.Namespace) -> int:
    """Write the file; -> 0."""
    output: Path = arguments.output
    if output.suffix != ".dbn":
        raise CommandError(
            f"{output}: only uncompressed DBN is written in this version: expected a name ending in .dbn"
        )
    from tqdm import tqdm  # type: ignore[import-untyped]

    from l3book._core import Simulator
    from l3book.cli.output import output_file

    simulator = Simulator(seed=arguments.seed, instruments=arguments.instruments, crossed=arguments.crossed)
    quiet = not sys.stderr.isatty() or arguments.messages < PROGRESS_MESSAGES_MIN
    with (
        output_file(output) as stream,
        tqdm(total=arguments.messages, unit="msg", unit_scale=True, leave=False, disable=quiet) as bar,
    ):
        stream.write(simulator.header())
        while (left := arguments.messages - simulator.records) > 0:
            stream.write(simulator.read(min(left, CHUNK_RECORDS)))
            bar.update(simulator.records - bar.n)
    print(f"{output}: {simulator.records:,} records", file=sys.stderr)
    return 0


def _whole(low: int, high: int) -> "_Whole":
    return _Whole(low, high)


class _Whole:
    """A whole number in a range, for argparse."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def __call__(self, text: str) -> int:
        digits = text.replace("_", "").replace(",", "")
        if (
            digits.isascii()
            and digits.isdigit()
            and len(digits) <= 20
            and self._low <= int(digits) <= self._high
        ):
            return int(digits)
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a whole number from {self._low} to {self._high}"
        )
