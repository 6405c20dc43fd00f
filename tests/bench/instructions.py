"""Counts the instructions of the core and compares them with rust/benches/instructions.toml: `make instructions`.

Time on a shared machine cannot tell three percent; instructions can. Each case of rust/benches/instructions.rs runs
under callgrind. The hash of the id table is keyed anew in every process, which moves the counts by some tenths of a
percent: of the cases that add orders, the median of three runs counts. Needs valgrind, and of Python only the standard
library.

A count more than 3 % above the baseline fails, and so does one more than 3 % below: a stale baseline would let
that gain be lost again unseen. `make instructions UPDATE=1` writes the baseline; commit it with the change that moved
it. With another rustc or target nothing is compared, and that is said; without valgrind too, but not where CI=true.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))

from cargo import MANIFEST, benchmark_program

BASELINE = MANIFEST.parent / "rust" / "benches" / "instructions.toml"
TOLERANCE_PERCENT = 3
RUNS = 3
KEYED = ("apply", "feed")
"""Cases whose count depends on the key of the hash; the others are the same in every run."""
COUNTED = re.compile(r"Collected : (\d+)")
HEAD = """\
# Instructions per case of instructions.rs under callgrind, as `make instructions UPDATE=1` found them. They hold for
# this compiler and target only.
"""


def compiler() -> dict[str, str]:
    """The rustc and the target that the counts hold for."""
    said = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    facts = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
    return {"rustc": f"{facts['release']} ({facts['commit-hash'][:9]})", "target": facts["host"]}


def count(program: Path, case: str) -> int:
    """The instructions of one run of a case."""
    options = ["--tool=callgrind", "--toggle-collect=*l3book_counted*", "--callgrind-out-file=/dev/null"]
    run = subprocess.run(["valgrind", *options, program, case], capture_output=True, text=True, check=False)
    found = COUNTED.search(run.stderr)
    if run.returncode or not found or found[1] == "0":
        raise SystemExit(f"instructions: case {case} failed under valgrind:\n{run.stderr}")
    return int(found[1])


def counts() -> dict[str, list[int]]:
    """All runs of all cases."""
    program = benchmark_program("instructions")
    cases = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {
            case: [pool.submit(count, program, case) for _ in range(RUNS if case.startswith(KEYED) else 1)]
            for case in cases
        }
        return {case: [run.result() for run in of_case] for case, of_case in runs.items()}


def write(now: dict[str, int]) -> None:
    """Make these counts the baseline."""
    lines = [f'{name} = "{value}"' for name, value in compiler().items()]
    lines += ["", "[instructions]", *(f"{case} = {found}" for case, found in now.items())]
    BASELINE.write_text(HEAD + "\n".join(lines) + "\n")


def compare(now: dict[str, int], baseline: dict[str, int]) -> list[str]:
    """What is wrong with these counts, one line each."""
    faults = [f"{case}: in the baseline, but no case any more" for case in baseline if case not in now]
    for case, found in now.items():
        if case not in baseline:
            faults.append(f"{case}: not in the baseline")
            continue
        more = found - baseline[case]
        if abs(more) * 100 > TOLERANCE_PERCENT * baseline[case]:
            what = "more" if more > 0 else "fewer: good, but the baseline is stale"
            faults.append(f"{case}: {abs(more) / baseline[case] * 100:.1f} % {what}")
    return faults


def table(runs: dict[str, list[int]], baseline: dict[str, int]) -> str:
    """Each case: the baseline, the median now, the change, the spread of the runs."""
    lines = [f"{'case':16}{'baseline':>14}{'now':>14}{'change':>9}{'spread':>9}"]
    for case, found in runs.items():
        now, before = round(median(found)), baseline.get(case)
        change = f"{(now / before - 1) * 100:+.2f} %" if before else "new"
        spread = f"{(max(found) / min(found) - 1) * 100:.2f} %"
        lines.append(f"{case:16}{before or 0:>14,}{now:>14,}{change:>9}{spread:>9}")
    return "\n".join(lines)


def not_compared(why: str, *, is_error: bool = False) -> int:
    """Say that nothing was compared; -> the exit code."""
    sys.stderr.write(f"instructions: NOT COMPARED: {why}\n")
    return 1 if is_error else 0


def main() -> int:
    """Count, and compare or update; -> the exit code."""
    is_update = os.environ.get("UPDATE", "0") not in {"", "0"}
    if not shutil.which("valgrind"):
        is_error = is_update or os.environ.get("CI") == "true"
        return not_compared("valgrind is not installed", is_error=is_error)
    baseline = tomllib.loads(BASELINE.read_text()) if BASELINE.is_file() else {}
    here = compiler()
    if not is_update:
        for name, value in here.items():
            if baseline.get(name) != value:
                return not_compared(f"this {name} is {value}, the baseline's is {baseline.get(name)}")
    runs = counts()
    now = {case: round(median(found)) for case, found in runs.items()}
    before: dict[str, int] = baseline.get("instructions", {})
    sys.stdout.write(table(runs, before) + "\n")
    if is_update:
        write(now)
        return 0
    faults = compare(now, before)
    for fault in faults:
        sys.stderr.write(f"instructions: {fault}\n")
    if faults:
        sys.stderr.write(
            "instructions: if that is meant, `make instructions UPDATE=1` and commit the baseline with it\n"
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
