"""What EntryPoint counts, for Prometheus.

Called by the endpoint for each decision, so each call costs well under a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fastforward_kit.telemetry import Latency, Tally
from fastforward_pipeline import Decision, Reason

if TYPE_CHECKING:
    from fastforward_entrypoint.counters.redis import RedisCounterStore
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Measures:
    """Decisions by outcome, and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = Tally("fastforward_decisions", "Decisions.", ("verdict", "stage", "reason"))
        self._shadow = Tally("fastforward_shadow_refusals", "What policies in the shadow would refuse.", ("policy",))
        self._latency = Latency("fastforward_decision_seconds", "Time for a decision, counters included.")
        for collector in (self._decisions, self._shadow, self._latency):
            registry.register(collector)

    def decided(self, decision: Decision, seconds: float) -> None:
        """Counts one decision."""
        self._latency.observe(seconds)
        if decision.allowed:
            self._decisions.counts["allowed", "", ""] += 1
        elif decision.reason is not None:
            self._decisions.counts["refused", decision.reason.stage, decision.reason.short] += 1
        for policy in decision.shadow:
            self._shadow.counts[policy,] += 1

    def undecided(self) -> None:
        """Counts a request that named no Plan."""
        self._decisions.counts["refused", Reason.PLAN_UNKNOWN.stage, Reason.PLAN_UNKNOWN.short] += 1


class RedisMeasures(Collector):
    """Whether Redis counts, and how often it did not."""

    def __init__(self, store: RedisCounterStore) -> None:
        self._store = store

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "fastforward_counter_store_up", "1 while Redis is asked.", int(not self._store.breaker.is_open)
        )
        family = CounterMetricFamily("fastforward_counter_store_errors", "Failures of Redis.", labels=("kind",))
        errors: Mapping[str, int] = dict(self._store.errors)
        for kind, count in errors.items():
            family.add_metric((kind,), count)
        yield family
