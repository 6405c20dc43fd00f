"""Look at this machine and say what l3book would find missing."""

import argparse
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError

Finding: TypeAlias = tuple[Literal["ok", "warn", "fail"], str]

PYTHON_MIN = (3, 11)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Without arguments: the settings come from the environment, as for `serve`."""


def run(_arguments: argparse.Namespace) -> int:
    """Print one line a finding; -> 0 if none of them is a failure."""
    failed = False
    for check in (_python, _core, _page, _packages, _settings, _address, _data_folder):
        for verdict, text in check():
            failed = failed or verdict == "fail"
            print(f"{verdict:<4}  {text}")
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
    static = Path(__file__).resolve().parent.parent / "static" / "index.html"
    if static.is_file():
        yield "ok", f"page built ({static})"
    else:
        yield "warn", f"page not built: no {static}: run `make setup`"


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Finding]:
    needed = ("numpy", "starlette", "uvicorn", "httptools", *(() if sys.platform == "win32" else ("uvloop",)))
    for package in needed:
        version = _installed(package)
        yield ("ok" if version else "fail"), f"{package} {version or 'not installed'}"
    # Optional: only live sources and conversions by the official client need it.
    yield "ok", f"databento {_installed('databento') or 'not installed (optional)'}"


def _settings() -> Iterator[Finding]:
    from l3book.cli.serve import load_settings
    from l3book.config import ENVIRONMENTS, environment_file

    try:
        load_settings(None, None)
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
        yield "warn", f"no config file in {Path.cwd() / 'config'}: defaults are used"


def _address() -> Iterator[Finding]:
    from l3book.config import Settings

    defaults = Settings()
    where = f"{defaults.host}:{defaults.port}"
    try:
        from l3book.api.server import ListenError, listen
    except ImportError as error:
        yield "fail", f"the server's packages do not load: {error}"
        return
    try:
        listen(defaults.host, defaults.port, allow_unauthenticated=False).close()
    except ListenError as error:
        yield "warn", str(error)
    else:
        yield "ok", f"can listen on {where}"


def _data_folder() -> Iterator[Finding]:
    folder = _data_folder_path()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        note = "" if existing == folder else f" (will be made in {existing})"
        yield "ok", f"data folder writable: {folder}{note}"
    else:
        yield "fail", f"data folder not writable: {folder}: expected leave to write in {existing}"


def _data_folder_path() -> Path:
    """Find the platform's place for a program's data."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "l3book"
