#!/usr/bin/env python3
"""Run every check of deploy/ that this machine can run, and print a table of what came out: make deploy-check.

A check is an executable deploy/*/check*. It ends with 0 if all is good, 1 if not, and 77 where it cannot run, with the
reason as its last line. Anything else, too long a run too, is a failure: no check passes in silence.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 3600
GRACE_S = 10
"""What a check that is asked to end may still take to clean up after itself."""
NOT_RUN = 77
LAST_LINE_CHARS_MAX = 140


@dataclass(frozen=True)
class Outcome:
    """What became of one check."""

    name: str
    verdict: str
    """good, FAILED or NOT RUN."""
    last_line: str
    output: str
    seconds: float

    @property
    def ran(self) -> str:
        """For the table."""
        return "NOT RUN" if self.verdict == "NOT RUN" else "ran"


def find(folder: Path, only: list[str], skip: list[str]) -> list[Path]:
    """-> the checks of a folder, those alone whose name holds one of `only` if there are any, and none of `skip`."""
    found = sorted(file for file in folder.glob("*/check*") if file.is_file() and os.access(file, os.X_OK))
    named = {file: name_of(file, folder) for file in found}
    wanted = [file for file in found if not only or any(part in named[file] for part in only)]
    return [file for file in wanted if not any(part in named[file] for part in skip)]


def name_of(file: Path, folder: Path) -> str:
    """Folder and file without its ending: supply/check_wheel."""
    return str(file.relative_to(folder).with_suffix(""))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a check and all that it has started; first asked, then made to."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
            if number == signal.SIGKILL:
                return


def environment() -> dict[str, str]:
    """-> this process's, in which checks run by the Python that runs this; scripts in shell, too, unless told another.

    `make deploy-check` has them see the packages of .venv that way; the machine's own python3 has none of them.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {"PYTHON": sys.executable, **os.environ, "PATH": path}


def run(file: Path, folder: Path, timeout_s: float) -> Outcome:
    """Run one check in the repository's folder, in a process group of its own."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        code: int | None = None
        try:
            process = subprocess.Popen(
                [file],
                cwd=folder.parent,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Outcome(name_of(file, folder), "FAILED", f"does not start: {error}", "", 0.0)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also of one that ended: what it left running would outlive it.
            _end(process)
        seconds = time.monotonic() - started
        output.seek(0)
        text = output.read().decode(errors="replace")
    return _judge(name_of(file, folder), code, text, seconds, timeout_s)


def _judge(name: str, code: int | None, text: str, seconds: float, timeout_s: float) -> Outcome:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if code == 0 and last:
        return Outcome(name, "good", last, text, seconds)
    if code == NOT_RUN and last:
        return Outcome(name, "NOT RUN", last.removeprefix("NOT RUN: "), text, seconds)
    if code is None:
        why = f"did not end within {timeout_s:g} s"
    elif code in (0, NOT_RUN):
        why = f"exit code {code} without a word: expected what was checked, or why not"
    elif code == 1:
        why = last or "exit code 1"
    else:
        why = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}: expected 0, 1 or {NOT_RUN}"
    return Outcome(name, "FAILED", why, text, seconds)


def table(outcomes: list[Outcome]) -> str:
    """One line a check, in columns."""
    rows = [("check", "ran", "result", "time", "what came out")]
    for outcome in outcomes:
        said = outcome.last_line
        if len(said) > LAST_LINE_CHARS_MAX:
            said = said[: LAST_LINE_CHARS_MAX - 1] + "…"
        result = "-" if outcome.verdict == "NOT RUN" else outcome.verdict
        rows.append((outcome.name, outcome.ran, result, f"{outcome.seconds:.1f} s", said))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def main(arguments: list[str], folder: Path = HERE) -> int:
    """-> 0: nothing failed; 1: a check failed, or with --strict could not run; 2: misuse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="checks whose name holds PART")
    parser.add_argument("--skip", action="append", default=[], metavar="PART", help="no checks whose name holds PART")
    parser.add_argument("--strict", action="store_true", help="a check that cannot run is a failure")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="S", help="of each check, in seconds")
    parser.add_argument("--list", action="store_true", help="name the checks and run none")
    parser.add_argument("--verbose", action="store_true", help="the output of every check, not of failures alone")
    options = parser.parse_args(arguments)
    checks = find(folder, options.only, options.skip)
    if not checks:
        parser.error(f"no check {'whose name holds ' + ' or '.join(options.only) if options.only else 'found'}")
    if options.list:
        print("\n".join(name_of(file, folder) for file in checks))
        return 0
    outcomes = []
    for file in checks:
        print(f"{name_of(file, folder)} …", file=sys.stderr, flush=True)
        outcome = run(file, folder, options.timeout)
        outcomes.append(outcome)
        if outcome.verdict == "FAILED" or options.verbose:
            print(f"--- {outcome.name}: {outcome.verdict}\n{outcome.output.rstrip()}\n---", flush=True)
    print(table(outcomes))
    count = Counter(outcome.verdict for outcome in outcomes)
    print(f"{count['good']} good, {count['FAILED']} failed, {count['NOT RUN']} not run")
    return 1 if count["FAILED"] or (options.strict and count["NOT RUN"]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
