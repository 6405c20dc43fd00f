"""Do the tests notice? Puts each bug of mutants.toml into a copy of the core and runs the quick Rust tests on it.

Exits with 1 if a bug goes unnoticed, and with 2 if one cannot be made because its text is no longer there once.
The copy has a target folder of its own, so that only the core is compiled again for each bug.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "target" / "mutants" / "tree"
TARGET = ROOT / "target" / "mutants" / "build"
SUITE = ("--test", "oracle", "--test", "exhaustive", "--test", "feed")
# Small, for the bugs are many; the tests of every day go further.
SUITE_SETTINGS = {"PROPTEST_CASES": "300", "L3BOOK_EXHAUSTIVE_EXTRA_RECORDS": "-2", "RUST_BACKTRACE": "0"}
# A bug can make a queue run in a circle.
SUITE_SECONDS_MAX = 120
TESTS_SHOWN = 3


def copy_tree() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    # Copied as new files: cargo tells by their times whether it must compile them.
    for name in ("src", "tests", "benches"):
        shutil.copytree(ROOT / "rust" / name, COPY / "rust" / name, copy_function=shutil.copyfile)
    for name in ("Cargo.toml", "Cargo.lock", "README.md", "rust/Cargo.toml"):
        shutil.copyfile(ROOT / name, COPY / name)


def broken(source: dict[str, str], mutant: dict) -> dict[str, str]:
    """The files of a mutant that differ, by name."""
    files = {edit["file"]: source[edit["file"]] for edit in mutant["edit"]}
    for edit in mutant["edit"]:
        file, old, new = edit["file"], edit["old"], edit["new"]
        found = files[file].count(old)
        if found != 1:
            sys.exit(fail(f"mutant {mutant['name']!r}: {old!r} stands {found} times in {file}, expected once"))
        files[file] = files[file].replace(old, new)
    return files


def fail(what: str) -> int:
    print(f"mutants: {what}", file=sys.stderr)
    return 2


def cargo_test(*more: str, seconds_max: int | None = None) -> subprocess.CompletedProcess[str]:
    env = os.environ | SUITE_SETTINGS | {"CARGO_TARGET_DIR": str(TARGET)}
    command = ["cargo", "test", "--locked", "--quiet", *more, *SUITE]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=COPY, env=env, text=True, start_new_session=True, **pipes) as cargo:
        try:
            out, err = cargo.communicate(timeout=seconds_max)
        except subprocess.TimeoutExpired:
            # With the tests it has started: they would go on in their circle.
            os.killpg(cargo.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, cargo.returncode, out, err)


def run_suite() -> tuple[list[str], str]:
    """The tests that failed, and all that the run said."""
    built = cargo_test("--no-run")
    if built.returncode:
        sys.exit(fail(f"the tests cannot be built:\n{built.stderr[-3000:]}"))
    try:
        done = cargo_test("--no-fail-fast", seconds_max=SUITE_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return [f"(more than {SUITE_SECONDS_MAX} s)"], ""
    said = done.stdout + done.stderr
    failed = re.findall(r"^    ([\w:]+)$", done.stdout, re.MULTILINE)
    if done.returncode and not failed:
        sys.exit(fail(f"the tests did not run:\n{said[-3000:]}"))
    return sorted(set(failed)), said


def write(files: dict[str, str]) -> None:
    for name, text in files.items():
        (COPY / "rust" / "src" / name).write_text(text)


def main() -> int:
    mutants = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())["mutant"]
    names = {edit["file"] for mutant in mutants for edit in mutant["edit"]}
    source = {name: (ROOT / "rust" / "src" / name).read_text() for name in names}
    changed = [broken(source, mutant) for mutant in mutants]
    copy_tree()
    failed, said = run_suite()
    if failed:
        return fail(f"the core fails as it is: {', '.join(failed)}\n{said[-3000:]}")
    unnoticed = []
    for mutant, files in zip(mutants, changed, strict=True):
        start = time.monotonic()
        write(files)
        failed, _ = run_suite()
        write({name: source[name] for name in files})
        more = ", …" if len(failed) > TESTS_SHOWN else ""
        caught = f"{len(failed)} tests: {', '.join(failed[:TESTS_SHOWN])}{more}" if failed else "NOT CAUGHT"
        print(f"{mutant['name']:<58} {time.monotonic() - start:4.0f} s  {caught}", flush=True)
        if not failed:
            unnoticed.append(mutant["name"])
    print(f"{len(mutants) - len(unnoticed)} of {len(mutants)} bugs caught")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
