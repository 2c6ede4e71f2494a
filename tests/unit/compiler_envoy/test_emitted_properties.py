"""What holds for every World: step by step, proxies and decision services are told what they would be told at once."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from fastforward_compiler import Compiler, ir
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyEmitter
from fastforward_compiler.emit.envoy.chain import LIMITS, SHADOW_LIMITS
from fastforward_compiler.emit.envoy.resource import EXTENSION
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import gatewayapi_worlds, tenant_worlds, worlds
from support.following import from_nothing
from support.worlds import Batch

WORLDS = {
    "any": worlds.histories(),
    "tenants": tenant_worlds.histories(),
    "gatewayapi": worlds.histories(of=gatewayapi_worlds.objects(), on=gatewayapi_worlds.ground),
}


class Told:
    """What is there after some steps, by name: the versions of Envoy's resources and of the decision snapshot's."""

    def __init__(self) -> None:
        self._envoy, self._decision = EnvoyEmitter(EmitSettings()), DecisionEmitter()
        self.versions: dict[object, str] = {}

    def take_in(self, delta: ir.Delta) -> None:
        proxies, decision = self._envoy.apply(delta), self._decision.apply(delta)
        for gone in (*proxies.removed, *decision.removed):
            del self.versions[gone]
        self.versions.update((made.id, made.version) for made in proxies.upserts)
        self.versions.update((made.name, made.version) for made in decision.upserts)

    @property
    def lasting(self) -> dict[object, str]:
        """Without the filters of limits, which keep the room that routes once needed."""
        growing = {(EXTENSION, LIMITS), (EXTENSION, SHADOW_LIMITS)}
        return {name: version for name, version in self.versions.items() if name not in growing}


def at_once(compiler: Compiler) -> ir.Delta:
    snapshot = compiler.snapshot()
    changes: dict[str, Any] = {
        field.name: ir.Changes(upserts=getattr(snapshot, field.name)) for field in fields(snapshot)
    }
    return ir.Delta(**changes)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
@pytest.mark.parametrize("world", sorted(WORLDS))
def test_any_way_to_the_same_objects_is_told_as_the_same(world: str, data: st.DataObject) -> None:
    history: list[Batch] = data.draw(WORLDS[world])
    compiler, told, expected = Compiler(), Told(), Told()
    for batch in history:
        told.take_in(compiler.apply(batch))
    expected.take_in(at_once(from_nothing(history)))
    assert told.lasting == expected.lasting
