"""Serve the books of a source over HTTP, with a page that shows them."""

import argparse
import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError, cannot_use
from l3book.cli.opening import open_as_said
from l3book.cli.settings import add_settings_arguments, load_settings
from l3book.logs import Logger

if TYPE_CHECKING:
    from socket import socket

    from l3book.access.guard import Guard
    from l3book.config import Loaded, Settings
    from l3book.history.beginning import Beginning
    from l3book.history.past import History
    from l3book.history.recording import AnyRecording
    from l3book.reloading import Reloading
    from l3book.shutdown import Shutdown
    from l3book.sources import AnySource

log = Logger(__name__)

NS_PER_MS = 1_000_000

ENGINE_JOIN_TIMEOUT_S = 5.0
"""The engine gets this long to finish the chunk it is at."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the settings, and nothing else."""
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; -> 0 after an orderly shutdown."""
    loaded = _load(arguments)
    settings = loaded.settings
    from l3book import telemetry
    from l3book.listening import ListenError, address_of, is_public
    from l3book.reloading import Reloading
    from l3book.shutdown import Shutdown

    telemetry.setup(settings.log_level, form=settings.log_format)
    shutdown = Shutdown()
    shutdown.install()
    reloading = Reloading(loaded, lambda: _load(arguments))
    reloading.install()
    _check_folder(settings)
    source = open_as_said(settings.source, settings.gateway or None)
    with contextlib.closing(_guard(settings)) as guard:
        try:
            listener = listen_as_set(loaded, guard.keys.are_needed)
        except ListenError as error:
            raise CommandError(str(error)) from None
        with listener:
            if is_public(listener) and not guard.keys.are_needed():
                telemetry.announce(
                    f"{scheme(settings)}://{address_of(listener)} is served to everybody who can reach it, "
                    "without authentication",
                    is_warning=True,
                )
            return _serve(settings, source, shutdown, reloading, listener, guard)


def listen_as_set(loaded: "Loaded", has_keys: Callable[[], bool]) -> "socket":
    """Listen where the settings say, if it is safe to. Raises ListenError."""
    from l3book.config.safety import is_served_to_others, public_refusal
    from l3book.listening import ListenError, bracketed, listen

    settings = loaded.settings
    if is_served_to_others(loaded) and (refusal := public_refusal(loaded, has_keys)):
        where = f"{bracketed(settings.host)}:{settings.port}"
        names = f"allowed_hosts ({loaded.origins['allowed_hosts']}) lets others come by a proxy"
        raise ListenError(f"{where}: {names}, and {refusal}")
    return listen(
        settings.host,
        settings.port,
        public_refusal=lambda: public_refusal(loaded, has_keys),
    )


def scheme(settings: "Settings") -> str:
    """Tell what the server's URL begins with."""
    return "https" if settings.tls_cert else "http"


def _load(arguments: argparse.Namespace) -> "Loaded":
    """Load the settings, if a server may start with them."""
    loaded = load_settings(arguments)
    from l3book.config.safety import refusal

    if unsafe := refusal(loaded):
        raise CommandError(unsafe)
    if loaded.settings.tls_cert and loaded.settings.tls_key:
        from l3book.tls import TlsError, check_certificate

        try:
            check_certificate(loaded.settings.tls_cert, loaded.settings.tls_key)
        except TlsError as error:
            raise CommandError(str(error)) from None
    return loaded


def _check_folder(settings: "Settings") -> None:
    """Refuse to record among somebody's files, before anything is created."""
    from l3book.history.folder import what_else_it_is

    if settings.no_history or settings.history is None:
        return
    if what := what_else_it_is(settings.history):
        raise CommandError(f"history {settings.history}: has {what}")


def _guard(settings: "Settings") -> "Guard":
    from l3book.access.guard import Guard
    from l3book.access.state_file import StateError

    try:
        return Guard(settings)
    except StateError as error:
        raise CommandError(str(error)) from None


