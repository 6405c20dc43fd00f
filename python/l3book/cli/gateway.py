"""Serve DBN files as a live feed, for live clients to be tested against: Databento's protocol, or bare DBN over TCP."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError, cannot_use, check_input_file
from l3book.cli.logging_options import add_log_arguments, log_arguments
from l3book.cli.numbers import WholeNumber
from l3book.gateway.faults import LASTING_KINDS, ONE_OFF_KINDS, FaultError, FaultRule, parse_fault
from l3book.gateway.keys import BUCKET_LENGTH, KeyFormatError, KeyRing, check_key, make_key
from l3book.logs import Logger
from l3book.secret import SecretError, read_secret
from l3book.sources.pacing import RATE_MAX

if TYPE_CHECKING:
    from socket import socket

    from l3book.gateway.options import Options
    from l3book.gateway.server import Gateway

KEYS_VARIABLE = "L3BOOK_GATEWAY_KEYS"
PORT_DEFAULT = 13_000
PORT_MAX = 65_535
SESSIONS_MAX = 10_000
AUTH_TIMEOUT_S_MAX = 3600
SPEED_MIN, SPEED_MAX = 1e-6, 1e6
SEED_MAX = 2**64 - 1

_UNAUTHENTICATED = (
    "the raw protocol asks nobody who they are: expected 127.0.0.1, or --allow-unauthenticated to serve everybody who "
    "can reach it"
)
_NO_KEYS = f"no key is configured: expected 127.0.0.1, or keys in --key or {KEYS_VARIABLE}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _fault_help()
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".dbn or .dbn.zst, one after the other")
    parser.add_argument(
        "--protocol",
        choices=("lsg", "raw"),
        default="lsg",
        help="lsg: Databento's live protocol (default); raw: bare DBN",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port",
        type=WholeNumber(0, PORT_MAX),
        default=PORT_DEFAULT,
        help="TCP port, 0 for any free one (default: 13000)",
    )
    parser.add_argument(
        "--key", action="append", default=[], metavar="K", help=f"a key that is let in; also from {KEYS_VARIABLE}"
    )
    parser.add_argument(
        "--spared-key", action="append", default=[], metavar="K", help="a key that is let in and sees no faults"
    )
    parser.add_argument(
        "--allow-unauthenticated", action="store_true", help="raw: serve everybody who can reach the address"
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--speed", type=_speed, metavar="X", help="X times as fast as recorded (default: 1)")
    pace.add_argument(
        "--rate", type=_rate, metavar="N", help="N records of the recording per second (500000 or 500000/s)"
    )
    pace.add_argument("--max", action="store_true", help="as fast as each client reads")
    parser.add_argument("--shared-clock", action="store_true", help="one clock for all sessions, not one for each")
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument("--as-if-now", action="store_true", help="new times: as if it were happening now")
    parser.add_argument(
        "--sessions-max",
        type=WholeNumber(1, SESSIONS_MAX),
        default=64,
        metavar="N",
        help="sessions at once (default: 64)",
    )
    parser.add_argument(
        "--auth-timeout",
        type=WholeNumber(1, AUTH_TIMEOUT_S_MAX),
        default=30,
        metavar="S",
        help="seconds a client has to authenticate (default: 30)",
    )
    parser.add_argument(
        "--fault", action="append", type=_fault, default=[], metavar="FAULT", help="repeatable; see below"
    )
    parser.add_argument(
        "--seed", type=WholeNumber(0, SEED_MAX), default=1, metavar="S", help="same seed, same faults (default: 1)"
    )
    add_log_arguments(parser, level="info")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; -> 0 after an orderly end."""
    _check(arguments)
    keys, generated = _keys(arguments)
    for path in arguments.files:
        check_input_file(path)
    from l3book import telemetry
    from l3book.listening import ListenError, is_public, listen
    from l3book.shutdown import Shutdown

    telemetry.setup(arguments.log_level, form=arguments.log_format)
    shutdown = Shutdown()
    shutdown.install()
    try:
        listener = listen(arguments.host, arguments.port, public_refusal=lambda: _public_refusal(arguments, generated))
    except ListenError as error:
        raise CommandError(str(error)) from None
    with listener:
        if arguments.protocol == "raw" and is_public(listener):
            telemetry.announce("everybody who can reach the address is served, without a key", is_warning=True)
        gateway = _open(arguments, listener, keys)
        shutdown.call(gateway.stop)
        _announce(arguments, gateway, listener, generated)
        gateway.serve()
    _print_totals(gateway)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    arguments.log_level, arguments.log_format = log_arguments(arguments)
    if arguments.shared_clock and not (arguments.rate or arguments.speed):
        raise CommandError("--shared-clock without a pace: expected --rate or --speed with it")
    if arguments.shared_clock and arguments.loop and not (arguments.rate or arguments.as_if_now):
        raise CommandError(
            "--shared-clock --loop --speed: recorded times come again in every pass: expected --as-if-now with it"
        )
    if arguments.protocol == "raw" and (arguments.key or arguments.spared_key):
        raise CommandError("--key with --protocol raw: the raw protocol has no keys: expected --protocol lsg")


