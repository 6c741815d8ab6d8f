"""Renders the metric table from one snapshot, in Prometheus's text format."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.observe.counted import Buckets
from bridge.observe.metrics import METRICS
from bridge.observe.reading import Metric, Scrape
from bridge.observe.snapshot import SnapshotSource

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
FAMILIES: dict[str, type[CounterMetricFamily | GaugeMetricFamily]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
}


class BridgeCollector(Collector):
    """Called by the registry on each scrape, in the main thread; takes one snapshot and renders all of it."""

    def __init__(
        self,
        source: SnapshotSource,
        *,
        logs_left_out: Callable[[], Mapping[str, int]] = dict,
        stalls: Callable[[], int] = int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._logs_left_out = logs_left_out
        self._stalls = stalls
        self._clock = clock

    def describe(self) -> list[Family]:
        """Nothing: the registry need not call `collect` to know our names, they are in the table."""
        return []

    def collect(self) -> Iterator[Family]:
        """All families, from one snapshot."""
        scrape = Scrape(
            now=self._clock(),
            snapshot=self._source.snapshot(),
            poll_age=self._source.poll_age(),
            version=__version__,
            python=platform.python_version(),
            logs_left_out=self._logs_left_out(),
            stalls=self._stalls(),
        )
        return (family(metric, scrape) for metric in METRICS)


def family(metric: Metric, scrape: Scrape) -> Family:
    """One metric with all its samples."""
    names = [label.name for label in metric.labels]
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=names)
        for values, value in metric.read(scrape):
            if isinstance(value, Buckets):
                histogram.add_metric(list(values), _cumulative(value), value.total)
        return histogram
    plain = FAMILIES[metric.kind](metric.name, metric.help, labels=names)
    for values, value in metric.read(scrape):
        if not isinstance(value, Buckets):
            plain.add_metric(list(values), value)
    return plain


def _cumulative(buckets: Buckets) -> list[tuple[str, float]]:
    edges = [*(str(bound) for bound in buckets.bounds), "+Inf"]
    return list(zip(edges, accumulate(buckets.counts), strict=True))


def registry(collector: BridgeCollector) -> CollectorRegistry:
    """A registry of its own with our metrics and those of the process."""
    made = CollectorRegistry(auto_describe=False)
    made.register(collector)
    ProcessCollector(registry=made)
    return made
