"""What EntryPoint counts, for Prometheus.

Called by the endpoint for each decision, so each call costs well under a microsecond, and by watch for each message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fastforward_kit.telemetry import Latencies, Latency, Tally
from fastforward_pipeline import Decision, Reason
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.message import IN

if TYPE_CHECKING:
    from fastforward_kit.websocket import Guard

    from fastforward_entrypoint.counters.redis import RedisCounterStore
    from fastforward_entrypoint.messages.way import Record
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

MESSAGE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
"""Seconds. A message takes some two milliseconds, and its target as long as it likes until the deadline."""
STAGE_BOUNDS = (0.00005, 0.00025, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5)
"""Seconds; few, because there is a histogram for each stage."""
MOST_TYPES = 200
"""Types of messages that are told apart; all later ones are `other`."""


class Measures:
    """Decisions by outcome, and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = Tally("fastforward_decisions", "Decisions.", ("verdict", "stage", "reason"))
        self._shadow = Tally(
            "fastforward_shadow_refusals", "What policies in the shadow would refuse.", ("policy", "reason")
        )
        self._latency = Latency("fastforward_decision_seconds", "Time for a decision, counters included.")
        self._answers = Tally("fastforward_answers_judged", "Answers of upstreams, judged.", ("verdict", "reason"))
        for collector in (self._decisions, self._shadow, self._latency, self._answers):
            registry.register(collector)

    def decided(self, decision: Decision, seconds: float) -> None:
        """Counts one decision."""
        self._latency.observe(seconds)
        if decision.allowed:
            self._decisions.counts["allowed", "", ""] += 1
        elif decision.reason is not None:
            self._decisions.counts["refused", decision.reason.stage, decision.reason.short] += 1
        for refusal in decision.would_refuse:
            self._shadow.counts[refusal.object, refusal.reason.value] += 1

    def answered(self, refusal: Refusal | None, *, shadow: bool) -> None:
        """Counts one answer of an upstream."""
        if refusal is not None and shadow:
            self._shadow.counts[refusal.object, refusal.reason.value] += 1
        refused = refusal is not None and not shadow
        self._answers.counts["refused" if refused else "passed", "" if refusal is None else refusal.reason.short] += 1

    def undecided(self) -> None:
        """Counts a request that named no Plan."""
        self._decisions.counts["refused", Reason.PLAN_UNKNOWN.stage, Reason.PLAN_UNKNOWN.short] += 1

    def failed(self, stage: str, reason: str) -> None:
        """Counts a request that could not be judged, by what it was refused with."""
        self._decisions.counts["refused", stage, reason] += 1


class MessageMeasures:
    """Messages by what came of them, and how long they and their stages took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._messages = Tally("fastforward_messages", "Messages.", ("type", "verdict", "reason"))
        self._ends = Tally("fastforward_message_ends", "Where messages ended.", ("direction", "stage", "verdict"))
        self._seconds = Latency("fastforward_message_seconds", "Time for a message, in all.", MESSAGE_BOUNDS)
        self._stages = Latencies(
            "fastforward_message_stage_seconds",
            "Time for a stage of a message.",
            ("direction", "stage", "elsewhere"),
            STAGE_BOUNDS,
        )
        self._types: set[str] = set()
        for collector in (self._messages, self._ends, self._seconds, self._stages):
            registry.register(collector)

    def ended(self, record: Record, reason: str) -> None:
        """Counts a message. `reason` is one of ours, or stands for all others."""
        series, times, ended = self._stages.series, record.times, record.took_s
        for place, at in zip(reversed(record.places), reversed(times), strict=True):
            series[place].observe(ended - at)
            ended = at
        self._seconds.observe(record.took_s)
        self._messages.counts[self._type(record.type), record.verdict, reason] += 1
        if record.places:
            direction, stage, _ = record.places[-1]
            self._ends.counts[direction, stage, record.verdict] += 1

    def served(self, stage: str, seconds: float) -> None:
        """Counts a stage that ran here for others."""
        self._stages.series[IN, stage, ""].observe(seconds)

    def _type(self, type_: str) -> str:
        if type_ not in self._types:
            if len(self._types) >= MOST_TYPES:
                return "other"
            self._types.add(type_)
        return type_


class ConnectionMeasures(Collector):
    """Connections that clients hold open, those that have lost their standing, and failures to reach others."""

    def __init__(self, guard: Guard, errors: Mapping[str, int]) -> None:
        self._guard = guard
        self._errors = errors

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("fastforward_connections", "WebSockets that are open.", len(self._guard))
        closed = CounterMetricFamily(
            "fastforward_connections_closed", "Connections whose callers may not have them any more.", labels=("why",)
        )
        for why, count in dict(self._guard.closed).items():
            closed.add_metric((why,), count)
        yield closed
        errors = CounterMetricFamily(
            "fastforward_peer_errors", "Failures to reach connections of other processes.", labels=("kind",)
        )
        for kind, count in dict(self._errors).items():
            errors.add_metric((kind,), count)
        yield errors


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
