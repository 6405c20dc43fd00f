"""Prove the books of a DBN file: invariants, an independent book, the official MBP-10."""

import argparse
import sys
from pathlib import Path

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError, cannot_use, check_input_file
from l3book.digits import whole_number

EVENTS_MAX = 2**63 - 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a .dbn or .dbn.zst file of schema mbo")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="MBP10_FILE",
        help="the official MBP-10 of the same records: .dbn, .dbn.zst or .csv as Databento writes it",
    )
    parser.add_argument("--json", action="store_true", help="the whole report as one JSON object")
    parser.add_argument("--instrument", metavar="ID", help="this one only: instrument_id, publisher:id or symbol")
    parser.add_argument("--no-oracle", action="store_true", help="leave the independent book out: faster, proves less")
    parser.add_argument(
        "--same-size-modify",
        choices=("keeps_place", "to_back"),
        default="keeps_place",
        help="what a Modify without a change does to an order's place (default: keeps_place)",
    )
    parser.add_argument(
        "--check-every",
        type=_events,
        default=50_000,
        metavar="N",
        help="events between two checks of everything (default: 50,000)",
    )
    parser.add_argument(
        "--hash-every", type=_events, metavar="N", help="report the hashes every N events, to find where two runs part"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the report; -> 0 if there is nothing to complain of."""
    import l3book
    from l3book._verification import first_fault, to_text
    from l3book.cli.output import write_standard_output
    from l3book.cli.progress import file_progress

    path: Path = arguments.file
    for file in (path, arguments.against):
        if file is not None:
            check_input_file(file)
    try:
        with file_progress(path) as progress:
            found = l3book.verify(
                path,
                arguments.against,
                instrument=arguments.instrument,
                oracle=not arguments.no_oracle,
                same_size_modify=arguments.same_size_modify,
                check_every=arguments.check_every,
                hash_every=arguments.hash_every,
                progress=progress,
            )
    except l3book.UnknownInstrumentError as error:
        raise CommandError(f"{path}: {error}") from None
    except l3book.DecodeError as error:
        # Of the MBP-10 file: a fault of the MBO file is in the report.
        raise CommandError(str(error)) from None
    except OSError as error:
        raise cannot_use(error.filename or path, error) from None
    report = found.to_dict()
    text = found.to_json() if arguments.json else to_text(report)
    write_standard_output(text.encode() + b"\n")
    if fault := first_fault(report):
        sys.stdout.flush()
        raise CommandError(f"{path}: {fault}", EXIT_ANSWER_IS_NO)
    return 0


def _events(text: str) -> int:
    if (events := whole_number(text)) and events <= EVENTS_MAX:
        return events
    raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
