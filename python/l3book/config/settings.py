"""Every setting: its default, its range, its meaning."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, cast
from urllib.parse import urlsplit

from platformdirs import user_data_dir
from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from l3book.digits import whole_number
from l3book.history.uri import check_store_uri
from l3book.logs import LOG_FORMATS, LOG_LEVELS

PORT_MAX = 65_535
DEPTH_LIMIT = 10_000
BUDGET_S_MAX = 31 * 86_400
DISK_BYTES_MAX = 1 << 50
TIMEOUT_S_MAX = 3600
ANY = "*"

CONTRADICTION = "contradiction"
"""The type of an error that lies between two settings; its context has `setting` and `expected`."""
ALTERNATIVES = "alternatives"
"""The type of an error of two settings of which only one can be; its context has both, `setting` and `other`."""

# RFC 6454: scheme, host, port, and nothing after them.
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9._-]+")


class Expected(str):
    """Stands beside a type and says in words what a value has to be."""

    __slots__ = ()


def _number(value: object) -> object:
    number = whole_number(value) if isinstance(value, str) else None
    return value if number is None else number


def _flag(value: object) -> object:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return known.get(value.lower(), value) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _names(value: object) -> object:
    """Take a list as TOML has it, or text with commas between the names, as variables have it."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")] if value else []
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError("no list of names")
    return tuple(name.lower() for name in value)


def _all_match(pattern: re.Pattern[str], names: Iterable[str]) -> None:
    for name in names:
        if name != ANY and not pattern.fullmatch(name):
            raise ValueError(name)


def _origins(names: tuple[str, ...]) -> tuple[str, ...]:
    _all_match(_ORIGIN, names)
    return names


def _hosts(names: tuple[str, ...]) -> tuple[str, ...]:
    _all_match(_HOST, names)
    return names


Whole: TypeAlias = Annotated[int, BeforeValidator(_number), Field(strict=True)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag), Field(strict=True), Expected("true or false")]
Text: TypeAlias = Annotated[str, Field(strict=True, min_length=1), Expected("text")]
OptionalText: TypeAlias = Annotated[str, Field(strict=True), Expected("text, or nothing")]
LogLevel: TypeAlias = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(_lower),
    Expected("one of " + ", ".join(LOG_LEVELS)),
]
LogFormat: TypeAlias = Annotated[
    Literal["auto", "text", "json"],
    BeforeValidator(_lower),
    Expected("one of " + ", ".join(LOG_FORMATS)),
]
OptionalPath: TypeAlias = Annotated[
    Path | None,
    BeforeValidator(lambda value: None if value == "" else value),
    Expected("a path, or nothing"),
]
Origins: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    AfterValidator(_origins),
    Expected("origins like https://desk.example, or *"),
]
Hosts: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    AfterValidator(_hosts),
    Expected("host names without a port, or *"),
]


def _store_uri(uri: str) -> str:
    check_store_uri(uri)
    return uri


StoreUri: TypeAlias = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_store_uri),
    Expected("the URI of a store, without a password"),
]


def _otlp_endpoint(url: str) -> str:
    parts = urlsplit(url)
    # A password would be shown by `config show`; headers are for that (OTEL_EXPORTER_OTLP_HEADERS).
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query):
        raise ValueError(url)
    return url


OtlpEndpoint: TypeAlias = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_otlp_endpoint),
    Expected("a URL like http://127.0.0.1:4318, without a password, or nothing"),
]


def _state_dir() -> Path:
    try:
        return Path(user_data_dir("l3book", appauthor=False))
    except RuntimeError:
        # A user without a home, as a container may have.
        return Path("l3book-state")


