"""The layers of the settings: what each says, and under which name a user finds it there."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l3book.config.settings import SETTING_NAMES
from l3book.secret import FILE_SUFFIX, SECRET_VARIABLES
from l3book.small_file import read_small_file
from l3book.spelling import meant

ENV_PREFIX = "L3BOOK_"
FILE_BYTES_MAX = 1024 * 1024

# Variables with our prefix that are no settings: where to find those, secrets, and what tests and benchmarks read.
_OTHER_VARIABLES = frozenset(
    {"L3BOOK_CONFIG", "L3BOOK_ENV", *SECRET_VARIABLES, *(name + FILE_SUFFIX for name in SECRET_VARIABLES)}
)
_OTHER_PREFIXES = ("L3BOOK_TEST_", "L3BOOK_BENCH_")


class ConfigError(ValueError):
    """A setting that is unknown or wrong; the text says where it came from and what was expected."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Values as they were given, unchecked, and where they are from."""

    values: dict[str, Any]
    origin: Callable[[str], str]
    """From a setting's name to what a listing shows: `config/prod.toml`, `L3BOOK_PORT`, `--port`."""
    name_in: Callable[[str], str]
    """From a setting's name to how an error calls it: `config/prod.toml: port`, `L3BOOK_PORT`, `--port`."""


def from_file(path: Path) -> Layer:
    """Read a TOML file. Raises ConfigError for what is in it, OSError when it cannot be read."""
    try:
        table = tomllib.loads(read_small_file(path, FILE_BYTES_MAX).decode())
    # ValueError: too long, no TOML, no UTF-8, or a number that int() refuses; RecursionError: thousands of brackets.
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    for name, value in table.items():
        if name not in SETTING_NAMES:
            if isinstance(value, dict):
                raise ConfigError(f"{path}: unknown setting {name!r}, a table: expected settings without tables")
            raise ConfigError(f"{path}: unknown setting {name!r}: {_suggestion(name, SETTING_NAMES)}")
    return Layer(table, lambda _: str(path), lambda name: f"{path}: {name}")


def from_environment(environ: Mapping[str, str]) -> Layer:
    """Collect the L3BOOK_* variables. Raises ConfigError for one that is no setting."""
    values: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(ENV_PREFIX) or variable in _OTHER_VARIABLES or variable.startswith(_OTHER_PREFIXES):
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if _variable(name) != variable or name not in SETTING_NAMES:
            known = (*map(_variable, SETTING_NAMES), *sorted(_OTHER_VARIABLES))
            raise ConfigError(f"unknown environment variable {variable}: {_suggestion(variable, known, ENV_PREFIX)}")
        values[name] = value
    return Layer(values, _variable, _variable)


def from_flags(flags: Mapping[str, object]) -> Layer:
    """Take what the command line gave; None was not given."""
    return Layer({name: value for name, value in flags.items() if value is not None}, _flag, _flag)


def _variable(name: str) -> str:
    return ENV_PREFIX + name.upper()


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Say what was meant, perhaps; the prefix that all names share would make everything look alike."""
    for secret in SECRET_VARIABLES:
        if "key" in name.lower() and name.lower() in secret.lower():
            return f"expected it as {secret} or {secret}{FILE_SUFFIX}, in the environment only"
    names = {candidate.removeprefix(prefix): candidate for candidate in known}
    near = meant(name.removeprefix(prefix), names)
    return f"did you mean {names[near]}?" if near else f"expected one of {', '.join(names.values())}"
