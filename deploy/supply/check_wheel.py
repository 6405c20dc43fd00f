#!/usr/bin/env python3
"""Installs the wheel into an empty environment, runs `l3book doctor` and the demo; builds the sdist into a wheel too.

L3BOOK_WHEEL=FILE tries that wheel and builds none.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import wheels
from checking import CheckError, main, output_of

Found = TypeVar("Found")

START_TIMEOUT_S = 120
NAME = re.compile(r"l3book-(\d+\.\d+\.\d+)-cp311-abi3-[a-z0-9_.]+\.whl")


def look() -> str:
    """-> what the wheel is and does."""
    with tempfile.TemporaryDirectory(prefix="l3book-wheel-") as name:
        folder = Path(name)
        wheel = wheels.given_or_built(folder / "dist")
        named = contents(wheel)
        commands = wheels.environment_with(folder / "env", wheel)
        doctor(commands, folder)
        seconds = demo(commands, folder)
        said = f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB, {named} files: doctor finds nothing missing, "
        said += f"the demo served page and book {seconds:.1f} s after its start"
        if "L3BOOK_WHEEL" in os.environ:
            return said
        sdist(folder, wheel)
        return f"{said}; the sdist builds the same files"


def contents(wheel: Path) -> int:
    """Hold what is in the wheel against what has to be; -> how many files."""
    if not NAME.fullmatch(wheel.name):
        raise CheckError(f"{wheel.name}: expected l3book-VERSION-cp311-abi3-PLATFORM.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    wanted = ("l3book/_core.abi3.so", "l3book/static/index.html", "l3book/py.typed", "l3book/_core.pyi")
    if os.name == "nt":
        wanted = ("l3book/_core.pyd", *wanted[1:])
    missing = [name for name in wanted if name not in names]
    missing += [
        part
        for part in ("licenses/LICENSE", "licenses/THIRD_PARTY.txt", "sboms/l3book.cyclonedx.json", "entry_points.txt")
        if not any(name.endswith(f".dist-info/{part}") for name in names)
    ]
    if missing:
        raise CheckError(f"{wheel.name} lacks {', '.join(missing)}")
    if strange := [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".rs", ".map"))]:
        raise CheckError(f"{wheel.name} holds what does not belong into it: {', '.join(strange)}")
    return len(names)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """-> a user's: nothing of the source tree, no setting, state in a folder of its own."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("L3BOOK_", "PYTHON"))}
    return {**outside, "L3BOOK_STATE_DIR": str(folder / "state"), "L3BOOK_NO_HISTORY": "1", **more}


def doctor(commands: Path, folder: Path) -> None:
    """Neither Rust nor Node nor a source tree is there: doctor must find nothing missing."""
    env = environment(folder, PATH=str(commands), L3BOOK_PORT="0")
    done = subprocess.run(
        [commands / "l3book", "doctor"], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    bad = [line for line in done.stdout.splitlines() if not line.startswith("ok ")]
    if done.returncode != 0 or bad:
        raise CheckError(f"{done.stdout}{done.stderr}`l3book doctor` ended with {done.returncode}: {'; '.join(bad)}")


def demo(commands: Path, folder: Path) -> float:
    """Serve a synthetic market on a free port; -> seconds until page and book were there."""
    log = folder / "serve.log"
    started = time.monotonic()
    with log.open("wb") as output:
        server = subprocess.Popen(
            [commands / "l3book", "serve", "--source", "synthetic:", "--port", "0"],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # On Windows what ends a server in order goes to a whole group.
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    try:
        until = started + START_TIMEOUT_S
        url = _until(until, server, log, lambda: _address(log))
        page = _until(until, server, log, lambda: _get(f"{url}/"))
        if "<title>l3book" not in page and "<script" not in page:
            raise CheckError(f"{url}/ is not the page:\n{page[:500]}")
        _until(until, server, log, lambda: _book(url))
        return time.monotonic() - started
    finally:
        server.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        if server.wait(60) != 0:
            raise CheckError(f"{log.read_text()}the server ended with {server.returncode}, expected 0")


def _until(deadline: float, server: subprocess.Popen[bytes], log: Path, look_for: Callable[[], Found]) -> Found:
    while True:
        if found := look_for():
            return found
        if server.poll() is not None or time.monotonic() > deadline:
            raise CheckError(f"{log.read_text()}no page and book within {START_TIMEOUT_S} s")
        time.sleep(0.05)


def _address(log: Path) -> str:
    found = re.search(r"listening on (http://\S+)", log.read_text())
    return found[1] if found else ""


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            return str(answer.read().decode())
    except urllib.error.URLError:
        return ""


def _book(url: str) -> bool:
    text = _get(f"{url}/v1/books/SYN0?level=2&depth=5")
    book = json.loads(text) if text else {}
    return bool(book.get("state") == "live" and book["bids"] and book["asks"])


def sdist(folder: Path, wheel: Path) -> None:
    """Build a wheel from the sdist alone, outside of the repository; it must hold the same files as the other."""
    archive = wheels.build_sdist(folder / "sdist")
    env = {"CARGO_TARGET_DIR": str(wheels.TARGET), "PATH": f"{wheels.maturin().parent}{os.pathsep}{os.environ['PATH']}"}
    built = folder / "from-sdist"
    pip = (wheels.maturin().parent / "python", "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    output_of(
        *pip, "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", built, archive, cwd=folder, env=env
    )
    names = []
    for file in (wheel, wheels.only_one(built, "*.whl")):
        with zipfile.ZipFile(file) as opened:
            names.append(set(opened.namelist()))
    if names[0] != names[1]:
        raise CheckError(f"{archive.name} builds another wheel: {', '.join(sorted(names[0] ^ names[1]))} in one only")


if __name__ == "__main__":
    main(look)