class Settings(BaseSettings):
    """Everything that can be set, with its default. Made without `layers`, it reads nothing but its arguments."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    source: Text = "synthetic:"
    """URI the server reads from."""
    host: Text = "127.0.0.1"
    """Address to listen on; anything but loopback needs API keys or allow_unauthenticated."""
    port: Whole = Field(8000, ge=0, le=PORT_MAX)
    """TCP port; 0 picks a free one."""
    gateway: OptionalText = ""
    """HOST:PORT that a live source connects to instead of Databento's own address."""
    reconnect_budget_s: Whole = Field(300, ge=0, le=BUDGET_S_MAX)
    """A source that cannot be reconnected to for so long has failed; 0: never."""
    replay_range_s: Whole = Field(86_400, ge=0, le=BUDGET_S_MAX)
    """How far back a live service replays; after a longer loss the books are asked for anew."""
    log_level: LogLevel = "info"
    """debug, info, warning or error."""
    log_format: LogFormat = "auto"
    """Log lines as text or as JSON; auto: as text on a terminal, as JSON elsewhere."""
    access_log: Flag = False
    """Log every request and every socket's end."""
    otlp_endpoint: OtlpEndpoint = ""
    """URL of an OpenTelemetry collector (OTLP over HTTP) that traces are sent to; none: nothing is traced."""
    debug: Flag = False
    """Watch the event loop: what holds it up is logged. Costs speed, and shows the inside."""
    depth_default: Whole = Field(10, ge=1, le=DEPTH_LIMIT)
    """Levels each side of a book answer when the request names none."""
    depth_max: Whole = Field(DEPTH_LIMIT, ge=1, le=DEPTH_LIMIT)
    """The most levels of a book answer; depth=all is refused where this is below the default."""

    state_dir: Annotated[Path, Expected("a path")] = Field(default_factory=_state_dir)
    """Folder of state.db: API keys, and answers kept for repeated requests."""
    allow_unauthenticated: Flag = False
    """Serve everybody who can reach the address. For a container's own network, not for a public one."""
    tls_cert: OptionalPath = None
    """Certificate chain in PEM; with tls_key, the server speaks TLS."""
    tls_key: OptionalPath = None
    """Private key of tls_cert in PEM, without a password."""
    allowed_hosts: Hosts = ()
    """Host names the server answers to on loopback beside this machine's own; *: any."""
    origins: Origins = ()
    """Origins whose pages may open WebSockets; none: the server's own only."""
    cors_origins: Origins = ()
    """Origins whose pages may read the answers of REST."""
    ticket_s: Whole = Field(30, ge=1, le=TIMEOUT_S_MAX)
    """How long a ticket for a WebSocket is good."""

    requests_per_s_max: Whole = Field(20_000, ge=0, le=1_000_000)
    """Requests a second of one key, or of one address without a key; 0: any number."""
    body_bytes_max: Whole = Field(1_048_576, ge=1024, le=67_108_864)
    """The longest body of a request."""
    request_header_timeout_s: Whole = Field(10, ge=1, le=TIMEOUT_S_MAX)
    """A request's head has to be complete within this time."""
    request_body_timeout_s: Whole = Field(10, ge=1, le=TIMEOUT_S_MAX)
    """A request's body has to be complete within this time."""
    connections_max: Whole = Field(10_000, ge=1, le=1_000_000)
    """Connections open at once, of HTTP and of WebSockets; for one more the longest idle one is closed."""
    connections_per_address_max: Whole = Field(4000, ge=1, le=1_000_000)
    """Of them, those of one address."""
    idempotency_hours: Whole = Field(24, ge=1, le=8760)
    """How long the answer to a request with an Idempotency-Key is kept."""

    sockets_max: Whole = Field(5000, ge=1, le=100_000)
    """WebSockets open at once."""
    sockets_per_key_max: Whole = Field(2000, ge=1, le=100_000)
    """WebSockets of one key, or of one address without a key."""
    subscriptions_per_socket_max: Whole = Field(200, ge=1, le=10_000)
    """Subscriptions of one WebSocket."""
    subscriptions_per_key_max: Whole = Field(20_000, ge=1, le=1_000_000)
    """Subscriptions of one key, over all its WebSockets."""
    whole_books_per_key_max: Whole = Field(256, ge=1, le=100_000)
    """Of them, those that keep a whole book: orders, dbn, and depth of more than 100 levels."""
    socket_ops_per_s_max: Whole = Field(1000, ge=0, le=1_000_000)
    """Operations a second of one WebSocket; 0: any number. Each also counts as a request of its key or address."""
    message_bytes_max: Whole = Field(65_536, ge=1024, le=16_777_216)
    """The longest message of a client."""
    socket_queue_messages_max: Whole = Field(64, ge=1, le=65_536)
    """Messages that wait for one client."""
    socket_queue_bytes_max: Whole = Field(8_388_608, ge=65_536, le=1_073_741_824)
    """Bytes that wait for one client."""
    slow_consumer_timeout_s: Whole = Field(10, ge=1, le=TIMEOUT_S_MAX)
    """A client that stays behind for so long is closed with 1008."""

    history: OptionalPath = None
    """Folder of the history; unless given, one for each source in the platform's place for data."""
    no_history: Flag = False
    """Record nothing: the past cannot be asked for."""
    history_store: StoreUri = "sqlite:"
    """Where the tables derived from the log are kept: docs/history.md."""
    history_fsync_ms: Whole = Field(500, ge=1, le=60_000)
    """What was recorded is on disk after so long at most."""
    history_fsync_records: Whole = Field(65_536, ge=1, le=16_777_216)
    """It is also written to disk after so many records."""
    history_queue_bytes_max: Whole = Field(67_108_864, ge=1_048_576, le=4_294_967_296)
    """Bytes that wait to be written; beyond them, the log has a hole."""
    history_wait_ms: Whole = Field(200, ge=0, le=60_000)
    """A live source waits so long for a slow disk before there is a hole; others wait until there is room."""
    history_segment_bytes_max: Whole = Field(268_435_456, ge=65_536, le=DISK_BYTES_MAX)
    """The longest file of the log."""
    history_checkpoint_records: Whole = Field(1_000_000, ge=1000, le=1_000_000_000)
    """Records between two checkpoints: what has to be read for a book of the past, at most."""
    history_days_max: Whole = Field(0, ge=0, le=36_500)
    """Older segments are deleted; 0: none for its age."""
    history_bytes_max: Whole = Field(20_000_000_000, ge=0, le=DISK_BYTES_MAX)
    """Of a larger history, the oldest segments are deleted; 0: none for its size."""

    replays_max: Whole = Field(16, ge=0, le=1000)
    """Replays that run at once, each with a copy of all books."""
    replays_per_key_max: Whole = Field(4, ge=0, le=1000)
    """Replays of one key, or of one address without a key."""
    replay_idle_timeout_s: Whole = Field(300, ge=1, le=86_400)
    """A replay that no socket is in and nobody asks for ends after so long."""
    exports_max: Whole = Field(16, ge=1, le=1000)
    """Exported files that are kept; beyond, the oldest is removed."""
    export_bytes_max: Whole = Field(1_073_741_824, ge=1024, le=1_099_511_627_776)
    """The longest file of an export."""

    ready_lag_ms_max: Whole = Field(0, ge=0, le=86_400_000)
    """A live source further behind than this makes the server not ready; 0: never."""
    drain_delay_s: Whole = Field(0, ge=0, le=TIMEOUT_S_MAX)
    """After SIGTERM, /readyz says no for so long before connections are refused."""
    shutdown_timeout_s: Whole = Field(5, ge=1, le=TIMEOUT_S_MAX)
    """Requests under way at the end get so long to finish."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the signature is pydantic-settings'
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the sources from the argument `layers`, the strongest first, instead of pydantic-settings' own.

        Its own would take a mistyped variable or a missing file without a word, and do not tell where a value is from.
        """
        layers = cast("InitSettingsSource", init_settings).init_kwargs.pop("layers", ())
        return (init_settings, *(_LayerSource(settings_cls, layer) for layer in layers))

    @model_validator(mode="after")
    def _check_between_settings(self) -> "Settings":
        if self.depth_default > self.depth_max:
            raise _contradiction("depth_default", f"at most depth_max ({self.depth_max})")
        if self.no_history and self.history:
            context = {"setting": "no_history", "other": "history"}
            raise PydanticCustomError(ALTERNATIVES, "{setting} and {other}: expected one of them", context)
        if self.tls_cert and not self.tls_key:
            raise _contradiction("tls_cert", "tls_key with it")
        if self.tls_key and not self.tls_cert:
            raise _contradiction("tls_key", "tls_cert with it")
        return self


