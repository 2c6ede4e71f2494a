"""Counting that costs next to nothing, shown to Prometheus when it asks.

`prometheus_client`'s own metrics take a lock and about two microseconds a call, which a request path that decides in
fifty cannot spare. These are plain numbers, changed on the event loop only and read when /metrics is.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

LATENCY_BOUNDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
"""Seconds. A decision takes about 50 us in process and is cut off at some 50 ms."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Tally(Collector):
    """A counter by labels: `tally.counts[label values] += 1`."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...]) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self.counts: defaultdict[tuple[str, ...], int] = defaultdict(int)

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, count in tuple(self.counts.items()):
            family.add_metric(values, count)
        yield family


class Series:
    """Durations in buckets: `series.observe(seconds)`."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        """Writes it down as Prometheus wants it: each bucket with all below it."""
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else repr(bound), float(total)))
        family.add_metric(labels, buckets, sum_value=self._sum)


class Latency(Collector):
    """A histogram of seconds: `latency.observe(seconds)`."""

    def __init__(self, name: str, documentation: str, bounds: tuple[float, ...] = LATENCY_BOUNDS) -> None:
        self._name = name
        self._documentation = documentation
        self._series = Series(bounds)
        self.observe = self._series.observe

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation)
        self._series.add_to(family, ())
        yield family


class Latencies(Collector):
    """A histogram of seconds by labels: `latencies.series[label values].observe(seconds)`."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self.series: defaultdict[tuple[str, ...], Series] = defaultdict(lambda: Series(bounds))

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, series in tuple(self.series.items()):
            series.add_to(family, values)
        yield family


def new_registry() -> CollectorRegistry:
    """Returns a registry that already tells of the process and of its garbage collection."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """Returns all metrics in the text format."""
    return generate_latest(registry)