def _keys(arguments: argparse.Namespace) -> tuple[KeyRing, str | None]:
    """Collect the keys; -> them, and the one that was made because there was none."""
    if arguments.protocol == "raw":
        return KeyRing(()), None
    try:
        given = [check_key(key, "--key") for key in arguments.key]
        spared = [check_key(key, "--spared-key") for key in arguments.spared_key]
        configured = "".join(read_secret(KEYS_VARIABLE).split())
        given += [check_key(key, KEYS_VARIABLE) for key in filter(None, configured.split(","))]
    except (KeyFormatError, SecretError) as error:
        raise CommandError(str(error)) from None
    if not set(spared).isdisjoint(given):
        raise CommandError(f"--spared-key: a key that is also in --key or {KEYS_VARIABLE}: expected it in one of them")
    generated = None if given or spared else make_key()
    return KeyRing([*given, generated] if generated else given, spared), generated


def _public_refusal(arguments: argparse.Namespace, generated: str | None) -> str | None:
    if arguments.protocol == "raw":
        return None if arguments.allow_unauthenticated else _UNAUTHENTICATED
    return _NO_KEYS if generated else None


def _open(arguments: argparse.Namespace, listener: "socket", keys: KeyRing) -> "Gateway":
    from l3book._core import DecodeError
    from l3book.gateway.server import Gateway

    try:
        return Gateway(listener, arguments.files, _options(arguments), keys)
    except DecodeError as error:
        raise CommandError(str(error), EXIT_ANSWER_IS_NO) from None
    except ValueError as error:
        raise CommandError(str(error), EXIT_ANSWER_IS_NO) from None
    except OSError as error:
        raise cannot_use(error.filename or ", ".join(map(str, arguments.files)), error) from None


def _options(arguments: argparse.Namespace) -> "Options":
    from l3book.gateway.clock import Pace
    from l3book.gateway.options import Options

    speed = None if arguments.max or arguments.rate else arguments.speed or 1.0
    return Options(
        protocol=arguments.protocol,
        pace=Pace(speed=speed, rate=arguments.rate),
        shared_clock=arguments.shared_clock,
        loop=arguments.loop,
        as_if_now=arguments.as_if_now,
        sessions_max=arguments.sessions_max,
        faults=tuple(arguments.fault),
        seed=arguments.seed,
        auth_timeout_s=arguments.auth_timeout,
    )


def _announce(arguments: argparse.Namespace, gateway: "Gateway", listener: "socket", generated: str | None) -> None:
    from l3book import telemetry
    from l3book._core import __version__
    from l3book.listening import address_of

    host, port = listener.getsockname()[:2]
    names = ", ".join(str(path) for path in arguments.files)
    what = f"{names}, dataset {gateway.dataset}, schema {gateway.schema}"
    if arguments.protocol == "raw":
        client = f"l3book serve --source tcp://{address_of(listener)}"
    else:
        key = f"key={generated!r}, " if generated else ""
        client = f"databento.Live({key}gateway={host!r}, port={port})"
        if not generated:
            client += "  # DATABENTO_API_KEY: one of the gateway's keys"
    address = address_of(listener)
    text = f"l3book {__version__}: gateway listening on {address} ({what})\nclient: {client}"
    telemetry.announce(text, version=__version__, address=address, dataset=gateway.dataset, schema=gateway.schema)
    Logger("l3book.gateway").info("{protocol} {pace}", protocol=arguments.protocol, pace=_pace_text(arguments))


def _pace_text(arguments: argparse.Namespace) -> str:
    pace = "as fast as clients read" if arguments.max else f"speed {arguments.speed or 1:g}"
    pace = f"{arguments.rate} records/s" if arguments.rate else pace
    chosen = [name for name in ("shared_clock", "loop", "as_if_now") if getattr(arguments, name)]
    faults = [f"fault {rule.text}" for rule in arguments.fault]
    return ", ".join([pace, *(name.replace("_", " ") for name in chosen), *faults])


def _print_totals(gateway: "Gateway") -> None:
    from l3book import telemetry

    totals = dict(gateway.totals)
    shown = [f"{totals.pop(name, 0):,} {name}" for name in ("sessions", "refused", "records", "bytes")]
    shown += [f"{name} {times:,}" for name, times in sorted(totals.items())]
    telemetry.announce(f"l3book gateway ended: {', '.join(shown)}", totals=dict(gateway.totals))


def _fault_help() -> str:
    lines = [
        "Faults: KIND@N once, in the first session that has sent N data records; KIND~N again and again, N apart on",
        "average. N may be seconds: drop-connection~5s. What a kind takes follows a colon: gap~100000:5:silent.",
        "",
        *(f"  {kind:16} {text}" for kind, text in ONE_OFF_KINDS.items()),
        "",
        "Faults that last for the whole session:",
        "",
        *(f"  {kind:16} {text}" for kind, text in LASTING_KINDS.items()),
        "",
        f"The last {BUCKET_LENGTH} characters of a key are no secret: they travel, and logs show them.",
    ]
    return "\n".join(lines)


def _rate(text: str) -> int:
    return WholeNumber(1, RATE_MAX)(text.removesuffix("/s"))


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if SPEED_MIN <= speed <= SPEED_MAX:
        return speed
    raise argparse.ArgumentTypeError(f"{text!r}: expected a number from {SPEED_MIN:g} to {SPEED_MAX:g}")


def _fault(text: str) -> FaultRule:
    try:
        return parse_fault(text)
    except FaultError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
