"""deploy/prometheus/check and deploy/grafana/check: what is wrong is found, and what cannot be run is said."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
NOT_RUN = 77


def check(part: str, *arguments: object, path: str | None = None) -> tuple[int, str]:
    env = {**os.environ, "PYTHON": sys.executable, **({} if path is None else {"PATH": path})}
    done = subprocess.run(
        [DEPLOY / part / "check", *map(str, arguments)],
        capture_output=True,
        check=False,
        timeout=100,
        encoding="utf-8",
        env=env,
    )
    return done.returncode, done.stdout + done.stderr


def wants_promtool() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")


@pytest.mark.parametrize("part", ["prometheus", "grafana"])
def test_what_is_here_is_good(part: str) -> None:
    code, said = check(part)
    assert code == (0 if shutil.which("promtool") else NOT_RUN), said
    assert "failed" not in said


@pytest.mark.parametrize("part", ["prometheus", "grafana"])
def test_without_promtool_the_rest_is_checked_and_the_last_line_says_why_not_all(part: str, tmp_path: Path) -> None:
    for tool in ("bash", "env", "dirname"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    code, said = check(part, path=str(tmp_path))
    assert code == NOT_RUN, said
    assert said.splitlines()[-1] == "NOT RUN: promtool is not installed (Debian's package prometheus has it)"
    assert said.count("ok  ") == (4 if part == "prometheus" else 3)


def test_an_undocumented_metric_is_caught(tmp_path: Path) -> None:
    document = tmp_path / "metrics.md"
    text = (ROOT / "docs/metrics.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| `l3book_feed_gaps_total`"))
    document.write_text(text.replace(row + "\n", ""))
    code, said = check("prometheus", "--metrics", document)
    assert code == 1
    assert f"not in metrics.md: {row}" in said


def test_a_rule_on_a_metric_that_is_not_and_an_alert_that_nobody_explains_are_caught(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    text = (DEPLOY / "prometheus/rules.yml").read_text()
    rules.write_text(text.replace("l3book_feed_gaps_total", "l3book_feed_gap_total") + "      - alert: L3bookNew\n")
    code, said = check("prometheus", "--rules", rules)
    assert code == 1
    assert "no server tells l3book_feed_gap_total" in said
    assert "L3bookNew has no entry in observability.md" in said
    assert "L3bookNew fires in no test of rules.test.yml" in said


def test_a_query_that_asks_for_a_metric_that_is_not_is_caught(tmp_path: Path) -> None:
    dashboard = tmp_path / "l3book.json"
    text = (DEPLOY / "grafana/l3book.json").read_text()
    dashboard.write_text(text.replace("l3book_records_total", "l3book_record_total", 1))
    code, said = check("grafana", "--dashboard", dashboard)
    assert code == 1
    assert "no server tells l3book_record_total" in said
    assert "expected a run of deploy/grafana/dashboard.py" in said


@pytest.mark.parametrize(
    ("part", "file", "there", "wrong", "said"),
    [
        (
            "grafana",
            "l3book.json",
            "sum by (action) (",
            "sum by (acton) (",
            "grouped by acton, which none of its metrics",
        ),
        ("grafana", "l3book.json", ", instance=~", ", insstance=~", "l3book_records_total has no label insstance"),
        ("prometheus", "rules.yml", '{state="failed"}', '{status="failed"}', "l3book_source_state has no label status"),
        (
            "prometheus",
            "rules.yml",
            "on (job, instance)",
            "on (job, host)",
            "grouped by host, which none of its metrics",
        ),
    ],
)
def test_a_query_that_would_find_nothing_is_caught(
    tmp_path: Path, part: str, file: str, there: str, wrong: str, said: str
) -> None:
    """It parses, and its metric is there; what it asks of it is not."""
    broken = tmp_path / file
    text = (DEPLOY / part / file).read_text()
    assert there in text
    broken.write_text(text.replace(there, wrong, 1))
    code, output = check(part, "--dashboard" if part == "grafana" else "--rules", broken)
    assert code == 1
    assert said in output


def test_a_query_that_cannot_be_parsed_is_caught_with_its_panel(tmp_path: Path) -> None:
    wants_promtool()
    dashboard = tmp_path / "l3book.json"
    text = (DEPLOY / "grafana/l3book.json").read_text()
    dashboard.write_text(text.replace("sum (rate(l3book_events_total", "sum ((rate(l3book_events_total", 1))
    code, said = check("grafana", "--dashboard", dashboard)
    assert code == 1
    assert "panel 'Events': sum ((rate(l3book_events_total" in said
