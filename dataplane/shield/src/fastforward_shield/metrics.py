"""Hops as Prometheus metrics, read when they are scraped: a call pays nothing for them.

In: the hops of a process. Out: metric families, `ff_hop_*{hop}`. Registered once, by a workload's bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .breaker import State
from .hop import Hop, HopState

_COUNTERS: tuple[tuple[str, str, Callable[[HopState], float]], ...] = (
    ("calls", "Calls.", lambda hop: hop.counts.calls),
    ("failures", "Calls that ended without an answer of the callee.", lambda hop: hop.counts.failures),
    ("tries", "Tries that reached the callee.", lambda hop: hop.counts.tries),
    ("retries", "Tries after a failed one.", lambda hop: hop.counts.retries),
    ("hedges", "Tries beside a slow one.", lambda hop: hop.counts.hedges),
    ("out_of_time", "Calls whose deadline passed.", lambda hop: hop.counts.out_of_time),
    ("saturated", "Calls for which the bulkhead had no place.", lambda hop: hop.counts.saturated),
    ("short_circuited", "Tries that an open circuit breaker refused.", lambda hop: hop.counts.short_circuited),
    ("opened", "How often the circuit breaker opened.", lambda hop: hop.opened),
)
_GAUGES: tuple[tuple[str, str, Callable[[HopState], float | None]], ...] = (
    ("in_flight", "Calls that have a place in the bulkhead.", lambda hop: hop.in_flight),
    ("waiting", "Calls that wait for a place.", lambda hop: hop.waiting),
    ("limit", "Places in the bulkhead.", lambda hop: hop.limit),
    ("retries_left", "What the retry budget holds.", lambda hop: hop.retries_left),
    ("open", "Whether the circuit breaker is open: 1, half open 0.5.", lambda hop: _OPEN.get(hop.breaker)),
)
_OPEN: dict[State | None, float] = {State.CLOSED: 0.0, State.HALF_OPEN: 0.5, State.OPEN: 1.0}


class HopCollector(Collector):
    """What all hops have to tell."""

    def __init__(self, hops: Iterable[Hop]) -> None:
        """`hops` is asked for again at each scrape, so it may grow."""
        self._hops = hops

    def collect(self) -> Iterator[Metric]:
        states = [hop.state() for hop in self._hops]
        for name, help_text, value in _COUNTERS:
            counter = CounterMetricFamily(f"ff_hop_{name}", help_text, labels=["hop"])
            for state in states:
                counter.add_metric([state.name], value(state))
            yield counter
        for name, help_text, reading in _GAUGES:
            gauge = GaugeMetricFamily(f"ff_hop_{name}", help_text, labels=["hop"])
            for state in states:
                if (read := reading(state)) is not None:
                    gauge.add_metric([state.name], read)
            yield gauge
