"""Logs and metrics of the operator.

In: what the other modules count and time. Out: one JSON object a line on standard error, and Prometheus metrics in a
registry of their own. Called by bootstrap. Nothing secret is ever passed to a logger.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter as Tally
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime

import structlog
from fastforward_compiler.problem import ObjectRef
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from structlog.typing import Processor

from .objectstatus import ObjectStatus

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def configure_logs(*, level: str, style: str) -> None:
    """Send records of `level` and worse to standard error, rendered as `json` or for a `console`."""
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if style == "console"
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


class Metrics:
    """Everything that is counted; names as Prometheus shows them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        registry = self.registry
        self._objects = Gauge("ff_objects", "Objects, by kind.", ("kind",), registry=registry)
        self._problems = Gauge("ff_problems", "Problems of objects, by reason.", ("reason",), registry=registry)
        self._programmed = Gauge("ff_objects_programmed", "Objects that are programmed.", ("kind",), registry=registry)
        self._stages = Histogram(
            "ff_stage_seconds", "Time of one step, by stage.", ("stage",), buckets=_SECONDS, registry=registry
        )
        self._changes = Histogram(
            "ff_change_seconds",
            "From a change being seen to a stage being reached.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._late = Histogram(
            "ff_schedule_late_seconds",
            "From a rule being due to begin or end to hold, to that being published.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.translated = Counter("ff_translated", "Objects translated again.", registry=registry)
        self.published = Counter("ff_published", "Resources published.", registry=registry)
        self.failures = Counter("ff_failures", "Steps that failed by a defect of ours.", registry=registry)
        self.refusals = Counter("ff_refusals", "Resources that a node refused.", registry=registry)
        self.nodes = Gauge("ff_nodes", "Connected nodes that count.", ("kind",), registry=registry)
        self._admissions = Counter(
            "ff_admissions", "Objects judged for admission.", ("kind", "verdict"), registry=registry
        )
        self._ends = Gauge(
            "ff_certificate_end_seconds", "When a certificate ends, in Unix time.", ("certificate",), registry=registry
        )
        self._admission = Histogram(
            "ff_admission_seconds", "Time of one judgement for admission.", buckets=_SECONDS, registry=registry
        )
        self._tally: dict[ObjectRef, ObjectStatus] = {}
        self._kinds: Tally[str] = Tally()
        self._reasons: Tally[str] = Tally()
        self._good: Tally[str] = Tally()

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time a stage: parse, compile, emit, publish."""
        start = time.perf_counter()
        yield
        self._stages.labels(name).observe(time.perf_counter() - start)

    def reached(self, stage: str, seen_at: float) -> None:
        """A change that was seen at a time of time.monotonic reached a stage."""
        self._changes.labels(stage).observe(time.monotonic() - seen_at)

    def scheduled(self, late_s: float) -> None:
        """Rules began or ended to hold, so late."""
        self._late.observe(late_s)

    def certified(self, name: str, ends: datetime) -> None:
        """A certificate is in use until then."""
        self._ends.labels(name).set(ends.timestamp())

    def admitted(self, kind: str, verdict: str, seconds: float) -> None:
        """An object was judged: allowed, warned or refused; or not, and then the verdict is the status of HTTP."""
        self._admissions.labels(kind, verdict).inc()
        self._admission.observe(seconds)

    def count(self, ref: ObjectRef, status: ObjectStatus | None) -> None:
        """Keep the gauges of objects in step with the statuses."""
        self._add(self._tally.pop(ref, None), -1)
        if status is not None:
            self._tally[ref] = status
            self._add(status, 1)

    def exposed(self) -> CollectorRegistry:
        """The registry, brought up to date."""
        gauges: tuple[tuple[Gauge, Mapping[str, int]], ...] = (
            (self._objects, self._kinds),
            (self._problems, self._reasons),
            (self._programmed, self._good),
        )
        for gauge, tally in gauges:
            for label, number in tally.items():
                gauge.labels(label).set(number)
        return self.registry

    def _add(self, status: ObjectStatus | None, number: int) -> None:
        if status is None:
            return
        self._kinds[status.ref.kind] += number
        for problem in status.problems:
            self._reasons[problem.reason] += number
        if status.conditions[-1].status == "True":
            self._good[status.ref.kind] += number
