"""How loud a verb is that has no settings of its own, and in which form."""

import argparse

from l3book.cli.errors import CommandError
from l3book.logs import LOG_FORMATS, LOG_LEVELS


def add_log_arguments(parser: argparse.ArgumentParser, level: str) -> None:
    """Add both options; `level` is the default."""
    levels = ", ".join(LOG_LEVELS[:-1])
    told = f"{levels} or {LOG_LEVELS[-1]} (default: {level})"
    parser.add_argument("--log-level", default=level, metavar="LEVEL", help=told)
    parser.add_argument("--log-format", default="auto", metavar="FORM", help="auto, text or json (default: auto)")


def log_arguments(arguments: argparse.Namespace) -> tuple[str, str]:
    """Read both. Raises CommandError for another word."""
    found = []
    for option, choices in (("log_level", LOG_LEVELS), ("log_format", LOG_FORMATS)):
        given: str = getattr(arguments, option)
        if given.lower() not in choices:
            expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
            raise CommandError(f"--{option.replace('_', '-')} is {given!r}: expected {expected}")
        found.append(given.lower())
    return found[0], found[1]
