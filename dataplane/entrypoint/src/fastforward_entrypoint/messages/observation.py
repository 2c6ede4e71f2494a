"""Everything by which people see messages, put together: metrics, logs, the memory of the last ones, traces.

In: settings. Out: a Watch for the exchange, and what goes on beside. Called by bootstrap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastforward_kit.inspection import InspectionClient
from fastforward_kit.snapshot.client import Target
from fastforward_kit.telemetry import Tally
from fastforward_shield import Hop
from prometheus_client import CollectorRegistry

from fastforward_entrypoint.measures import MessageMeasures
from fastforward_entrypoint.settings import Settings

from .inquiries import Inquiries
from .memory import Memory
from .tracing import Tracer
from .watch import Watch

if TYPE_CHECKING:
    from fastforward_kit.otlp import SpanExporter


class Observation:
    """Nothing is opened before `run`."""

    def __init__(self, settings: Settings, registry: CollectorRegistry, operator: Target, hops: Iterable[Hop]) -> None:
        memory = Memory(settings.remembered_messages)
        self._exporter = _exporter(settings, registry)
        tracer = None if self._exporter is None else Tracer(self._exporter, settings.otlp_share)
        self.watch = Watch(MessageMeasures(registry), memory, tracer)
        self._inspections = InspectionClient(operator, settings.node, Inquiries(memory, hops).answer)

    async def run(self) -> None:
        """Answers inquiries and tells of traces, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._inspections.run())
            if self._exporter is not None:
                tasks.create_task(self._exporter.run())

    async def close(self) -> None:
        """Tells of what has ended meanwhile."""
        if self._exporter is not None:
            await self._exporter.close()


def _exporter(settings: Settings, registry: CollectorRegistry) -> SpanExporter | None:
    if settings.otlp_endpoint is None:
        return None
    # The client of HTTP takes its time to import: only whoever follows traces pays for it.
    from fastforward_kit.otlp import SpanExporter  # noqa: PLC0415

    resource = {"service.name": "fastforward-entrypoint", "service.instance.id": settings.node}
    outcomes = Tally("fastforward_spans", "Spans by what became of them.", ("outcome",))
    registry.register(outcomes)
    return SpanExporter(settings.otlp_endpoint, resource, outcomes)
