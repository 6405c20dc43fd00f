"""Look at this machine and say what l3book would find missing."""

import argparse
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError
from l3book.cli.output import write_standard_output

if TYPE_CHECKING:
    from l3book.config import Settings

Finding: TypeAlias = tuple[Literal["ok", "warn", "fail"], str]

PYTHON_MIN = (3, 11)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Without arguments: the settings come from the environment, as for `serve`."""


def run(_arguments: argparse.Namespace) -> int:
    """Print one line a finding; -> 0 if none of them is a failure."""
    failed = False
    for check in (_python, _core, _page, _packages, _settings):
        for verdict, text in check():
            failed = failed or verdict == "fail"
            # Paths may hold bytes that are no text.
            write_standard_output(os.fsencode(f"{verdict:<4}  {text}\n"))
    return EXIT_ANSWER_IS_NO if failed else 0


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    yield ("ok" if sys.version_info >= PYTHON_MIN else "fail"), f"Python {version} ({sys.executable})"
    yield "ok", f"platform {platform.platform()}"


def _core() -> Iterator[Finding]:
    from l3book import _core
    from l3book._core import DEBUG_BUILD, __version__

    profile = "debug build: many times slower than it should be" if DEBUG_BUILD else "release build"
    yield ("warn" if DEBUG_BUILD else "ok"), f"l3book {__version__}, {profile}"
    yield "ok", f"Rust core loads ({_core.__file__})"
    installed = _installed("l3book")
    if installed != __version__:
        yield (
            "warn",
            f"installed package {installed or 'unknown'}, Rust core {__version__}: expected the same",
        )


def _page() -> Iterator[Finding]:
    try:
        from l3book.api.page import STATIC_FOLDER, page_is_built
    except ImportError as error:
        yield "fail", f"the page's packages do not load: {error}"
        return
    if page_is_built():
        yield "ok", f"page built ({STATIC_FOLDER})"
    else:
        yield "warn", f"page not built: no index.html in {STATIC_FOLDER}: run `make setup`"


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Finding]:
    needed = (
        "numpy",
        "starlette",
        "uvicorn",
        "httptools",
        "tenacity",
        *(() if sys.platform == "win32" else ("uvloop",)),
    )
    for package in needed:
        version = _installed(package)
        yield ("ok" if version else "fail"), f"{package} {version or 'not installed'}"
    # Optional: only live sources and conversions by the official client need it.
    yield "ok", f"databento {_installed('databento') or 'not installed (optional)'}"


def _settings() -> Iterator[Finding]:
    from l3book.cli.serve import load_settings
    from l3book.config import CONFIG_FOLDER, ENVIRONMENTS, environment_file

    try:
        settings = load_settings(None, None)
    except CommandError as error:
        yield "fail", f"settings: {error}"
        return
    chosen = os.environ.get("L3BOOK_CONFIG") or os.environ.get("L3BOOK_ENV")
    found = [str(environment_file(name)) for name in ENVIRONMENTS if environment_file(name).is_file()]
    if chosen:
        yield "ok", f"settings from {chosen}"
    elif found:
        yield "ok", f"config file found: {', '.join(found)} (choose one with --env or L3BOOK_ENV)"
    else:
        yield "warn", f"no config file in the folder {CONFIG_FOLDER} here: defaults are used"
    yield from _address(settings)


def _address(settings: "Settings") -> Iterator[Finding]:
    try:
        import_module("l3book.api.server")
    except ImportError as error:
        yield "fail", f"the server's packages do not load: {error}"
        return
    from l3book.access.key_store import has_keys
    from l3book.access.state_file import StateError
    from l3book.cli.serve import UNAUTHENTICATED
    from l3book.listening import ListenError, PortInUseError, address_of, listen

    try:
        is_open_to_all = settings.allow_unauthenticated or has_keys(settings.state_dir)
    except StateError as error:
        yield "fail", str(error)
        return
    refusal = None if is_open_to_all else UNAUTHENTICATED
    try:
        with listen(settings.host, settings.port, public_refusal=refusal) as listener:
            yield "ok", f"can listen on http://{address_of(listener)}"
    except PortInUseError as error:
        # It may well be an l3book that runs already.
        yield "warn", str(error)
    except ListenError as error:
        yield "fail", str(error)
