"""The metrics as text, in the format that the scraper asks for."""

from collections.abc import Callable, Iterator
from typing import Any, cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from l3book.buckets import Buckets
from l3book.prometheus.families import FAMILIES, NS_PER_S, Family, Told

_MAKERS = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}


class Exposition(Collector):
    """All families of one server, and those of its process where the system tells them (Linux)."""

    def __init__(self, tell: Callable[[], Told]) -> None:
        self._tell = tell
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Everything now, and its content type. For the event loop's thread."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def describe(self) -> list[Metric]:
        """Nothing: `collect` is not to be called before somebody asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family that has a series."""
        told = self._tell()
        for family in FAMILIES:
            metric = _metric(family, told)
            if metric.samples:
                yield metric


def _metric(family: Family, told: Told) -> Metric:
    # What makes a metric has no types for what its kind takes.
    metric: Any = _MAKERS[family.kind](family.name, family.text, labels=family.labels)
    for labels, value in family.read(told):
        if isinstance(value, Buckets):
            metric.add_metric(labels, _cumulative(value), value.sum_ns / NS_PER_S)
        else:
            metric.add_metric(labels, value)
    return cast("Metric", metric)


def _cumulative(buckets: Buckets) -> list[tuple[str, int]]:
    """Pairs of upper bound in seconds and how many took at most so long."""
    bounds = [*(repr(bound_ns / NS_PER_S) for bound_ns in buckets.bounds_ns), "+Inf"]
    counted, total = [], 0
    # A copy: another thread may be adding.
    for bound, count in zip(bounds, tuple(buckets.counts), strict=True):
        total += count
        counted.append((bound, total))
    return counted
