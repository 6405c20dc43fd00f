"""/metrics of a running server, read as Prometheus reads it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from l3book.prometheus.families import FAMILIES
from running import RunningServer

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# Of a live feed, or with traces, only.
LIVE = re.compile(r"l3book_(feed_(?!duration)|source_(?!state)|trace_)")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    history = tmp_path_factory.mktemp("history")
    server = RunningServer("--source", "synthetic:?instruments=2&rate=20000", "--history", str(history))
    try:
        server.wait_until_listening()
        server.wait_until_ready()
        yield server
    finally:
        server.kill()


def scraped(server: RunningServer) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels."""
    answer = server.get("/metrics").raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_families(answer.text)
        for sample in family.samples
    }


def value(samples: dict, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_every_metric_is_told_with_its_labels_and_its_help(server: RunningServer) -> None:
    server.get("/v1/instruments").raise_for_status()
    text = server.get("/metrics").text
    told = {family.name: family for family in text_families(text)}
    for family in FAMILIES:
        if LIVE.match(family.name):
            continue
        name = family.name.removesuffix("_total")
        found = told.get(name) or told.get(family.name)
        assert found is not None, family.name
        assert (found.type, found.documentation) == (family.kind, family.text), family.name
        for sample in found.samples:
            assert set(sample.labels) - {"le"} == set(family.labels), sample
    others = {name for name in told if not name.startswith(("l3book_", "process_"))}
    assert not others


def test_its_numbers_are_those_of_the_json(server: RunningServer) -> None:
    before, samples, after = server.metrics(), scraped(server), server.metrics()
    for name, path in {
        "l3book_events_total": ("totals", "events"),
        "l3book_received_bytes_total": ("totals", "bytes"),
        "l3book_history_records_total": ("history", "recorder", "records"),
        "l3book_uptime_seconds": ("uptime_s",),
    }.items():
        first, last = before, after
        for key in path:
            first, last = first[key], last[key]
        assert first <= value(samples, name) <= last, name
    by_action = sum(count for (name, _), count in samples.items() if name == "l3book_records_total")
    assert before["totals"]["messages"] <= by_action <= after["totals"]["messages"]
    assert value(samples, "l3book_books", state="live") == after["books"] == 2
    assert value(samples, "l3book_source_state", state="running") == 1
    assert value(samples, "l3book_source_state", state="failed") == 0


def test_histograms_only_grow_and_count_what_was_asked(server: RunningServer) -> None:
    route = {"route": "/v1/books/{instrument}"}
    asked = {"method": "GET", "status": "200", **route}
    for _ in range(3):
        server.get("/v1/books/SYN0").raise_for_status()
    first = scraped(server)
    assert server.get("/v1/books/nothing").status_code == httpx.codes.NOT_FOUND
    for _ in range(5):
        server.get("/v1/books/SYN0").raise_for_status()
    last = scraped(server)
    assert value(last, "l3book_http_requests_total", **asked) == value(first, "l3book_http_requests_total", **asked) + 5
    assert value(last, "l3book_http_requests_total", **{**asked, "status": "404"}) == 1
    name = "l3book_http_request_duration_seconds"
    assert value(last, f"{name}_count", **route) == value(first, f"{name}_count", **route) + 6
    assert value(last, f"{name}_sum", **route) > value(first, f"{name}_sum", **route)
    for duration in ("l3book_apply_duration_seconds", "l3book_snapshot_duration_seconds", name):
        series: dict[frozenset, list[tuple[float, float]]] = {}
        for (found, labels), count in last.items():
            if found == f"{duration}_bucket":
                bound = float(dict(labels)["le"])
                series.setdefault(labels - {("le", dict(labels)["le"])}, []).append((bound, count))
        assert series, duration
        for labels, buckets in series.items():
            counts = [count for _, count in sorted(buckets)]
            assert counts == sorted(counts), duration
            assert counts[-1] == last[f"{duration}_count", labels] > 0


def test_what_is_refused_at_the_door_counts_for_the_route_that_was_asked_for(server: RunningServer) -> None:
    answer = server.client.post(f"{server.url}/v1/exports", headers={"Idempotency-Key": "x" * 1_000}, json={})
    assert answer.status_code == httpx.codes.BAD_REQUEST
    asked = {"method": "POST", "route": "/v1/exports", "status": "400"}
    assert value(scraped(server), "l3book_http_requests_total", **asked) == 1


def test_nobody_can_make_new_series(server: RunningServer) -> None:
    before = len([name for name, _ in scraped(server) if name == "l3book_http_requests_total"])
    for n in range(20):
        server.get(f"/nowhere/{n}")
        server.client.request(f"MADEUP{n}", "/v1/instruments")
    after = [labels for name, labels in scraped(server) if name == "l3book_http_requests_total"]
    assert len(after) <= before + 4, after


def test_openmetrics_is_told_to_those_who_ask_for_it(server: RunningServer) -> None:
    answer = server.get("/metrics", headers={"Accept": OPENMETRICS}).raise_for_status()
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert "l3book_records" in {family.name for family in openmetrics_families(answer.text)}


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    return found


def test_promtool_finds_nothing_to_mend(server: RunningServer) -> None:
    checked = subprocess.run(
        [promtool(), "check", "metrics"],
        input=server.get("/metrics").content,
        capture_output=True,
        check=False,
        timeout=60,
    )
    # process_* are prometheus_client's.
    complaints = [line for line in checked.stderr.decode().splitlines() if line.startswith("l3book_")]
    assert not complaints


@pytest.mark.parametrize("arguments", [("check", "rules", "rules.yml"), ("test", "rules", "rules.test.yml")], ids=str)
def test_the_rules_are_good_and_do_what_their_tests_say(arguments: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [promtool(), *arguments], cwd=DEPLOY, capture_output=True, check=False, timeout=60, encoding="utf-8"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_rule_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    broken = tmp_path / "rules.yml"
    broken.write_text((DEPLOY / "rules.yml").read_text().replace("> 0.5", "> > 0.5", 1))
    ran = subprocess.run([promtool(), "check", "rules", broken], capture_output=True, check=False, timeout=60)
    assert ran.returncode != 0
