"""The goals of the design, line by line, and how each is read from the results of `make bench`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Group = dict[str, list[float]]
"""Nanoseconds per unit in each round, by competitor."""

NOT_HERE = "not measured here"


class MissingError(LookupError):
    """Why a number is not there."""


@dataclass(frozen=True)
class Results:
    """What the three benchmark programs have written down."""

    ratios: dict[str, Any]
    memory: dict[str, Any]
    python: dict[str, Group]
    missing: dict[str, str]
    """Why a test of the Python benchmark has no result."""
    wire: list[dict[str, Any]] = field(default_factory=list)
    """Latencies over the wire: name, rate (messages/s), messages, percentiles."""

    def group(self, name: str) -> Group:
        """The samples of a group of the Rust benchmarks, or of a test of the Python ones."""
        if name in self.ratios:
            if "missing" in self.ratios[name]:
                raise MissingError(self.ratios[name]["missing"])
            return samples(self.ratios[name]["cases"])
        if name in self.python:
            return self.python[name]
        raise MissingError(self.missing.get(name, "its benchmark did not run"))

    def ratio(self, group: str, ours: str, *others: str) -> float:
        """Median of the ratios within each round; of several floors, to the one that is fastest by its median."""
        cases = self.group(group)
        other = min((cases[name] for name in others), key=median)
        return median(a / b for a, b in zip(cases[ours], other, strict=True))

    def ns(self, group: str, case: str) -> float:
        return median(self.group(group)[case])

    def wire_percentile(self, name: str, rate: int, percentile: str) -> float:
        found = [row[percentile] for row in self.wire if (row["name"], row["rate"]) == (name, rate)]
        if not found:
            raise MissingError("its benchmark did not run")
        return float(found[0])

    def percentile(self, name: str) -> float:
        return float(self.ratios["latency b"]["apply"][name])


def samples(cases: list[dict[str, Any]]) -> Group:
    """Competitors as the benchmark programs write them, in their order."""
    return {case["name"]: case["ns"] for case in cases}


Measure = Callable[[Results], float]


@dataclass(frozen=True)
class Goal:
    """What is to be reached: at most so much, in this unit (× for ratios)."""

    what: str
    at_most: float
    unit: str
    measure: Measure


ID_MAPS = ("only the id map", "only the id map, prefetched")


def _apply(stream: str, *others: str) -> Measure:
    return lambda results: results.ratio(f"apply {stream}", "l3book Market", *others)


def _python(test: str, ours: str, other: str) -> Measure:
    return lambda results: results.ratio(test, ours, other)


def _ns(group: str, case: str) -> Measure:
    return lambda results: results.ns(group, case)


GOALS = [
    Goal("apply, one core, against the id-map-only floor, (b)", 1.8, "×", _apply("b", *ID_MAPS)),
    Goal("… (c)", 1.8, "×", _apply("c", *ID_MAPS)),
    Goal("apply against a plain BTreeMap, VecDeque and HashMap book, (b)", 0.35, "×", _apply("b", "naive book")),
    Goal("… (c)", 0.30, "×", _apply("c", "naive book")),
    Goal(
        "decode and apply from Python against nautilus_trader apply_deltas, (b)",
        0.08,
        "×",
        _python("test_nautilus_trader[b]", "Market.feed", "nautilus_trader apply_deltas"),
    ),
    Goal(
        "decode and apply from Python against hftbacktest L3 (with its queues), (b)",
        0.05,
        "×",
        _python("test_hftbacktest", "Market.feed", "hftbacktest L3"),
    ),
    Goal("apply p99 on (b), timer included", 200, "ns", lambda results: results.percentile("p99_ns")),
    Goal("apply p99.9 on (b), timer included", 500, "ns", lambda results: results.percentile("p99.9_ns")),
    Goal(
        ".dbn file → final books against decoding alone (dbn crate), (b)",
        3.5,
        "×",
        lambda results: results.ratio("file b .dbn", "feed_file .dbn", "dbn crate .dbn"),
    ),
    Goal(
        ".dbn.zst → final books, two cores, against decoding alone (dbn crate), (b)",
        1.25,
        "×",
        lambda results: results.ratio("file b .dbn.zst", "feed_file .dbn.zst", "dbn crate .dbn.zst"),
    ),
    Goal(
        "apply_mbo(56 bytes) against a call that does nothing",
        10,
        "×",
        _python("test_apply_mbo[56 bytes]", "apply_mbo(56 bytes)", "a call that does nothing"),
    ),
    Goal(
        "apply_mbo(MBOMsg) against a call that does nothing",
        10,
        "×",
        _python("test_apply_mbo[MBOMsg]", "apply_mbo(MBOMsg)", "a call that does nothing"),
    ),
    Goal("apply_mbo(56 bytes)", 120, "ns", _ns("test_apply_mbo[56 bytes]", "apply_mbo(56 bytes)")),
    Goal("apply_mbo(MBOMsg)", 220, "ns", _ns("test_apply_mbo[MBOMsg]", "apply_mbo(MBOMsg)")),
    Goal(
        "feed(64 KiB) from Python, per message, against the same loop in Rust",
        1.2,
        "×",
        _python("test_feed_64_kib", "Market.feed(64 KiB)", "the same loop in Rust"),
    ),
    Goal("snapshot(10) in Rust", 60, "ns", _ns("reads b", "snapshot(10)")),
    Goal(
        "snapshot(10) as a Python object",
        1_500,
        "ns",
        _ns("test_reads[snapshot(10) as an object]", "snapshot(10) as an object"),
    ),
    Goal(
        "snapshot(10) as JSON bytes, from Python",
        3_000,
        "ns",
        _ns("test_reads[snapshot(10) as JSON bytes]", "snapshot(10) as JSON bytes"),
    ),
    Goal(
        "wire → books over loopback TCP, sender on the other core (100 ns: 10 M messages/s)",
        100,
        "ns",
        _ns("test_wire_to_book", "tcp:// → books"),
    ),
    Goal(
        "500,000 messages/s from a gateway: received → books, p99",
        1_000_000,
        "ns",
        lambda results: results.wire_percentile("received → books, live://", 500_000, "p99_ns"),
    ),
    Goal("memory per resting order, (b)", 100, "bytes", lambda r: r.memory["memory b"]["l3book bytes per order"]),
    Goal("memory per resting order, (c)", 100, "bytes", lambda r: r.memory["memory c"]["l3book bytes per order"]),
    Goal(
        "memory after a simulated day of churn, to that at its start",
        1.01,
        "×",
        lambda r: r.memory["churn"]["last to first"],
    ),
]

ELSEWHERE = [
    "the whole server under load, with recording and WebSocket clients",
    "book as of any past instant",
]
"""Goals whose parts are not built, or which no benchmark of `make bench` measures."""
