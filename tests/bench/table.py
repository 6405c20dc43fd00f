"""Writes the table of `make bench`: goals and every measurement, from what the benchmarks have written down.

No number in it is typed by hand. A full run writes docs/benchmarks.md, a quick one target/bench/benchmarks.md; both
print the goals.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from goals import ELSEWHERE, GOALS, NOT_HERE, MissingError, Results, samples
from streams_made import REPOSITORY, RESULTS

OPPONENTS = ["nautilus_trader", "hftbacktest", "sortedcontainers", "databento", "databento-dbn", "numpy"]


def said_by(*command: str) -> str:
    """The standard output of a command."""
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.strip()


def proc(file: str, field: str) -> str:
    """A line of a file under /proc that begins with `field`; "unknown" on systems without it."""
    path = Path("/proc") / file
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "unknown")


def version(package: str) -> str:
    """The version of a package, or that there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def locked(crate: str) -> str:
    """The version of a crate in Cargo.lock."""
    lines = (REPOSITORY / "Cargo.lock").read_text().splitlines()
    return lines[lines.index(f'name = "{crate}"') + 1].split('"')[1]


def read(name: str) -> dict[str, Any]:
    """What a benchmark program has written down; nothing if it did not run."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def results() -> Results:
    """Everything that was measured."""
    # A benchmark without an opponent beside it is pytest-benchmark's own affair.
    compared = [test for test in read("python").get("benchmarks", []) if "cases" in test["extra_info"]]
    python = {test["name"]: samples(test["extra_info"]["cases"]) for test in compared}
    packages = {"test_nautilus_trader[b]": "nautilus_trader", "test_hftbacktest": "hftbacktest"}
    missing = {
        test: f"{package} is not installed"
        for test, package in packages.items()
        if python and version(package) == "not installed"
    }
    wire = [row for test in read("python").get("benchmarks", []) for row in test["extra_info"].get("latency", [])]
    return Results(read("ratios"), read("memory"), python, missing, wire)


def number(value: float, unit: str) -> str:
    """Three significant digits at most, with thousands separated."""
    if unit == "×":
        return f"{value:.3f} ×" if value < 1 else f"{value:.2f} ×"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def goal_rows(found: Results) -> list[list[str]]:
    """Goal, limit, what was measured, whether that is enough."""
    rows = []
    for goal in GOALS:
        try:
            value = goal.measure(found)
        except MissingError as why:
            rows.append([goal.what, f"≤ {number(goal.at_most, goal.unit)}", str(why), "–"])
        except KeyError as name:
            rows.append([goal.what, f"≤ {number(goal.at_most, goal.unit)}", f"no result {name}", "–"])
        else:
            verdict = "yes" if value <= goal.at_most else "**no**"
            rows.append([goal.what, f"≤ {number(goal.at_most, goal.unit)}", number(value, goal.unit), verdict])
    return rows + [[what, "", NOT_HERE, "–"] for what in ELSEWHERE]


def group_rows(cases: dict[str, list[float]]) -> list[list[str]]:
    """Each competitor's median and extremes, and ours (the first) to it, round by round."""
    ours = next(iter(cases.values()))
    rows = []
    for name, ns in cases.items():
        ratio = median(a / b for a, b in zip(ours, ns, strict=True))
        shown = "" if ns is ours else number(ratio, "×")
        rows.append([name, f"{median(ns):,.1f}", f"{min(ns):,.1f} – {max(ns):,.1f}", shown])
    return rows


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def circumstances(found: Results) -> str:
    """Where, when, with what, and on what."""
    dirty = ", with changes that are not committed" if said_by("git", "status", "--porcelain", "-uno") else ""
    ram_gib = int(proc("meminfo", "MemTotal").split()[0]) / 2**20 if Path("/proc/meminfo").is_file() else 0
    loads = [
        f"- ({name}) {load['what']}: {load['records']:,} messages" for name, load in found.ratios["streams"].items()
    ]
    if "missing" in found.ratios["apply a"]:
        loads.insert(0, f"- (a) missing: {found.ratios['apply a']['missing']}")
    opponents = ", ".join(f"{package} {version(package)}" for package in OPPONENTS)
    return "\n".join(
        [
            f"- Machine: {os.cpu_count()} cores, {proc('cpuinfo', 'model name')}, {ram_gib:.0f} GiB, "
            f"{platform.system()}; load average at the end {os.getloadavg()[1]:.1f}",
            f"- {said_by('rustc', '--version')}; Python {platform.python_version()}; dbn crate {locked('dbn')}",
            f"- {opponents}",
            f"- Commit {said_by('git', 'rev-parse', '--short=12', 'HEAD')}{dirty}; "
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            *loads,
        ]
    )


