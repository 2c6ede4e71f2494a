"""Keeps the pods of the data plane as Edges and Workloads say: applies what is wanted, takes away what nobody wants.

In: steps of the compiler, which objects there are, the Authority. Out: requests to the API server, by the leader alone.
Called by bootstrap. Level-based: whatever was missed, undone by hand or left behind by another leader is mended by the
next pass over everything. What was made for an object that can't be read any more stays as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import aiohttp
import structlog
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import (
    COMPONENT,
    COMPONENTS,
    MANAGED,
    OWNER,
    TRAEFIK,
    Names,
    PodSettings,
    edge_names,
    emit_edge,
    emit_workload,
    owner_label,
    owner_of,
    workload_names,
)
from fastforward_compiler.problem import ObjectRef

from .authority import Authority
from .client import CONFLICT, NOT_FOUND, ApiError, Client
from .kinds import PLURALS, collection
from .podcertificates import is_stale, secret
from .podsecrets import PodSecrets, is_as_before, is_kept

_log = structlog.get_logger(__name__)

PASS_S = 60.0
"""How often everything is looked at although nothing changed."""
RETRY_S = 2.0
INSTALLATION = "gateway.fastforward.dev/installation"
"""Label of all that the operators of one lease make."""
DIGEST = "gateway.fastforward.dev/spec-digest"
"""Annotation of a Deployment: of what it was told to be. By it every replica knows whether what there is was made of
the version that it knows itself, whoever applied it and when."""
_OF_THE_WORLD = (ApiError, aiohttp.ClientError, TimeoutError, OSError, ValueError)

Document = Mapping[str, Any]
Change = object | None


@dataclass(slots=True)
class DataPlane:
    """One a process; only the leader's writes."""

    client: Client
    authority: Authority
    settings: PodSettings
    leads: Callable[[], bool]
    installation: str
    """Name of the lease: operators that watch other namespaces have another, and may run beside."""
    follows: Callable[[], bool] = lambda: True
    """Asked where it leads no more: whether another one was seen to, or nobody may have since."""
    on_values: Callable[[Collection[Names], Collection[Names]], None] = lambda *_: None
    """Told for which Edges and Workloads something else is wanted, and for which nothing any more."""
    on_fault: Callable[[ObjectRef, str], None] = lambda *_: None
    """Told why something is not as it should be, and with nothing that it is again."""
    applied: int = 0
    values: dict[Names, ir.Edge | ir.Workload] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    """Why something is not as it should be, by the Edge's or Workload's kind and name."""
    _there: set[ObjectRef] = field(default_factory=set)
    """Edges and Workloads that there are, readable or not."""
    generations: dict[ObjectRef, int] = field(default_factory=dict)
    """Of the Workloads' versions that `values` are made of."""
    _dirty: set[Names] = field(default_factory=set)
    _digests: dict[Names, str] = field(default_factory=dict)
    """Of those that were asked for."""
    _waiting: set[Names] = field(default_factory=set)
    """Workloads of which a Secret is not there, or not for them: their Deployments are not applied until it is."""
    _left: bool = False
    """Whether something that is to go may be there still: it changed after it was listed, or this process might not
    write."""
    _complete: bool = False
    """Whether everything there is has been seen."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def observe_objects(self, changes: Mapping[ObjectRef, Change]) -> None:
        """Which objects came and went."""
        ours = {ref: change for ref, change in changes.items() if ref.kind in ("Edge", "Gateway", "Workload")}
        for ref, change in ours.items():
            (self._there.discard if change is None else self._there.add)(ref)
        # A pass asks the API server for all that is made: a changed Route is no occasion.
        if ours or not self._complete:
            self._news.set()
        self._complete = True

    def observe_step(self, delta: ir.Delta) -> None:
        """What changed in Edges and Workloads."""
        changed: dict[Names, ir.Edge | ir.Workload] = {
            **{edge_names(edge.name): edge for edge in delta.edges.upserts},
            **{workload_names(each.name, each.component): each for each in delta.workloads.upserts},
        }
        of_workloads = (*(each.name for each in delta.workloads.upserts), *delta.workloads.removed)
        # What a Workload was before goes, too, when it becomes another component.
        gone = {*map(edge_names, delta.edges.removed)}
        gone |= {workload_names(name, component) for name in of_workloads for component in COMPONENTS}
        for names in gone | changed.keys():
            self.values.pop(names, None)
            self._digests.pop(names, None)
        self.values |= changed
        self._dirty |= changed.keys()
        for ref, report in delta.reports.items():
            if ref.kind == "Workload" and report is not None:
                self.generations[ref] = report.generation
            elif ref.kind == "Workload":
                self.generations.pop(ref, None)
        if changed or gone:
            self.on_values(changed.keys(), gone - changed.keys())
            self._news.set()

    def digest(self, names: Names) -> str:
        """What a Deployment is annotated with that is as it is wanted now; empty where none is wanted."""
        if names not in self._digests:
            specs = [each["spec"] for each in self._wanted(names) if each["kind"] == "Deployment"]
            self._digests[names] = digest_of(specs[0]) if specs else ""
        return self._digests[names]

    def wake(self) -> None:
        """Look at everything now: this process may write, or the authority changed."""
        self._dirty |= self.values.keys()
        self._news.set()

    def go_on(self) -> None:
        """Look at what changed meanwhile: this process may write again, and nobody else might."""
        if self._dirty or self._left:
            self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self.authority.ready.wait()
        clock = asyncio.get_running_loop().time
        looked = clock()
        while True:
            sweeps = True
            try:
                async with asyncio.timeout(RETRY_S if self.faults or self._left or self._waiting else PASS_S):
                    await self._news.wait()
            except TimeoutError:
                # A fault that lasts, such as a kind that is not installed, does not have all be applied again so often.
                if clock() - looked >= PASS_S:
                    looked = clock()
                    self._dirty |= self.values.keys()
                else:
                    # Nor does a Secret that is missing have all be listed.
                    sweeps = bool(self.faults) or self._left
            self._news.clear()
            if self._complete and self.leads():
                await self._pass(sweeps=sweeps)
            elif not self.leads():
                self._put_off()

    async def _pass(self, *, sweeps: bool = True) -> None:
        dirty, waiting = self._dirty, self._waiting
        self._dirty, self._waiting = set(), set()
        for names in sorted(dirty | waiting, key=lambda each: each.base):
            await self._try(_what(names), self._apply(names, waited=names not in dirty), names)
        if not sweeps:
            return
        self._left = False
        for api_version, kind in PLURALS:
            await self._try(f"what is to go of {kind}", self._sweep(api_version, kind))

    async def _try(self, what: str, work: Any, names: Names | None = None) -> None:  # noqa: ANN401 - a coroutine
        """One that fails holds up no other."""
        fault = ""
        try:
            await work
        except _OF_THE_WORLD as error:
            fault = str(error) or type(error).__name__
        leads = self.leads()
        if leads:
            self._note(what, names, fault)
        # Otherwise some of it was not written, and nobody knows of what was wrong whether it still is.
        if names is None:
            self._left |= not leads
        elif fault or not leads:
            self._dirty.add(names)

    def _note(self, what: str, names: Names | None, fault: str) -> None:
        before = self.faults.pop(what, "")
        if fault:
            self.faults[what] = fault
        if fault not in ("", before):
            _log.error("data plane", object=what, error=fault)
        if names is not None and (fault or before):
            self.on_fault(made_for(names), fault)

    def _put_off(self) -> None:
        """What there is to do is for who leads next, which may be this process again; then it is looked at."""
        self._left = True
        self._dirty |= self._waiting
        self._waiting.clear()
        if self.faults and self.follows():
            # What fails is for another one to say.
            for names in self._dirty | self.values.keys():
                self._note(_what(names), names, "")
            self.faults.clear()

    async def _apply(self, names: Names, *, waited: bool = False) -> None:
        """`waited`: all but the Deployment is as it should be."""
        if names not in self.values:
            return
        await self._certify(names)
        if not self.leads():
            # It may again in a moment, and what was left out here be forgotten.
            return
        if isinstance(self.values.get(names), ir.Workload):
            await self._withdraw(names)
        # What is looked at is what is applied, whatever is wanted meanwhile.
        value, wanted = self.values.get(names), self._wanted(names)
        only = await self._admit(value, wanted) if isinstance(value, ir.Workload) else {}
        if only is None:
            self._waiting.add(names)
        for document in wanted:
            if document["kind"] != "Deployment" and not waited:
                await self._put(document)
            elif document["kind"] == "Deployment" and only is not None:
                await self._put(document, only)

    async def _admit(self, workload: ir.Workload, wanted: list[dict[str, Any]]) -> Document | None:
        """Which Deployment may be applied: any, the one that is there, or, by None, none for want of Secrets."""
        others = await self._secrets.find_others(workload)
        if not others:
            return {}
        [deployment] = [each for each in wanted if each["kind"] == "Deployment"]
        found = await self.client.read(self._path_of(deployment))
        if found is None or any(each is None or is_kept(each) for each in others):
            return None
        # Pods that are replaced have what those before them had. One that somebody deletes meanwhile, to take a Secret
        # back, is not made again.
        return {"uid": found["metadata"]["uid"]} if is_as_before(workload, deployment, found) else None

    async def _withdraw(self, names: Names) -> None:
        """Ends pods that have a Secret that no Workload may have: one that became the operator's own, say."""
        path = f"{collection('apps/v1', 'Deployment', self.settings.namespace)}/{names.base}"
        found = await self.client.read(path)
        name = await self._secrets.find_kept(found) if found is not None else None
        if found is None or name is None or not self.leads():
            return
        await self.client.delete(path, self.leads, {key: found["metadata"][key] for key in ("uid", "resourceVersion")})
        _log.error("pods had a Secret that no Workload may have", workload=names.owner, secret=name)

    @property
    def _secrets(self) -> PodSecrets:
        return PodSecrets(self.client, self.settings.namespace)

    def _wanted(self, names: Names) -> list[dict[str, Any]]:
        """Nothing for what is gone meanwhile."""
        value = self.values.get(names)
        if isinstance(value, ir.Edge):
            return emit_edge(value, self.settings)
        return emit_workload(value, self.settings) if value is not None else []

    def _path_of(self, document: Document) -> str:
        path = collection(document["apiVersion"], document["kind"], self.settings.namespace)
        return f"{path}/{document['metadata']['name']}"

    async def _put(self, document: Document, only: Document = MappingProxyType({})) -> None:
        """`only`: what the one that is there must have in its metadata, else 409."""
        if not self.leads():
            return
        metadata = {**document["metadata"], **only}
        told = {**metadata, "labels": {**metadata["labels"], INSTALLATION: self.installation}}
        if document["kind"] == "Deployment":
            told["annotations"] = {**metadata.get("annotations", {}), DIGEST: digest_of(document["spec"])}
        try:
            body = {**document, "metadata": told}
            await self.client.apply(self._path_of(document), body, self.leads)
        except ApiError as error:
            if error.status == NOT_FOUND and document["apiVersion"] == TRAEFIK:
                message = f"{document['kind']} of {TRAEFIK} is not installed here, so no Traefik leads to these proxies"
                raise ApiError(NOT_FOUND, message) from error
            raise
        self.applied += 1

    async def _certify(self, names: Names) -> None:
        """The Secret by which the pods prove who they are, renewed in time."""
        found = await self._secrets.read(names.secret)
        if found is None or is_stale(found, self.authority):
            await self._put(secret(made_for(names), names, self.authority, self.settings.namespace))

    async def _sweep(self, api_version: str, kind: str) -> None:
        """Takes away those that were made for objects that are gone, or that nobody wants any more."""
        path = collection(api_version, kind, self.settings.namespace)
        found = [each["metadata"] async for each in self.client.each(path, self.selector)]
        kept = self._kept(kind)
        going = {f"{kind} {each['name']}": each for each in found if not kept(each)}
        for what in [each for each in self.faults if each.startswith(f"{kind} ") and each not in going]:
            # It went by itself, or stays after all.
            del self.faults[what]
        for what, metadata in going.items():
            await self._try(what, self._take_away(kind, f"{path}/{metadata['name']}", metadata))

    async def _take_away(self, kind: str, path: str, metadata: Document) -> None:
        # It may be wanted again since it was listed.
        if not self.leads() or self._kept(kind)(metadata):
            return
        try:
            await self.client.delete(path, self.leads, {key: metadata[key] for key in ("uid", "resourceVersion")})
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            self._left = True
        else:
            _log.info("taken away", kind=kind, name=metadata["name"])

    def _kept(self, kind: str) -> Callable[[Document], bool]:
        """Whether one of a kind that has this metadata is to stay, as things are now."""
        unreadable = {
            (each.component, owner_label(each.owner))
            for every in map(all_names, self._there)
            if self.values.keys().isdisjoint(every)
            for each in every
        }
        kept = {names.base: names for names in self.values} | {names.secret: names for names in self.values}

        def stays(metadata: Document) -> bool:
            names, labels = kept.get(metadata["name"]), metadata["labels"]
            # An Edge and a Workload may have the same name.
            made_for_unreadable = (labels.get(COMPONENT), labels[OWNER]) in unreadable
            return made_for_unreadable or (names is not None and self._is_wanted(kind, names))

        return stays

    def _is_wanted(self, kind: str, names: Names) -> bool:
        return kind == "Secret" or any(document["kind"] == kind for document in self._wanted(names))

    @property
    def selector(self) -> str:
        """What operators of other namespaces made here is none of our business."""
        ours = {**MANAGED, INSTALLATION: self.installation}
        return ",".join((*(f"{name}={value}" for name, value in ours.items()), OWNER))


def _what(names: Names) -> str:
    return f"{names.component} of {names.owner}"


def digest_of(spec: Document) -> str:
    """The same in every process."""
    return hashlib.blake2b(json.dumps(spec, sort_keys=True).encode(), digest_size=16).hexdigest()


def all_names(ref: ObjectRef) -> set[Names]:
    """By which something may have been made for an object."""
    owner = owner_of(ref)
    if ref.kind != "Workload":
        return {edge_names(owner)}
    return {workload_names(owner, component) for component in COMPONENTS}


def made_for(names: Names) -> ObjectRef:
    """The inverse of `all_names`."""
    namespace, _, name = names.owner.partition("/")
    if names != edge_names(names.owner):
        return ObjectRef(kind="Workload", namespace=namespace, name=name)
    kind = "Gateway" if name.endswith(ir.GATEWAY) else "Edge"
    return ObjectRef(kind=kind, namespace=namespace, name=name.removesuffix(ir.GATEWAY))
