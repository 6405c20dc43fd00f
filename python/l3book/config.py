"""Settings in layers: defaults, then a TOML file, then L3BOOK_* variables, then the command line."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from l3book.digits import whole_number
from l3book.telemetry import LOG_LEVELS

ENV_PREFIX = "L3BOOK_"
ENVIRONMENTS = ("dev", "staging", "prod")
CONFIG_FOLDER = Path("config")
PORT_MAX = 65_535
DEPTH_LIMIT = 10_000
BUDGET_S_MAX = 31 * 86_400

# Variables with our prefix that are no settings: where to find those, secrets, which no settings file should hold and
# `config show` never sees, and what tests and benchmarks read.
_OTHER_VARIABLES = frozenset({"L3BOOK_CONFIG", "L3BOOK_ENV", "L3BOOK_GATEWAY_KEYS"})
_OTHER_PREFIXES = ("L3BOOK_TEST_", "L3BOOK_BENCH_")


class ConfigError(ValueError):
    """A setting that is unknown or wrong; the text says where it came from and what was expected."""


def _platform_state_dir() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("l3book"))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with its default."""

    source: str = "synthetic:"
    """URI the server reads from."""
    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs allow_unauthenticated."""
    port: int = 8000
    """TCP port; 0 picks a free one."""
    gateway: str = ""
    """HOST:PORT that a live source connects to instead of Databento's own address."""
    reconnect_budget_s: int = 300
    """A source that cannot be reconnected to for so long has failed; 0: never."""
    replay_range_s: int = 86_400
    """How far back a live service replays; after a longer loss the books are asked for anew."""
    log_level: str = "info"
    """debug, info, warning or error."""
    depth_default: int = 10
    """Levels each side of a book answer when the request names none."""
    depth_max: int = DEPTH_LIMIT
    """The most levels of a book answer; depth=all is refused where this is below the default."""
    allow_unauthenticated: bool = False
    """Serve everybody who can reach the address. For a container's own network, not for a public one."""
    state_dir: Path = field(default_factory=_platform_state_dir)
    """Folder of state.db: keys, and the answers that are given again."""
    origins: tuple[str, ...] = ()
    """Origins besides the server's own whose pages may open sockets and write."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may read the answers."""
    requests_per_s_max: int = 20_000
    """Per key and, without one, per address; 0: no limit."""
    sockets_per_key_max: int = 2000
    """Open WebSockets per key and, without one, per address."""
    sockets_max: int = 5000
    """Open WebSockets in all."""
    subscriptions_per_key_max: int = 20_000
    """Subscriptions per key and, without one, per address."""
    body_bytes_max: int = 1_048_576
    """The largest body of a request."""
    request_body_timeout_s: int = 10
    """A body that has not come whole by then is refused."""
    idempotency_hours: int = 24
    """How long an answer is kept for its Idempotency-Key."""
    ticket_s: int = 30
    """How long a ticket can be used."""


def _text(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("text")


def _text_or_none(value: object) -> str:
    return "" if value == "" else _text(value)


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        expected = f"a whole number from {low} to {high}"
        number = whole_number(value) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise ValueError(expected)
        return number

    return parse


def _flag(value: object) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise ValueError("true or false")


def _log_level(value: object) -> str:
    if isinstance(value, str) and value.lower() in LOG_LEVELS:
        return value.lower()
    raise ValueError("one of " + ", ".join(LOG_LEVELS))


def _list(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
        return tuple(part.strip() for part in parts if part.strip())
    raise ValueError("a list of texts")


_PARSERS: dict[str, Callable[[object], object]] = {
    "source": _text,
    "host": _text,
    "port": _whole(0, PORT_MAX),
    "gateway": _text_or_none,
    "reconnect_budget_s": _whole(0, BUDGET_S_MAX),
    "replay_range_s": _whole(0, BUDGET_S_MAX),
    "log_level": _log_level,
    "depth_default": _whole(1, DEPTH_LIMIT),
    "depth_max": _whole(1, DEPTH_LIMIT),
    "allow_unauthenticated": _flag,
    "state_dir": lambda value: Path(_text(value)),
    "origins": _list,
    "cors_origins": _list,
    "requests_per_s_max": _whole(0, 10**9),
    "sockets_per_key_max": _whole(1, 10**6),
    "sockets_max": _whole(1, 10**6),
    "subscriptions_per_key_max": _whole(1, 10**6),
    "body_bytes_max": _whole(1024, 2**30),
    "request_body_timeout_s": _whole(1, 3600),
    "idempotency_hours": _whole(1, 24 * 31),
    "ticket_s": _whole(1, 3600),
}

SETTING_NAMES = tuple(entry.name for entry in fields(Settings))


def load(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Settle all layers. An override that is None was not given.

    Raises ConfigError for an unknown name or a wrong value, OSError when the file cannot be read.
    """
    values: dict[str, object] = {}
    if file is not None:
        values.update(_from_file(file))
    values.update(_from_environment(environ or {}))
    for name, value in (overrides or {}).items():
        if value is not None:
            values[name] = _parse(f"--{name.replace('_', '-')}", name, value)
    settings = Settings(**values)  # type: ignore[arg-type]  # each value went through the parser of its own name
    if settings.depth_default > settings.depth_max:
        raise ConfigError(
            f"depth_default is {settings.depth_default}: expected at most depth_max ({settings.depth_max})"
        )
    return settings


def environment_file(name: str) -> Path:
    """Name the settings file of an environment, in the folder `config` of the working directory."""
    if name not in ENVIRONMENTS:
        raise ConfigError(f"environment {name!r}: expected one of {', '.join(ENVIRONMENTS)}")
    return CONFIG_FOLDER / f"{name}.toml"


def _parse(origin: str, name: str, value: object) -> object:
    try:
        return _PARSERS[name](value)
    except ValueError as error:
        raise ConfigError(f"{origin} is {_shown(value)}: expected {error}") from None


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:
        return "a number of thousands of digits"


def _from_file(path: Path) -> dict[str, object]:
    with path.open("rb") as stream:
        try:
            table = tomllib.load(stream)
        # ValueError: no TOML, no UTF-8, or a number that int() refuses; RecursionError: thousands of brackets.
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: not TOML: {error}") from None
    for name in table:
        if name not in _PARSERS:
            raise ConfigError(f"{path}: unknown setting {name!r}: expected one of {', '.join(SETTING_NAMES)}")
    return {name: _parse(f"{path}: {name}", name, value) for name, value in table.items()}


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for variable, value in environ.items():
        if not variable.startswith(ENV_PREFIX) or variable in _OTHER_VARIABLES or variable.startswith(_OTHER_PREFIXES):
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if name not in _PARSERS:
            known = ", ".join(ENV_PREFIX + setting.upper() for setting in SETTING_NAMES)
            raise ConfigError(f"unknown environment variable {variable}: expected one of {known}")
        values[name] = _parse(variable, name, value)
    return values
