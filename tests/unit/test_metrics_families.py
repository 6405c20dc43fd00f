"""The table of Prometheus metrics: names, what docs/metrics.md says, and what rules and the dashboard ask for."""

import importlib.util
import re
from pathlib import Path

import pytest

from l3book.buckets import Buckets
from l3book.prometheus.families import FAMILIES, Family

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "metrics.md"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "l3book.json"
# Of prometheus_client and Prometheus itself; the rest is a rule's own name.
OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}


def row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {family.text} |"


def test_the_docs_have_every_metric_as_it_is_and_no_other() -> None:
    told = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    assert told == [row(family) for family in FAMILIES]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_follow_the_conventions(family: Family) -> None:
    assert re.fullmatch(r"l3book_[a-z0-9_]+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert not re.search(r"_(ms|ns|millis|kb|percent)(_|$)", family.name), "base units only"
    if family.kind == "histogram":
        assert family.name.endswith("_seconds")


def exposed_names() -> set[str]:
    names = set()
    for family in FAMILIES:
        suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
        names |= {family.name + suffix for suffix in suffixes}
    return names


def unknown_names(text: str) -> set[str]:
    """The metrics that queries name and no server tells."""
    recorded = set(re.findall(r"record: (\S+)", text))
    named = set(re.findall(r"\b(?:l3book|process)_[a-z0-9_]+\b", text))
    return named - exposed_names() - OTHERS - recorded - {"l3book_key"}


@pytest.mark.parametrize("file", [RULES, DASHBOARD], ids=lambda file: file.name)
def test_every_query_is_of_a_metric_there_is(file: Path) -> None:
    assert unknown_names(file.read_text()) == set()


def test_a_broken_query_is_noticed() -> None:
    broken = DASHBOARD.read_text().replace("l3book_records_total", "l3book_record_total", 1)
    assert unknown_names(broken) == {"l3book_record_total"}


def test_the_dashboard_is_what_its_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("dashboard", DASHBOARD.with_name("dashboard.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert DASHBOARD.read_text() == module.text(), "run deploy/grafana/dashboard.py"


def test_a_duration_counts_in_the_first_bucket_whose_bound_it_does_not_exceed() -> None:
    buckets = Buckets((10, 20))
    for duration_ns in (1, 10, 11, 21):
        buckets.add(duration_ns)
    assert buckets.counts == [2, 1, 1]
    assert buckets.sum_ns == 43


def test_every_alert_is_tested() -> None:
    alerts = set(re.findall(r"alert: (\S+)", RULES.read_text()))
    tests = RULES.with_name("rules.test.yml").read_text()
    firing = set(re.findall(r"labels: 'ALERTS\{alertname=\"(\w+)\", alertstate=\"firing\"", tests))
    assert alerts == firing
    assert len(alerts) > 10


def test_no_two_families_share_a_name_in_openmetrics() -> None:
    """There a counter's family is called without `_total`."""
    names = [family.name.removesuffix("_total") for family in FAMILIES]
    assert len(names) == len(set(names))
