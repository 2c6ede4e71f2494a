"""Looks what the cluster has made of what the data plane applied: addresses of Gateways, how pods fare, their Secrets.

In: the data plane's Edges and Workloads. Out: what is told to the pool of addresses and to the status board. Called by
bootstrap. Every replica looks, for each tells its own proxies and readers. Level-based: what is said goes when it is no
longer so, whatever was missed. Deployments are watched, for each is large; pods are asked for only of those that are
not whole. A Deployment says by its annotation what it is made of: an older one says nothing of the newest version.
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
from fastforward_compiler.problem import ConditionType, ObjectRef, Problem, Reason, problem

from fastforward_operator.podstate import PodState

from .client import ApiError, Event, pages
from .dataplane import DIGEST, DataPlane, made_for
from .kinds import collection
from .podsecrets import WORKLOADS, PodSecrets, held_by, is_for
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
    """Told by which addresses and host names the cluster leads to the Service of a Gateway."""
    on_pods: Callable[[ObjectRef, PodState | None], None] = lambda *_: None
    """Told how the pods of an object fare; None where it has none any more."""
    _deployments: dict[str, Mapping[str, Any]] | None = None
    """By name, what they say of themselves; None before they were listed."""
    _states: dict[ObjectRef, PodState] = field(default_factory=dict)
    _said: dict[ObjectRef, int] = field(default_factory=dict)
    """Of which generation Workloads say on the API server that it is Programmed, whoever wrote that."""
    _failing: dict[ObjectRef, str] = field(default_factory=dict)
    """Why an object's pods can't be looked at."""
    _addressed: set[str] = field(default_factory=set)
    """Gateways whose Services had addresses."""
    _listed: asyncio.Event = field(default_factory=asyncio.Event)

    def recall(self, ref: ObjectRef, status: Mapping[str, Any] | None) -> None:
        """What an object says on the API server; None for one that is gone."""
        if ref.kind != "Workload":
            return
        self._said.pop(ref, None)
        for each in (status or {}).get("conditions", ()):
            if (each.get("type"), each.get("status")) == (ConditionType.PROGRAMMED, "True"):
                self._said[ref] = each.get("observedGeneration", 0)

    def observe(self, changed: Collection[Names], gone: Collection[Names]) -> None:
        """What is wanted changed: nobody has seen pods of that yet."""
        refs = {made_for(names) for names in changed if self._has_pods(names)}
        for ref in {made_for(names) for names in gone} | {made_for(names) for names in changed}:
            if ref in refs:
                self._tell(ref, replace(self._states.get(ref, PodState()), complete=False, held=False))
            else:
                self._failing.pop(ref, None)
                self._tell(ref, None)

    async def run(self) -> None:
        """Until cancelled."""
        await self.plane.authority.ready.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self.follow))
            group.create_task(self._repeat(self.look_at_addresses))
            # At once then: until somebody has looked, all that can be said is that pods are on their way.
            await self._listed.wait()
            group.create_task(self._repeat(self.look_at_pods))

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
        self._listed.set()
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

    def _has_pods(self, names: Names) -> bool:
        value = self.plane.values.get(names)
        return isinstance(value, ir.Workload) or (value is not None and value.proxies.managed)

    async def look_at_addresses(self) -> None:
        """Once, at all Gateways'. Raises as Client does."""
        gateways = {names.base: names for names in self.plane.values if names.owner.endswith(ir.GATEWAY)}
        if not gateways and not self._addressed:
            return
        path = collection("v1", "Service", self.plane.settings.namespace)
        found = {
            names.owner.removesuffix(ir.GATEWAY): addresses_of(each)
            async for each in self.plane.client.each(path, self.plane.selector)
            if (names := gateways.get(each["metadata"]["name"])) is not None
        }
        # Of a Gateway that is gone, or has no Service any more, others may have the addresses by now.
        for gateway in sorted(found.keys() | self._addressed):
            self.on_addresses(gateway, found.get(gateway, ()))
        self._addressed = {gateway for gateway, addresses in found.items() if addresses}

    async def look_at_pods(self) -> None:
        """Once, at all. Of what can't be looked at stays what was told, and the rest is looked at."""
        secrets: Secrets = {}
        if self._deployments is None:
            return
        for names in [names for names in self.plane.values if self._has_pods(names)]:
            ref, failing = made_for(names), ""
            try:
                await self._look_at(names, secrets)
            except _OF_THE_WORLD as error:
                failing = str(error) or type(error).__name__
            before = self._failing.pop(ref, "")
            # What is gone meanwhile fails no more.
            if failing and self._has_pods(names):
                self._failing[ref] = failing
                if failing != before:
                    _log.error("pods can't be looked at", object=str(ref), error=failing)

    async def _look_at(self, names: Names, secrets: Secrets) -> None:
        found = (self._deployments or {}).get(names.base)
        if found is None:
            state = self._not_there(names)
        else:
            state = state_of(found, [] if is_whole(found) else await self._pods_of(names))
        problems = tuple([each async for each in self._wrong_with_secrets(names, secrets)])
        # What is wanted may have changed while the cluster was asked: with that the Deployment is compared.
        if self._has_pods(names):
            ref = made_for(names)
            ours = found is not None and found["digest"] == self.plane.digest(names)
            held = ref in self._said and self._said[ref] == self.plane.generations.get(ref)
            self._tell(ref, replace(state, complete=state.complete and ours, held=held, problems=problems))

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
        held = (self._deployments or {}).get(names.base, {}).get("secrets", ())
        for where, (name, key) in secrets_of(value):
            if name not in secrets:
                secrets[name] = await PodSecrets(self.plane.client, namespace).read(name)
            told = f"{namespace}/{name}"
            for each in wrong_with(made_for(names), where, told, key, secrets[name], has=name in held):
                yield each

    def _tell(self, ref: ObjectRef, state: PodState | None) -> None:
        if self._states.get(ref) == state:
            return
        if state is None:
            self._states.pop(ref, None)
        else:
            self._states[ref] = state
        self.on_pods(ref, state)


