"""Look at this machine and say what l3book would find missing."""

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias

from l3book.cli.errors import EXIT_ANSWER_IS_NO, CommandError
from l3book.cli.output import write_standard_output

if TYPE_CHECKING:
    from l3book.config import Loaded

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
        is_source_tree = (STATIC_FOLDER.parents[2] / "Makefile").exists()
        remedy = "run `make setup`" if is_source_tree else "this wheel was built without it, install another"
        yield "warn", f"page not built: no index.html in {STATIC_FOLDER}: {remedy}"


def _installed(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Finding]:
    from importlib import metadata

    try:
        requirements = metadata.requires("l3book") or []
    except metadata.PackageNotFoundError:
        yield "fail", "l3book is not installed as a package: expected `pip install` of a wheel, or `make setup`"
        return
    for package in _needed(requirements):
        version = _installed(package)
        yield ("ok" if version else "fail"), f"{package} {version or 'not installed'}"
    # Optional: only live sources and conversions by the official client need it.
    yield "ok", f"databento {_installed('databento') or 'not installed (optional)'}"


def _needed(requirements: list[str]) -> list[str]:
    """-> the packages of a wheel's requirements that this platform needs, without what only an extra asks for."""
    names = []
    for requirement in requirements:
        named, _, marker = requirement.replace('"', "'").partition(";")
        if "extra ==" in marker or ("!= 'win32'" in marker and sys.platform == "win32"):
            continue
        names.append(re.split(r"[^A-Za-z0-9._-]", named.strip(), maxsplit=1)[0])
    return names


def _settings() -> Iterator[Finding]:
    from l3book.cli.settings import load_settings
    from l3book.config import ENVIRONMENTS, environment_file
    from l3book.config.safety import refusal

    try:
        loaded = load_settings()
    except CommandError as error:
        yield "fail", f"settings: {error}"
        return
    if loaded.files:
        yield "ok", f"settings from {', '.join(map(str, loaded.files))}"
    else:
        found = [str(environment_file(name)) for name in ENVIRONMENTS]
        yield "ok", f"config file found: {', '.join(found)} (choose one with --env or L3BOOK_ENV)"
    if unsafe := refusal(loaded):
        yield "fail", f"settings: {unsafe}"
    yield from _address(loaded)


def _address(loaded: "Loaded") -> Iterator[Finding]:
    try:
        import_module("l3book.api.server")
    except ImportError as error:
        yield "fail", f"the server's packages do not load: {error}"
        return
    from l3book.access.key_store import has_keys
    from l3book.access.state_file import StateError
    from l3book.cli.serve import listen_as_set, scheme
    from l3book.listening import ListenError, PortInUseError, address_of

    try:
        with listen_as_set(loaded, lambda: has_keys(loaded.settings.state_dir)) as listener:
            yield "ok", f"can listen on {scheme(loaded.settings)}://{address_of(listener)}"
    except PortInUseError as error:
        # It may well be an l3book that runs already.
        yield "warn", str(error)
    except (ListenError, StateError) as error:
        yield "fail", str(error)