class _LayerSource(PydanticBaseSettingsSource):
    """One layer, for pydantic-settings to merge with the others."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Return the value as it was given."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All of them."""
        return dict(self._values)


def _contradiction(setting: str, expected: str) -> PydanticCustomError:
    context = {"setting": setting, "expected": expected}
    return PydanticCustomError(CONTRADICTION, "{setting}: expected {expected}", context)


SETTING_NAMES = tuple(Settings.model_fields)

RELOADABLE = frozenset(
    {
        "log_level",
        "access_log",
        "requests_per_s_max",
        "body_bytes_max",
        "request_header_timeout_s",
        "request_body_timeout_s",
        "connections_max",
        "connections_per_address_max",
        "sockets_max",
        "sockets_per_key_max",
        "subscriptions_per_socket_max",
        "subscriptions_per_key_max",
        "whole_books_per_key_max",
        "socket_ops_per_s_max",
        "message_bytes_max",
        "socket_queue_messages_max",
        "socket_queue_bytes_max",
        "slow_consumer_timeout_s",
        "ready_lag_ms_max",
    }
)
"""What a running server takes over on SIGHUP; everything else needs a restart."""


def expected_of(setting: str) -> str:
    """Say what a value of the setting has to be."""
    metadata = Settings.model_fields[setting].metadata
    for item in metadata:
        if isinstance(item, Expected):
            return str(item)
    low = next(item.ge for item in metadata if hasattr(item, "ge"))
    high = next(item.le for item in metadata if hasattr(item, "le"))
    return f"a whole number from {low} to {high}"