def _serve(
    settings: "Settings",
    source: "AnySource",
    shutdown: "Shutdown",
    reloading: "Reloading",
    listener: "socket",
    guard: "Guard",
) -> int:
    from l3book import __version__, telemetry, tracing
    from l3book.api.app import create_app
    from l3book.api.server import Server
    from l3book.engine import Engine
    from l3book.feed.options import FeedOptions
    from l3book.hub import Hub
    from l3book.listening import address_of

    url = f"{scheme(settings)}://{address_of(listener)}"
    _trace(settings)
    _make_room(guard, settings)
    beginning = _begin(settings, source)
    recording = beginning.recording
    engine = Engine(
        source,
        beginning.market,
        FeedOptions(settings.reconnect_budget_s, settings.replay_range_s),
        recording=recording,
        lost_s=beginning.lost_s,
    )
    history = _history(settings, recording)
    hub = Hub(beginning.market, engine, settings.ready_lag_ms_max, recording, history)

    def on_accepting() -> None:
        hub.loop_lag.start()
        guard.start()
        text = f"l3book {__version__}: listening on {url} (source {source.uri})"
        telemetry.announce(text, version=__version__, url=url, source=source.uri)

    server = Server(
        create_app(hub, reloading.in_force, guard, _hosts(settings, listener)),
        listener,
        settings,
        guard.connections,
        on_accepting=on_accepting,
        on_tick=reloading.reload_if_requested,
    )

    def on_signal() -> None:
        hub.begin_shutdown()
        server.begin_shutdown()

    def on_reload(changed: "Settings") -> None:
        telemetry.set_level(changed.log_level)
        hub.ready_lag_ms_max = changed.ready_lag_ms_max
        guard.reload(changed)
        _make_room(guard, changed)
        server.take_over(changed)

    shutdown.call(on_signal)
    reloading.call(on_reload)
    recording.start()
    engine.start()
    hub.start()
    try:
        server.serve_until_shutdown()
    finally:
        hub.stop()
        engine_ended = engine.stop(ENGINE_JOIN_TIMEOUT_S)
        # What was recorded is made safe before anybody waits for long questions about it.
        unwritten = recording.stop()
        if history is not None:
            history.close()
        tracing.stop()
    if unwritten:
        raise CommandError(f"history {recording.folder}: {unwritten}", EXIT_ANSWER_IS_NO)
    if not engine_ended:
        raise CommandError(
            f"source {source.uri}: still busy {ENGINE_JOIN_TIMEOUT_S:g} s after it was closed",
            EXIT_ANSWER_IS_NO,
        )
    return 0


def _trace(settings: "Settings") -> None:
    """Begin to trace, where that is wanted; only what the setting wants and cannot be is worth not to start for."""
    from l3book import tracing

    wanted_by = tracing.wanted_by(settings.otlp_endpoint)
    if wanted_by is None:
        return
    try:
        tracing.start(settings.otlp_endpoint)
    except tracing.NotInstalledError as error:
        if wanted_by == "otlp_endpoint":
            raise CommandError(f"otlp_endpoint is {settings.otlp_endpoint!r}: {error}") from None
        log.warning("{variable} is set and nothing is traced: {error}", variable=wanted_by, error=error)
    except ValueError as error:
        raise CommandError(f"a variable of OpenTelemetry's (OTEL_…) is not understood: {error}") from None
    else:
        log.info("traces go to the collector that {wanted_by} names", wanted_by=wanted_by)


_WAYS_OUT = "l3book history verify says what is good, serve --history DIR records in another folder"


def _begin(settings: "Settings", source: "AnySource") -> "Beginning":
    from l3book import telemetry
    from l3book._core import HistoryError, HistoryLockedError
    from l3book.history.beginning import begin

    try:
        # Clients notice a restart by the epoch, so it must be one that no earlier run had.
        beginning = begin(settings, source, epoch=time.time_ns() // NS_PER_MS)
    except ValueError as error:
        raise CommandError(str(error)) from None
    except HistoryLockedError as error:
        raise CommandError(f"history {error}") from None
    except HistoryError as error:
        raise CommandError(f"history {error}; {_WAYS_OUT}") from None
    except OSError as error:
        raise cannot_use(f"history {settings.history}", error) from None
    if warning := beginning.recording.warning_in_full:
        telemetry.announce(warning, is_warning=True)
    return beginning


def _history(settings: "Settings", recording: "AnyRecording") -> "History | None":
    """Open what is recorded, to be asked."""
    if recording.folder is None:
        return None
    from l3book._core import HistoryError
    from l3book.history.past import History

    try:
        return History(recording.folder, recording.store, settings)
    except HistoryError as error:
        raise CommandError(f"history {error}; {_WAYS_OUT}") from None


def _make_room(guard: "Guard", settings: "Settings") -> None:
    """See to it that as many connections as are allowed have a file descriptor each, or that fewer are let in."""
    from l3book.open_files import make_room

    room = guard.connections.room = make_room(settings.connections_max)
    if room is not None and room < settings.connections_max:
        wanted = settings.connections_max
        text = "at most {room} connections, not {wanted}: the process may not open more files"
        log.warning(text, room=room, wanted=wanted)


def _hosts(settings: "Settings", listener: "socket") -> tuple[str, ...] | None:
    """Collect the names the server answers to. None: to any, since others reach it by names it does not know."""
    from l3book.api.hosts import own_hosts
    from l3book.config.settings import ANY
    from l3book.listening import is_public

    if settings.allow_unauthenticated or ANY in settings.allowed_hosts:
        return None
    if is_public(listener) and not settings.allowed_hosts:
        return None
    return (*own_hosts(listener, settings.host), *settings.allowed_hosts)
