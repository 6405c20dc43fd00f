"""Serve the books of a source over HTTP, with a page that shows them."""

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError, cannot_use

if TYPE_CHECKING:
    from socket import socket

    from l3book.access.guard import Guard
    from l3book.config import Settings
    from l3book.shutdown import Shutdown
    from l3book.sources import AnySource

NS_PER_MS = 1_000_000

UNAUTHENTICATED = (
    "there are no API keys: expected 127.0.0.1, or a key (`l3book keys create`), or L3BOOK_ALLOW_UNAUTHENTICATED=1 to "
    "serve everybody who can reach it"
)
ENGINE_JOIN_TIMEOUT_S = 5.0
"""The engine gets this long to finish the chunk it is at."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options without a default here: the settings' other layers come below the command line."""
    parser.add_argument(
        "--source",
        metavar="URI",
        help="synthetic:[?instruments=&rate=&seed=], file:PATH[?speed=X or rate=N], tcp://HOST:PORT or "
        "live://DATASET?symbols=…&stype_in=…[&snapshot=1 or start=] (default: synthetic:)",
    )
    parser.add_argument("--gateway", metavar="HOST:PORT", help="where a live source connects to")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", help="TCP port, 0 for any free one (default: 8000)")
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error (default: info)")
    layer = parser.add_mutually_exclusive_group()
    layer.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML (default: $L3BOOK_CONFIG)")
    layer.add_argument("--env", metavar="NAME", help="dev, staging or prod: config/NAME.toml (default: $L3BOOK_ENV)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; -> 0 after an orderly shutdown."""
    settings = load_settings(
        arguments.config,
        arguments.env,
        {name: getattr(arguments, name) for name in ("source", "gateway", "host", "port", "log_level")},
    )
    from l3book import telemetry
    from l3book.listening import ListenError, address_of, is_public, listen
    from l3book.shutdown import Shutdown

    telemetry.setup(settings.log_level)
    shutdown = Shutdown()
    shutdown.install()
    source = _open(settings.source, settings.gateway or None)
    guard = _guard(settings)
    try:
        is_open_to_all = settings.allow_unauthenticated or guard.keys.are_needed()
        listener = listen(settings.host, settings.port, public_refusal=None if is_open_to_all else UNAUTHENTICATED)
    except ListenError as error:
        raise CommandError(str(error)) from None
    with listener, contextlib.closing(guard):
        if is_public(listener) and not guard.keys.are_needed():
            print(
                f"l3book: warning: http://{address_of(listener)} is served to everybody who can reach it, "
                "without authentication",
                file=sys.stderr,
            )
        return _serve(settings, source, shutdown, listener, guard)


def load_settings(config: Path | None, env: str | None, overrides: dict[str, object] | None = None) -> "Settings":
    """All layers of the settings; what is wrong with one of them ends the command."""
    from l3book.config import ConfigError, environment_file, load

    environ = os.environ
    if config is None and env is None:
        config = Path(environ["L3BOOK_CONFIG"]) if environ.get("L3BOOK_CONFIG") else None
        env = None if config else environ.get("L3BOOK_ENV") or None
    try:
        file = environment_file(env) if env else config
        return load(file=file, environ=environ, overrides=overrides)
    except ConfigError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise cannot_use(error.filename, error) from None


def _open(uri: str, gateway: str | None) -> "AnySource":
    from l3book import DecodeError
    from l3book.sources import SourceError, open_source

    try:
        return open_source(uri, gateway)
    except SourceError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"source {uri!r}: {error.strerror or error}") from None
    except DecodeError as error:
        raise CommandError(f"source {uri!r}: {error}", EXIT_ANSWER_IS_NO) from None


def _guard(settings: "Settings") -> "Guard":
    from l3book.access.guard import Guard
    from l3book.access.state_file import StateError

    try:
        return Guard(settings)
    except StateError as error:
        raise CommandError(str(error)) from None


def _serve(settings: "Settings", source: "AnySource", shutdown: "Shutdown", listener: "socket", guard: "Guard") -> int:
    from l3book import Market, __version__
    from l3book.api.app import create_app
    from l3book.api.hosts import own_hosts
    from l3book.api.server import Server
    from l3book.engine import Engine
    from l3book.feed.options import FeedOptions
    from l3book.hub import Hub
    from l3book.listening import address_of, is_public
    from l3book.sources import is_connector

    url = f"http://{address_of(listener)}"
    # Clients notice a restart by the epoch, so it must be one that no earlier run had.
    market = Market(epoch=time.time_ns() // NS_PER_MS, watch=is_connector(source))
    engine = Engine(source, market, FeedOptions(settings.reconnect_budget_s, settings.replay_range_s))
    hub = Hub(market, engine)

    def on_accepting() -> None:
        hub.loop_lag.start()
        guard.start()
        print(f"l3book {__version__}: listening on {url} (source {source.uri})", file=sys.stderr, flush=True)

    # Whoever is reached from elsewhere is called by names that are not known here; there, keys keep strangers out.
    hosts = None if settings.allow_unauthenticated or is_public(listener) else own_hosts(listener, settings.host)
    server = Server(create_app(hub, settings, guard, hosts), listener, on_accepting)

    def on_signal() -> None:
        hub.begin_shutdown()
        server.should_exit = True

    shutdown.call(on_signal)
    engine.start()
    hub.start()
    try:
        server.serve_until_shutdown()
    finally:
        hub.stop()
        engine_ended = engine.stop(ENGINE_JOIN_TIMEOUT_S)
    if not engine_ended:
        raise CommandError(
            f"source {source.uri}: still busy {ENGINE_JOIN_TIMEOUT_S:g} s after it was closed",
            EXIT_ANSWER_IS_NO,
        )
    return 0
