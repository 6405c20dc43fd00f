#!/usr/bin/env python3
"""Write l3book.json, the dashboard, beside itself. A test holds every query against the metrics there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("l3book.json")
WIDTH = 24
PANEL_WIDTH, PANEL_HEIGHT = 8, 7
SOURCE = {"type": "prometheus", "uid": "${source}"}
HERE = '{job="$job", instance=~"$instance"}'


def _of(more: str) -> str:
    return HERE[:-1] + ", " + more + "}"


def _quantiles(name: str, more: str = "") -> list[tuple[str, str]]:
    where = _of(more) if more else HERE
    return [
        (
            f"histogram_quantile({share}, sum by (le) (rate({name}_bucket{where}[$__rate_interval])))",
            f"p{share * 100:g}",
        )
        for share in (0.5, 0.9, 0.99)
    ]


def _rate(name: str, by: str = "", more: str = "") -> tuple[str, str]:
    where = _of(more) if more else HERE
    return f"sum{f' by ({by})' if by else ''} (rate({name}{where}[$__rate_interval]))", f"{{{{{by}}}}}" if by else name


ROWS: list[tuple[str, list[tuple[str, str, list[tuple[str, str]]]]]] = [
    (
        "Feed and books",
        [
            ("Records", "ops", [_rate("l3book_records_total", "action")]),
            ("Events", "ops", [_rate("l3book_events_total")]),
            ("Received", "Bps", [_rate("l3book_received_bytes_total")]),
            ("Apply one record", "s", _quantiles("l3book_apply_duration_seconds")),
            ("Chunk: receipt to applied", "s", _quantiles("l3book_feed_duration_seconds")),
            ("Behind the feed", "s", [(f"l3book_source_lag_seconds{HERE}", "{{instance}}")]),
            ("Books by state", "short", [(f"sum by (state) (l3book_books{HERE})", "{{state}}")]),
            ("Resting orders", "short", [(f"l3book_resting_orders{HERE}", "{{instance}}")]),
            (
                "Reconnections and overloads",
                "ops",
                [_rate("l3book_source_reconnects_total"), _rate("l3book_source_overloads_total")],
            ),
            (
                "Not applied",
                "ops",
                [
                    _rate("l3book_feed_dropped_records_total", "reason"),
                    _rate("l3book_rejected_records_total", "reason"),
                ],
            ),
            (
                "Odd records",
                "ops",
                [_rate("l3book_odd_records_total", "kind"), _rate("l3book_feed_odd_messages_total", "kind")],
            ),
            ("State of the source", "short", [(f"max by (state) (l3book_source_state{HERE}) == 1", "{{state}}")]),
            ("Waiting to be read", "bytes", [(f"l3book_source_waiting_bytes{HERE}", "{{instance}}")]),
            (
                "Losses and doubts",
                "short",
                [
                    (
                        f"sum by (reason) (increase(l3book_source_losses_total{HERE}[$__rate_interval]))",
                        "lost: {{reason}}",
                    ),
                    (f"sum by (reason) (increase(l3book_feed_suspicions_total{HERE}[$__rate_interval]))", "{{reason}}"),
                    (f"sum(increase(l3book_feed_gaps_total{HERE}[$__rate_interval]))", "gaps"),
                ],
            ),
        ],
    ),
    (
        "Serving",
        [
            ("Requests", "reqps", [_rate("l3book_http_requests_total", "status")]),
            (
                "Answering a book",
                "s",
                _quantiles("l3book_http_request_duration_seconds", 'route="/v1/books/{instrument}"'),
            ),
            ("Encoding a book", "s", _quantiles("l3book_snapshot_duration_seconds")),
            (
                "Sockets and subscriptions",
                "short",
                [
                    (f"l3book_websocket_sockets{HERE}", "sockets"),
                    (f"l3book_websocket_subscriptions{HERE}", "subscriptions"),
                    (f"l3book_websocket_groups{HERE}", "groups"),
                ],
            ),
            ("Messages to sockets", "ops", [_rate("l3book_websocket_messages_total")]),
            (
                "Slow clients",
                "ops",
                [
                    _rate("l3book_websocket_conflated_total"),
                    _rate("l3book_websocket_gaps_total"),
                    _rate("l3book_websocket_slow_closed_total"),
                ],
            ),
            ("Publishing one group", "s", _quantiles("l3book_publish_duration_seconds")),
            ("Event loop lag", "s", _quantiles("l3book_event_loop_lag_seconds")),
            ("Refused at the door", "ops", [_rate("l3book_refusals_total", "reason")]),
            ("Connections", "short", [(f"l3book_connections{HERE}", "{{instance}}")]),
            ("What became of connections", "ops", [_rate("l3book_connection_outcomes_total", "outcome")]),
            ("Polls left out", "ops", [_rate("l3book_websocket_late_ticks_total")]),
        ],
    ),
    (
        "History",
        [
            ("Written to the log", "Bps", [_rate("l3book_history_written_bytes_total")]),
            (
                "Queue to the log",
                "bytes",
                [
                    (f"l3book_history_queue_bytes{HERE}", "waiting"),
                    (f"l3book_history_queue_limit_bytes{HERE}", "limit"),
                ],
            ),
            ("fsync, p99", "s", [(f"l3book_history_fsync_p99_seconds{HERE}", "{{instance}}")]),
            ("Records missing in the log", "short", [(f"l3book_history_lost_records_total{HERE}", "{{instance}}")]),
            ("Tables behind the log", "s", [(f"l3book_history_indexing_lag_seconds{HERE}", "{{instance}}")]),
            ("Rows", "ops", [_rate("l3book_history_rows_total")]),
            ("State of the recording", "short", [(f"max by (state) (l3book_history_state{HERE}) == 1", "{{state}}")]),
            (
                "State of the tables",
                "short",
                [(f"max by (state) (l3book_history_indexing_state{HERE}) == 1", "{{state}}")],
            ),
            (
                "Errors of disk and store",
                "ops",
                [_rate("l3book_history_write_errors_total"), _rate("l3book_history_indexing_errors_total")],
            ),
        ],
    ),
    (
        "Process",
        [
            ("Processor", "percentunit", [_rate("process_cpu_seconds_total")]),
            ("Memory", "bytes", [(f"process_resident_memory_bytes{HERE}", "{{instance}}")]),
            ("Open files", "short", [(f"process_open_fds{HERE}", "{{instance}}")]),
            ("Log lines", "ops", [_rate("l3book_log_lines_total", "level")]),
            ("Log lines held back", "ops", [_rate("l3book_log_held_back_lines_total")]),
            ("Spans", "ops", [_rate("l3book_trace_spans_total", "outcome")]),
        ],
    ),
]


def dashboard() -> dict[str, Any]:
    """Make the whole dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, charts in ROWS:
        panels.append(
            {
                "type": "row",
                "title": title,
                "id": len(panels) + 1,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
            }
        )
        y += 1
        for index, (name, unit, queries) in enumerate(charts):
            column, row = index % (WIDTH // PANEL_WIDTH), index // (WIDTH // PANEL_WIDTH)
            panels.append(_panel(len(panels) + 1, name, unit, queries, column * PANEL_WIDTH, y + row * PANEL_HEIGHT))
        y += -(-len(charts) // (WIDTH // PANEL_WIDTH)) * PANEL_HEIGHT
    return {
        "uid": "l3book",
        "title": "l3book",
        "tags": ["l3book"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "type": "datasource", "query": "prometheus", "label": "Data source"},
                _variable("job", "label_values(l3book_build_info, job)", is_multi=False),
                _variable("instance", 'label_values(l3book_build_info{job="$job"}, instance)', is_multi=True),
            ]
        },
        "panels": panels,
    }


def _variable(name: str, query: str, *, is_multi: bool) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": query,
        "refresh": 2,
        "multi": is_multi,
        "includeAll": is_multi,
    }


def _panel(number: int, title: str, unit: str, queries: list[tuple[str, str]], x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": PANEL_WIDTH, "h": PANEL_HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 8, "lineWidth": 1}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(queries)
        ],
    }


def text() -> str:
    """Give the file's content."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
