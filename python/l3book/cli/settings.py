"""Settings as commands take them: the options for them, and all layers loaded."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from l3book.cli.errors import CommandError, cannot_use
from l3book.cli.sources_help import SOURCES

if TYPE_CHECKING:
    from l3book.config import Loaded

FLAGS = (
    "source",
    "gateway",
    "host",
    "port",
    "log_level",
    "log_format",
    "otlp_endpoint",
    "state_dir",
    "history",
    "no_history",
    "tls_cert",
    "tls_key",
)


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """Options without a default here: the settings' other layers come below the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = SOURCES
    parser.add_argument("--source", metavar="URI", help="where to read from, see below (default: synthetic:)")
    parser.add_argument("--gateway", metavar="HOST:PORT", help="where a live source connects to")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", help="TCP port, 0 for any free one (default: 8000)")
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error (default: info)")
    parser.add_argument("--log-format", metavar="FORM", help="auto, text or json (default: auto)")
    parser.add_argument("--otlp-endpoint", metavar="URL", help="send traces to this collector (OTLP over HTTP)")
    parser.add_argument("--state-dir", metavar="DIR", help="keys and stored answers (default: the platform's place)")
    parser.add_argument(
        "--history", metavar="DIR", help="folder to record to (default: one a source, in the platform's)"
    )
    parser.add_argument(
        "--no-history", action="store_true", default=None, help="record nothing: the past cannot be asked for"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain in PEM: serve https")
    parser.add_argument("--tls-key", metavar="FILE", help="its private key in PEM")
    add_layer_arguments(parser)


def add_layer_arguments(parser: argparse.ArgumentParser) -> None:
    """Which files the settings are read from."""
    parser.add_argument(
        "--env", metavar="NAME", help="dev, staging or prod: config/NAME.toml, or the package's (default: $L3BOOK_ENV)"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in TOML, above those of --env (default: $L3BOOK_CONFIG)"
    )


def load_settings(arguments: argparse.Namespace | None = None) -> "Loaded":
    """All layers of the settings; what is wrong with one of them ends the command."""
    from l3book.config import ConfigError, load

    given = vars(arguments) if arguments else {}
    try:
        return load(
            env=given.get("env"),
            file=given.get("config"),
            environ=os.environ,
            flags={name: given.get(name) for name in FLAGS},
        )
    except ConfigError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise cannot_use(error.filename, error) from None
