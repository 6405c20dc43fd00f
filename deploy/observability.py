#!/usr/bin/env python3
"""Check the alert rules, or the dashboard, against the metrics that the server has."""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parent))

from checking import CannotRunError, CheckError, main

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RUNBOOK = ROOT / "docs/observability.md"
METRICS = ROOT / "docs/metrics.md"
RULES = HERE / "prometheus/rules.yml"
RULE_TESTS = HERE / "prometheus/rules.test.yml"
CONFIG = HERE / "prometheus/prometheus.yml"
DASHBOARD = HERE / "grafana/l3book.json"

PROMTOOL_TIMEOUT_S = 60
NO_PROMTOOL = "promtool is not installed (Debian's package prometheus has it)"
# Prometheus' own, and prometheus_client's of a process.
OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
# What Prometheus itself puts on whatever it scrapes.
OF_TARGETS = {"job", "instance"}
SELECTOR = re.compile(r'\b((?:l3book|process)_\w+|up)\b(?:\{((?:[^{}"]|"[^"]*")*)\})?')
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"')
GROUPING = re.compile(r"\b(?:by|on)\s*\(([^()]*)\)")
# What Grafana puts in before it asks.
VARIABLES = {"$__rate_interval": "1m", "$__interval": "1m", "$job": "l3book", "$instance": ".*"}


def check() -> str:
    """Run the checks of one part, and print a line for each."""
    arguments = _arguments()
    checks: dict[str, Callable[[], Iterator[str]]] = (
        {
            "every metric of the server is in docs/metrics.md as it is, and no other": lambda: undocumented(
                arguments.metrics
            ),
            "rules ask for metrics that there are": lambda: unknown_in(arguments.rules.read_text()),
            "rules ask for labels that those have": lambda: unlabelled(rules(arguments.rules)),
            "every alert is tested, and has an entry in the runbook": lambda: unexplained(arguments),
            "promtool check config": lambda: promtool("check", "config", CONFIG),
            "promtool check rules": lambda: promtool("check", "rules", arguments.rules),
            "promtool test rules": lambda: promtool("test", "rules", RULE_TESTS),
        }
        if arguments.part == "prometheus"
        else {
            "the dashboard is what deploy/grafana/dashboard.py writes": lambda: unwritten(arguments.dashboard),
            "queries ask for metrics that there are": lambda: unknown_in(arguments.dashboard.read_text()),
            "queries ask for labels that those have": lambda: unlabelled(queries(arguments.dashboard)),
            "queries can be parsed (promtool check rules)": lambda: unparsed(arguments.dashboard),
        }
    )
    failed, reasons = [], []
    for name, find in checks.items():
        try:
            faults = list(find())
        except CannotRunError as reason:
            reasons.append(str(reason))
            print(f"NOT RUN  {name}: {reason}")
            continue
        failed += [name] if faults else []
        print("failed  " if faults else "ok      ", name)
        print("".join(f"         {fault}\n" for fault in faults), end="")
    if failed:
        raise CheckError(f"{len(failed)} of {len(checks)} failed: {'; '.join(failed)}")
    if reasons:
        raise CannotRunError(reasons[0])
    return f"{len(checks)} checks, all good"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("prometheus", "grafana"))
    parser.add_argument("--rules", type=Path, default=RULES)
    parser.add_argument("--metrics", type=Path, default=METRICS, help="the document of all metrics")
    parser.add_argument("--runbook", type=Path, default=RUNBOOK)
    parser.add_argument("--dashboard", type=Path, default=DASHBOARD)
    return parser.parse_args()


def families() -> tuple[Any, ...]:
    """Give the server's own table of metrics."""
    sys.path.insert(0, str(ROOT / "python"))
    try:
        from l3book.prometheus.families import FAMILIES
    except ImportError as error:
        raise CannotRunError(
            f"l3book cannot be imported by {sys.executable} ({error}): expected `make setup` before"
        ) from None
    finally:
        sys.path.pop(0)
    return FAMILIES