def page(found: Results, goals: str) -> str:
    """The whole document."""
    parts = [
        "# Benchmarks",
        "Written by `make bench`; do not edit. Competitors take turns, round by round; a ratio is the median of the "
        "ratios within the rounds. Only ratios travel to another machine. Work on one thread is counted in processor "
        "time of that thread, files by the clock on the wall. Opponents in Python are fed objects that were built "
        "beforehand, and a prefix of the stream; ours decodes DBN in the same rounds. All were checked to build the "
        "same final book.",
        circumstances(found),
        "## Goals",
        goals,
        "## In memory and from files, Rust",
        "Nanoseconds per message (per call for reads); the last column is the first row to that row.",
    ]
    head = ["", "median", "min – max", "first to this"]
    for name, group in found.ratios.items():
        if "cases" in group:
            parts += [f"### {name}: {group['what']}", markdown([name, *head[1:]], group_rows(samples(group["cases"])))]
    latency = [
        [name, *(f"{row[quantile]:,.0f}" for quantile in ("p50_ns", "p99_ns", "p99.9_ns"))]
        for name, row in found.ratios["latency b"].items()
    ]
    parts += ["### One message at a time, (b), ns", markdown(["", "p50", "p99", "p99.9"], latency)]
    memory = [
        [
            f"({name[-1]})",
            f"{row['orders']:,}",
            f"{row['l3book bytes per order']:.1f}",
            f"{row['naive bytes per order']:.1f}",
        ]
        for name, row in found.memory.items()
        if "orders" in row
    ]
    parts += ["### Bytes per resting order", markdown(["", "orders", "l3book", "naive book"], memory)]
    if churn := found.memory.get("churn"):
        live = ", ".join(f"{bytes_ / 1e6:.2f}" for bytes_ in churn["live_bytes"])
        parts.append(
            f"{churn['messages']:,} messages of churn; MB allocated when settled, then after each tenth: {live}."
        )
    parts += ["## From Python", "Nanoseconds per message (per call for reads)."]
    for name, cases in found.python.items():
        title = name.removeprefix("test_").replace("_", " ")
        parts += [f"### {title}", markdown([title, *head[1:]], group_rows(cases))]
    if found.wire:
        columns = ["p50_ns", "p99_ns", "p99.9_ns", "max_ns"]
        rows = [
            [f"{row['name']}, {row['rate']:,}/s", f"{row['messages']:,}", *(f"{row[c] / 1e3:,.0f}" for c in columns)]
            for row in found.wire
        ]
        parts += [
            "### From a gateway in another process, µs",
            "From when a piece of the stream was received until the books show it, or the callback has been called, "
            "per message. The gateway sends what is due every few milliseconds, so messages come in pieces.",
            markdown(["", "messages", "p50", "p99", "p99.9", "max"], rows),
        ]
    parts += history(read("history"))
    return "\n\n".join(parts) + "\n"


def history(found: dict[str, Any]) -> list[str]:
    """The history by store; nothing where it was not measured."""
    if not found:
        return []
    kinds = found["kinds"]
    parts = [
        HISTORY_HEADING,
        "Every store is given the same batches of rows derived from the log, in one process and thread, until all is "
        "written or three quarters of a minute are over; the stores on servers keep every record beside them. Parquet "
        "is what SQLite has, compacted, and its rates are those of compaction. Bytes are those on disk with indexes, "
        f"after merging. Latencies are ms, p50 / p99 of at most {found['asked']} questions at random: "
        + ", ".join(f"({kind}) {what}" for kind, what in kinds.items())
        + ". (a) is answered from the log, by replay from the nearest checkpoint. "
        f"Commit {found['commit']}, {found['day']}.",
    ]
    head = [
        "",
        "messages",
        "rows/s",
        "messages/s",
        "bytes per row",
        "bytes per message",
        *(f"({kind})" for kind in kinds),
    ]
    for name, stream in found["streams"].items():
        rows = [
            [store, result["missing"], *[""] * (len(head) - 2)] if "missing" in result else _of_store(store, result)
            for store, result in stream["stores"].items()
        ]
        parts += [
            f"### Stream ({name}), {stream['messages']:,} messages",
            f"Recorded at {stream['recorded_messages_per_s']:,.0f} messages/s beside applying, "
            f"{stream['log_bytes_per_message']:.1f} bytes per message in the log.",
            markdown(head, rows),
        ]
    return parts


def _of_store(name: str, result: dict[str, Any]) -> list[str]:
    latencies = [f"{took['p50_ms']:.3g} / {took['p99_ms']:.3g}" for took in result["latencies"].values()]
    rates = [f"{result[rate]:,.0f}" for rate in ("messages", "rows_per_s", "messages_per_s")]
    return [name, *rates, f"{result['bytes_per_row']:.1f}", f"{result['bytes_per_message']:.1f}", *latencies]


HISTORY_HEADING = "## History, by store"


def with_history(document: str, parts: list[str]) -> str:
    """Put the history's part in the place of what the document has of it, or at its end."""
    before, _, behind = document.partition(f"{HISTORY_HEADING}\n")
    at = behind.find("\n## ")
    rest = behind[at + 1 :] if at >= 0 else ""
    return "\n\n".join([before.rstrip("\n"), *parts, *([rest.rstrip("\n")] if rest else [])]) + "\n"


def write_history() -> None:
    """Bring only the history's part of the document up to date."""
    parts = history(json.loads((RESULTS / "history.json").read_text(encoding="utf-8")))
    path = REPOSITORY / "docs" / "benchmarks.md"
    path.write_text(with_history(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
    sys.stdout.write("\n\n".join(parts) + "\n")


def main() -> None:
    """Write the document and print the goals; with `history`, only that part of it."""
    if sys.argv[1:] == ["history"]:
        write_history()
        return
    found = results()
    if not found.ratios:
        sys.exit("table.py: target/bench/ratios.json is missing: run `make bench`")
    is_quick = os.environ.get("L3BOOK_BENCH_QUICK", "0") not in {"", "0"}
    goals = markdown(["Goal", "at most", "measured", "met"], goal_rows(found))
    path = RESULTS / "benchmarks.md" if is_quick else REPOSITORY / "docs" / "benchmarks.md"
    path.write_text(page(found, goals), encoding="utf-8")
    sys.stdout.write(f"{goals}\n\n{path.relative_to(REPOSITORY)} has it all.\n")


if __name__ == "__main__":
    main()
