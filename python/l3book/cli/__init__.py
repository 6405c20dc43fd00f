"""The `l3book` command. Each verb is a file here, and imports what it needs when it runs."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from l3book._core import __version__
from l3book.cli import doctor, reconstruct, serve, simulate
from l3book.cli.errors import CommandError

EXIT_MISUSE = 2
EXIT_INTERRUPTED = 128 + 2
EXIT_BROKEN_PIPE = 128 + 13

_VERBS = (serve, reconstruct, simulate, doctor)


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on."""
        raise CommandError(f"{message} (see `{self.prog} --help`)", EXIT_MISUSE)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="l3book",
        description="Full-depth (L3, market-by-order) order books from Databento DBN data.",
        epilog="Exit codes: 0 good, 1 the input is not whole and good DBN MBO data, 2 misuse.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"l3book {__version__}")
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for verb in _VERBS:
        name = verb.__name__.rpartition(".")[2]
        summary = (verb.__doc__ or "").splitlines()[0]
        sub = verbs.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        verb.add_arguments(sub)
        sub.set_defaults(run=verb.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; -> the exit code."""
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except CommandError as error:
        print(f"l3book: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output once more at exit, which would fail again, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return code