def undocumented(document: Path) -> Iterator[str]:
    """Compare the table in the document with the server's own."""
    told = [line for line in document.read_text().splitlines() if line.startswith("| `")]
    rows = []
    for family in families():
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{family.name}` | {family.kind} | {labels} | {family.text} |")
    yield from (f"not in {document.name}: {row}" for row in rows if row not in told)
    yield from (f"only in {document.name}: {line}" for line in told if line not in rows)
    if sorted(told) == sorted(rows) and told != rows:
        yield f"{document.name} has them in another order than the server"


def unknown_in(text: str) -> Iterator[str]:
    """Find metrics that are asked for and no server tells."""
    known = set(OTHERS) | set(re.findall(r"record: (\S+)", text))
    for family in families():
        suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
        known |= {family.name + suffix for suffix in suffixes}
    for name in sorted(set(re.findall(r"\b(?:l3book|process)_[a-z0-9_]+\b", text)) - known):
        yield f"no server tells {name}"


def unlabelled(asked: list[tuple[str, str]]) -> Iterator[str]:
    """Find labels that a query selects or groups by, and that its metrics do not have: its answer would be empty."""
    labels: dict[str, set[str]] = dict.fromkeys(OTHERS, OF_TARGETS)
    for family in families():
        own = OF_TARGETS | set(family.labels)
        labels |= {family.name: own, family.name + "_bucket": own | {"le"}}
    for where, query in asked:
        selected: set[str] = set()
        for name, matchers in SELECTOR.findall(query):
            has = labels.get(name, OF_TARGETS)
            selected |= has
            wrong = sorted(set(MATCHER.findall(matchers)) - has)
            yield from (f"{where!r}: {name} has no label {label}: {query}" for label in wrong)
        for grouped in GROUPING.findall(query):
            wrong = sorted(set(re.findall(r"\w+", grouped)) - selected)
            yield from (f"{where!r}: grouped by {label}, which none of its metrics has: {query}" for label in wrong)


def unexplained(arguments: argparse.Namespace) -> Iterator[str]:
    """Find alerts that no rule test has fire, and those of which nobody is told what to do."""
    alerts = re.findall(r"alert: (\S+)", arguments.rules.read_text())
    tested = set(re.findall(r"alertname=\"(\w+)\", alertstate=\"firing\", ", RULE_TESTS.read_text()))
    runbook = arguments.runbook.read_text() if arguments.runbook.exists() else ""
    entries = set(re.findall(r"^### (\w+)$", runbook, re.MULTILINE))
    yield from (f"{alert} fires in no test of {RULE_TESTS.name}" for alert in alerts if alert not in tested)
    yield from (f"{alert} has no entry in {arguments.runbook.name}" for alert in alerts if alert not in entries)
    yield from (
        f"{entry} in {arguments.runbook.name} is no alert"
        for entry in sorted(entries)
        if entry.startswith("L3book") and entry not in alerts
    )


def unwritten(dashboard: Path) -> Iterator[str]:
    """Compare the dashboard with what its script writes."""
    spec = importlib.util.spec_from_file_location("dashboard", HERE / "grafana/dashboard.py")
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if dashboard.read_text() != module.text():
        yield f"{dashboard.name} is something else: expected a run of deploy/grafana/dashboard.py"


def queries(dashboard: Path) -> list[tuple[str, str]]:
    """(title of the panel, query) of all that the dashboard asks for."""
    panels = json.loads(dashboard.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]


def rules(file: Path) -> list[tuple[str, str]]:
    """(name, expression) of all alerts and recorded series, each of which has its expression on one line."""
    return re.findall(r"^ *- (?:alert|record): (\S+)\n *expr: (.+)$", file.read_text(), re.MULTILINE)


def unparsed(dashboard: Path) -> Iterator[str]:
    """Have promtool parse each query, as the expression of a rule."""
    asked = queries(dashboard)
    with tempfile.TemporaryDirectory() as folder:
        for number, (_, query) in enumerate(asked):
            for variable, value in VARIABLES.items():
                query = query.replace(variable, value)
            rules = {"groups": [{"name": "dashboard", "rules": [{"record": f"panel:query{number}", "expr": query}]}]}
            # JSON is YAML.
            file = Path(folder) / f"{number}.yml"
            file.write_text(json.dumps(rules))
        faults = list(promtool("check", "rules", *(Path(folder) / f"{number}.yml" for number in range(len(asked)))))
        for number, (title, query) in enumerate(asked):
            for fault in faults:
                if f"/{number}.yml" in fault:
                    yield f"panel {title!r}: {query}: {fault.strip()}"
        if faults and not any(re.search(r"/\d+\.yml", fault) for fault in faults):
            yield from faults


def promtool(*arguments: object) -> Iterator[str]:
    """Run it; -> what it complains of."""
    found = shutil.which("promtool")
    if found is None:
        raise CannotRunError(NO_PROMTOOL)
    done = subprocess.run(  # by its full path
        [found, *map(str, arguments)],
        cwd=HERE / "prometheus",
        capture_output=True,
        check=False,
        timeout=PROMTOOL_TIMEOUT_S,
        encoding="utf-8",
    )
    if done.returncode:
        yield from (line for line in (done.stdout + done.stderr).splitlines() if line.strip())


if __name__ == "__main__":
    main(check)
