"""Looks what the cluster has made of what the data plane applied: addresses of Gateways, how pods fare, their Secrets.

In: the data plane's Edges and Workloads. Out: what is told to the pool of addresses and to the status board. Called by
bootstrap. Every replica looks, for each tells its own proxies and readers. Level-based: what is said goes when it is no
longer so, whatever was missed. Deployments are watched, for each is large; pods are asked for only of those that are
not whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import structlog
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import Names, secrets_of
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from fastforward_operator.podstate import PodState

from .client import ApiError, Event, pages
from .dataplane import DataPlane, collection, made_for
from .podwords import is_whole, state_of

_log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""How often it is looked."""
LIST_AGAIN_S = 300.0
"""How often Deployments are listed although their watch is well: what it lost is found then at the latest."""
_OF_THE_WORLD = (ApiError, aiohttp.ClientError, TimeoutError, OSError, ValueError)

Secrets = dict[str, Mapping[str, Any] | None]
"""Those that were asked for; None for what is not there."""


@dataclass(slots=True)
class Lookout:
    """One a process, of its data plane."""

    plane: DataPlane
    on_addresses: Callable[[str, Collection[str]], None] = lambda *_: None
    """Told which addresses the cluster gave the Service of a Gateway."""
    on_pods: Callable[[ObjectRef, PodState | None], None] = lambda *_: None
    """Told how the pods of an object fare; None where it has none any more."""
    _deployments: dict[str, Mapping[str, Any]] | None = None
    """By name, what they say of themselves; None before they were listed."""
    _states: dict[ObjectRef, PodState] = field(default_factory=dict)

    def observe(self, changed: Collection[Names], gone: Collection[Names]) -> None:
        """What is wanted changed: nobody has seen pods of that yet."""
        refs = {made_for(names) for names in changed if self._has_pods(names)}
        for ref in {made_for(names) for names in gone} | {made_for(names) for names in changed}:
            state = replace(self._states.get(ref, PodState()), complete=False) if ref in refs else None
            self._tell(ref, state)

    async def run(self) -> None:
        """Until cancelled."""
        await self.plane.authority.ready.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self.follow))
            group.create_task(self._repeat(self.look))

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> None:
        before = ""
        while True:
            failing = ""
            try:
                await work()
            except _OF_THE_WORLD as error:
                failing = str(error) or type(error).__name__
            if failing not in ("", before):
                _log.error("what the cluster has made can't be looked at", error=failing)
            before = failing
            await asyncio.sleep(LOOK_S)

    async def follow(self) -> None:
        """What Deployments say of themselves, for a while. Raises as Client does."""
        client, clock = self.plane.client, asyncio.get_running_loop().time
        path, selector = collection("apps/v1", "Deployment", self.plane.settings.namespace), self.plane.selector
        found, version = {}, ""
        async for page in pages(client, path, selector):
            found |= {each["metadata"]["name"]: _brief(each) for each in page.objects}
            version = page.version
        self._deployments, until = found, clock() + LIST_AGAIN_S
        while clock() < until:
            async with aclosing(client.watch(path, selector, version)) as events:
                async for event in events:
                    version = event.object["metadata"]["resourceVersion"]
                    self._note(event)

    def _note(self, event: Event) -> None:
        if self._deployments is None or event.type == "BOOKMARK":
            return
        name = event.object["metadata"]["name"]
        if event.type == "DELETED":
            self._deployments.pop(name, None)
        else:
            self._deployments[name] = _brief(event.object)

    async def look(self) -> None:
        """Once, at everything. Raises as Client does."""
        values = self.plane.values
        gateways = {names.base: names for names in values if names.owner.endswith(ir.GATEWAY)}
        if gateways:
            await self._look_at_addresses(gateways)
        if self._deployments is not None:
            await self._look_at_pods([names for names in values if self._has_pods(names)])

    def _has_pods(self, names: Names) -> bool:
        value = self.plane.values.get(names)
        return isinstance(value, ir.Workload) or (value is not None and value.proxies.managed)

    async def _look_at_addresses(self, gateways: Mapping[str, Names]) -> None:
        path = collection("v1", "Service", self.plane.settings.namespace)
        async for found in self.plane.client.each(path, self.plane.selector):
            names = gateways.get(found["metadata"]["name"])
            if names is not None:
                ingress = (found.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
                addresses = [each["ip"] for each in ingress if each.get("ip")]
                self.on_addresses(names.owner.removesuffix(ir.GATEWAY), addresses)

    async def _look_at_pods(self, wanted: Collection[Names]) -> None:
        secrets: Secrets = {}
        for names in wanted:
            found = (self._deployments or {}).get(names.base)
            if found is None:
                state = self._not_there(names)
            else:
                state = state_of(found, [] if is_whole(found) else await self._pods_of(names))
            problems = tuple([each async for each in self._wrong_with_secrets(names, secrets)])
            state = replace(state, complete=state.complete and self.plane.is_applied(names), problems=problems)
            # What is wanted may have changed while the cluster was asked.
            if self._has_pods(names):
                self._tell(made_for(names), state)

    def _not_there(self, names: Names) -> PodState:
        value = self.plane.values.get(names)
        if value is None:
            return PodState()
        pods = value.pods if isinstance(value, ir.Workload) else value.proxies.pods
        return PodState(wanted=pods.replicas)

    async def _pods_of(self, names: Names) -> list[Mapping[str, Any]]:
        path = f"/api/v1/namespaces/{self.plane.settings.namespace}/pods"
        selector = ",".join(f"{name}={value}" for name, value in names.selector.items())
        return [pod async for pod in self.plane.client.each(path, selector)]

    async def _wrong_with_secrets(self, names: Names, secrets: Secrets) -> Any:  # noqa: ANN401 - an asynchronous generator
        value, namespace = self.plane.values.get(names), self.plane.settings.namespace
        if not isinstance(value, ir.Workload):
            return
        for where, (name, key) in secrets_of(value):
            if name not in secrets:
                secrets[name] = await self.plane.client.read(f"{collection('v1', 'Secret', namespace)}/{name}")
            for each in wrong_with(made_for(names), where, f"{namespace}/{name}", key, secrets[name]):
                yield each

    def _tell(self, ref: ObjectRef, state: PodState | None) -> None:
        if self._states.get(ref) == state:
            return
        if state is None:
            self._states.pop(ref, None)
        else:
            self._states[ref] = state
        self.on_pods(ref, state)


def _brief(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is read of it."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    return {
        "metadata": {"generation": metadata.get("generation", 0)},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": deployment.get("status") or {},
    }


def wrong_with(on: ObjectRef, where: str, secret: str, key: str, found: Mapping[str, Any] | None) -> Iterator[Problem]:
    """Yields that a Secret, or this key of it, is not there; `secret` is NAMESPACE/NAME."""
    if found is None:
        message = f"Secret {secret}, in the namespace of the pods, was not found: they wait for it. Create it."
        yield problem(on, Reason.SECRET_NOT_FOUND, where, message)
    elif key not in (found.get("data") or {}):
        yield problem(on, Reason.SECRET_INVALID, where, f"Secret {secret} has no key {key}. Add it.")
