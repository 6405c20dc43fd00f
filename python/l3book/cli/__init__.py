"""The `l3book` command. Each verb is a file here, and imports what it needs when it runs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from l3book._core import __version__
from l3book.cli import (
    backfill,
    bench,
    config,
    convert,
    doctor,
    gateway,
    history,
    keys,
    publish,
    reconstruct,
    serve,
    simulate,
    verify,
)
from l3book.cli.ending import Ended, end_in_order
from l3book.cli.errors import EXIT_MISUSE, CommandError
from l3book.cli.output import write_standard_output
from l3book.spelling import meant

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

EXIT_INTERRUPTED = 128 + 2
EXIT_BROKEN_PIPE = 128 + 13

_VERBS = (
    serve,
    gateway,
    publish,
    backfill,
    reconstruct,
    convert,
    verify,
    history,
    simulate,
    keys,
    bench,
    doctor,
    config,
)


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like all others; options are written out."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on."""
        raise CommandError(f"{message} (see `{self.prog} --help`)", EXIT_MISUSE)

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # as argparse has it
        """Refuse what is unknown here, where it is known which verb was meant, and what it may have been."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._meant(unknown)}")
        return found, unknown

    def _meant(self, unknown: list[str]) -> str:
        options = [option for option in self._option_string_actions if option.startswith("--")]
        for text in unknown:
            if text.startswith("-") and (near := meant(text.partition("=")[0], options)):
                return f": did you mean {near}?"
        return ""

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:  # noqa: ARG002
        """Print the help or the version. argparse's own way would pass over a failure without a word."""
        write_standard_output(os.fsencode(message))


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="l3book",
        description="Full-depth (L3, market-by-order) order books from Databento DBN data.",
        epilog="Exit codes: 0 good, 1 the input is not whole and good DBN MBO data, 2 misuse.",
    )
    parser.add_argument("--version", action="version", version=f"l3book {__version__}")
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for verb in _VERBS:
        name = verb.__name__.rpartition(".")[2]
        summary = (verb.__doc__ or "").splitlines()[0]
        sub = verbs.add_parser(name, help=summary, description=summary)
        verb.add_arguments(sub)
        sub.set_defaults(run=verb.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; -> the exit code."""
    if sys.stderr is None:
        # It was closed at the start: print() would take standard output for it.
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for the rest of the process
    try:
        end_in_order()
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
    except CommandError as error:
        print(f"l3book: {error}", file=sys.stderr)
        return error.exit_code
    except Ended as ended:
        return ended.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    return code