def addresses_of(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a Service is reached: from outside, or within the cluster where it is for that alone."""
    spec = service.get("spec") or {}
    if spec.get("type", "ClusterIP") == "LoadBalancer":
        ingress = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
        return tuple(each.get("ip") or each["hostname"] for each in ingress if each.get("ip") or each.get("hostname"))
    return tuple(each for each in spec.get("clusterIPs") or () if each not in ("", "None"))


def _brief(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is read of it."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    return {
        "digest": (metadata.get("annotations") or {}).get(DIGEST, ""),
        "metadata": {"generation": metadata.get("generation", 0)},
        "spec": {"replicas": spec.get("replicas", 1)},
        "secrets": held_by(deployment),
        "status": deployment.get("status") or {},
    }


def wrong_with(
    on: ObjectRef, where: str, secret: str, key: str, found: Mapping[str, Any] | None, *, has: bool
) -> Iterator[Problem]:
    """Yields that a Secret, or this key of it, is not there; `secret` is NAMESPACE/NAME. `has`: pods were given it.

    Of one that is not for the Workload the same is said as of one that is not there: nobody learns by trying.
    """
    workload = f"{on.namespace}/{on.name}"
    if found is None or not is_for(workload, found):
        why, mend = "was not found", "Create it."
        if not secret.startswith(f"{on.namespace}/"):
            why, mend = f"{why}, or is not for {workload}", f"Create it, or let its annotation {WORKLOADS} name this."
        goes_on = "pods that have it keep it until their Deployment is deleted" if has else "they wait for it"
        message = f"Secret {secret}, in the namespace of the pods, {why}: {goes_on}. {mend}"
        yield problem(on, Reason.SECRET_NOT_FOUND, where, message)
    elif key not in (found.get("data") or {}):
        yield problem(on, Reason.SECRET_INVALID, where, f"Secret {secret} has no key {key}. Add it.")
