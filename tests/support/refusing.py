"""An operator that makes resources which Envoy refuses: the emitter for proxies breaks what says "break me".

In: settings as the operator has them. Out: a pipeline for operators in a test's own process, or, as
`python -m support.refusing`, an operator as a process. Called by tests of refusals and by the benchmark `truth`. What
the operator itself emits is never refused, so a refusal has to be made.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from envoy.config.route.v3 import scoped_route_pb2
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyDelta, EnvoyEmitter
from fastforward_operator.bootstrap import bootstrap, emit_settings
from fastforward_operator.pipeline import Pipeline, new_pipeline
from fastforward_operator.settings import Settings
from fastforward_operator.telemetry import Metrics

BREAK = "break me"
"""A body of an answer."""


class BreakingEmitter:
    """Takes the key out of every table whose body says so; Envoy refuses that."""

    def __init__(self, settings: EmitSettings) -> None:
        self._emitter = EnvoyEmitter(settings)

    def apply(self, delta: ir.Delta) -> EnvoyDelta:
        made = self._emitter.apply(delta)
        upserts = tuple(
            replace(each, body=self._break(each.body), version=f"broken-{each.version}")
            if BREAK.encode() in each.body
            else each
            for each in made.upserts
        )
        return replace(made, upserts=upserts)

    @staticmethod
    def _break(body: bytes) -> bytes:
        scope = scoped_route_pb2.ScopedRouteConfiguration.FromString(body)
        scope.ClearField("key")
        return scope.SerializeToString(deterministic=True)


def breaking_pipeline(settings: EmitSettings, grace_s: float = 2.0) -> Pipeline:
    """As the operator's own, but for that emitter."""
    made = new_pipeline(settings, grace_s, Metrics())()
    return replace(made, proxies=replace(made.proxies, new_emitter=lambda: BreakingEmitter(settings)))


async def _run(settings: Settings) -> None:
    emitted = emit_settings(settings)
    operator = bootstrap(settings, lambda: breaking_pipeline(emitted, settings.removal_grace_s))
    await operator.start()
    await operator.wait()


if __name__ == "__main__":
    asyncio.run(_run(Settings.model_validate({})))
