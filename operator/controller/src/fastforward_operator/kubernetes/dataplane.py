"""Keeps the pods of the data plane as Edges and Workloads say: applies what is wanted, takes away what nobody wants.

In: steps of the compiler, which objects there are, the Authority. Out: requests to the API server, by the leader alone.
Called by bootstrap. Level-based: whatever was missed, undone by hand or left behind by another leader is mended by the
next pass over everything. What was made for an object that can't be read any more stays as it is.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import structlog
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import documents as sds_documents
from fastforward_compiler.emit.kubernetes import (
    COMPONENTS,
    MANAGED,
    OWNER,
    TLS_FOLDER,
    TRAEFIK,
    Names,
    PodSettings,
    edge_names,
    emit_edge,
    emit_workload,
    owner_label,
    workload_names,
)
from fastforward_compiler.problem import ObjectRef

from fastforward_operator.certificates import Certified, Subject, renew_at

from .authority import Authority, spiffe
from .client import NOT_FOUND, ApiError, Client

_log = structlog.get_logger(__name__)

PASS_S = 60.0
"""How often everything is looked at although nothing changed."""
RETRY_S = 2.0
INSTALLATION = "gateway.fastforward.dev/installation"
"""Label of all that the operators of one lease make."""
_OF_THE_WORLD = (ApiError, aiohttp.ClientError, TimeoutError, OSError, ValueError)

PLURALS = {
    (TRAEFIK, "IngressRoute"): "ingressroutes",
    (TRAEFIK, "IngressRouteTCP"): "ingressroutetcps",
    (TRAEFIK, "Middleware"): "middlewares",
    (TRAEFIK, "ServersTransportTCP"): "serverstransporttcps",
    ("apps/v1", "Deployment"): "deployments",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): "services",
    ("v1", "ServiceAccount"): "serviceaccounts",
}
"""Kinds that are made; of those that are not wanted any more, what leads to pods goes first, then a Deployment."""

Document = Mapping[str, Any]
Change = object | None


def collection(api_version: str, kind: str, namespace: str) -> str:
    """Where objects of a kind are."""
    root = "/api" if "/" not in api_version else "/apis"
    return f"{root}/{api_version}/namespaces/{namespace}/{PLURALS[api_version, kind]}"


@dataclass(slots=True)
class DataPlane:
    """One a process; only the leader's writes."""

    client: Client
    authority: Authority
    settings: PodSettings
    leads: Callable[[], bool]
    installation: str
    """Name of the lease: operators that watch other namespaces have another, and may run beside."""
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
    _dirty: set[Names] = field(default_factory=set)
    _changed: set[Names] = field(default_factory=set)
    """Those that have not been applied since they changed."""
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
        for names in gone - changed.keys():
            self.values.pop(names, None)
        self.values |= changed
        self._dirty |= changed.keys()
        self._changed = (self._changed | changed.keys()) & self.values.keys()
        if changed or gone:
            self.on_values(changed.keys(), gone - changed.keys())
            self._news.set()

    def is_applied(self, names: Names) -> bool:
        """Whether the cluster knows what is wanted, as far as it is for this process to tell it."""
        return names not in self._changed or not self.leads()

    def wake(self) -> None:
        """Look at everything now: this process may write, or the authority changed."""
        self._dirty |= self.values.keys()
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self.authority.ready.wait()
        clock = asyncio.get_running_loop().time
        looked = clock()
        while True:
            try:
                async with asyncio.timeout(RETRY_S if self.faults else PASS_S):
                    await self._news.wait()
            except TimeoutError:
                # A fault that lasts, such as a kind that is not installed, does not have all be applied again so often.
                if clock() - looked >= PASS_S:
                    looked = clock()
                    self._dirty |= self.values.keys()
            self._news.clear()
            if self._complete and self.leads():
                await self._pass()

    async def _pass(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for names in sorted(dirty, key=lambda each: each.base):
            await self._try(names, self._apply(names))
        await self._try(None, self._sweep())

    async def _try(self, names: Names | None, work: Any) -> None:  # noqa: ANN401 - a coroutine
        """One that fails holds up no other."""
        what = f"{names.component} of {names.owner}" if names else "what is to go"
        try:
            await work
        except _OF_THE_WORLD as error:
            fault = str(error) or type(error).__name__
            if self.faults.get(what) != fault:
                _log.error("data plane", object=what, error=fault)
            self.faults[what] = fault
            if names is not None:
                self._dirty.add(names)
                self.on_fault(made_for(names), fault)
        else:
            if self.faults.pop(what, "") and names is not None:
                self.on_fault(made_for(names), "")

    async def _apply(self, names: Names) -> None:
        value = self.values.get(names)
        if value is not None:
            await self._certify(names)
            for document in self._wanted(names):
                await self._put(document)
            if self.values.get(names) is value:
                self._changed.discard(names)

    def _wanted(self, names: Names) -> list[dict[str, Any]]:
        """Nothing for what is gone meanwhile."""
        value = self.values.get(names)
        if isinstance(value, ir.Edge):
            return emit_edge(value, self.settings)
        return emit_workload(value, self.settings) if value is not None else []

    async def _put(self, document: Document) -> None:
        if not self.leads():
            return
        path = collection(document["apiVersion"], document["kind"], self.settings.namespace)
        metadata = document["metadata"]
        labels = {**metadata["labels"], INSTALLATION: self.installation}
        try:
            body = {**document, "metadata": {**metadata, "labels": labels}}
            await self.client.apply(f"{path}/{metadata['name']}", body, self.leads)
        except ApiError as error:
            if error.status == NOT_FOUND and document["apiVersion"] == TRAEFIK:
                message = f"{document['kind']} of {TRAEFIK} is not installed here, so no Traefik leads to these proxies"
                raise ApiError(NOT_FOUND, message) from error
            raise
        self.applied += 1

    async def _certify(self, names: Names) -> None:
        """The Secret by which the pods prove who they are, renewed in time."""
        path = f"{collection('v1', 'Secret', self.settings.namespace)}/{names.secret}"
        found = await self.client.read(path)
        if found is None or self._is_stale(found):
            await self._put(self._secret(names))

    def _is_stale(self, found: Document) -> bool:
        data = {name: base64.b64decode(value).decode() for name, value in (found.get("data") or {}).items()}
        files = {"ca.crt": self.authority.bundle, **sds_documents(TLS_FOLDER)}
        if any(data.get(name) != text for name, text in files.items()):
            return True
        try:
            return self.authority.clock() >= renew_at(data["tls.crt"]) or not data["tls.key"]
        except (KeyError, ValueError):
            return True

    def _secret(self, names: Names) -> dict[str, Any]:
        certified = self.authority.issue(subject_of(names, self.settings.namespace))
        return secret(names, certified, self.authority.bundle, self.settings.namespace)

    async def _sweep(self) -> None:
        """Takes away what was made for objects that are gone, or that nobody wants any more."""
        readable = {names.owner for names in self.values}
        there = (owner_of(ref) for ref in self._there)
        unreadable = {owner_label(owner) for owner in there if owner not in readable}
        kept = {names.base: names for names in self.values} | {names.secret: names for names in self.values}
        for api_version, kind in PLURALS:
            path = collection(api_version, kind, self.settings.namespace)
            async for found in self.client.each(path, self.selector):
                owner = found["metadata"]["labels"][OWNER]
                name = found["metadata"]["name"]
                if owner in unreadable or (name in kept and self._is_wanted(kind, kept[name])):
                    continue
                if self.leads():
                    _log.info("taken away", kind=kind, name=name)
                    await self.client.delete(f"{path}/{name}")

    def _is_wanted(self, kind: str, names: Names) -> bool:
        return kind == "Secret" or any(document["kind"] == kind for document in self._wanted(names))

    @property
    def selector(self) -> str:
        """What operators of other namespaces made here is none of our business."""
        ours = {**MANAGED, INSTALLATION: self.installation}
        return ",".join((*(f"{name}={value}" for name, value in ours.items()), OWNER))


def owner_of(ref: ObjectRef) -> str:
    """What is made for an object is named after it."""
    return f"{ref.namespace}/{ref.name}{ir.GATEWAY if ref.kind == 'Gateway' else ''}"


def made_for(names: Names) -> ObjectRef:
    """The inverse of `owner_of`."""
    namespace, _, name = names.owner.partition("/")
    if names != edge_names(names.owner):
        return ObjectRef(kind="Workload", namespace=namespace, name=name)
    kind = "Gateway" if name.endswith(ir.GATEWAY) else "Edge"
    return ObjectRef(kind=kind, namespace=namespace, name=name.removesuffix(ir.GATEWAY))


def subject_of(names: Names, namespace: str) -> Subject:
    """Who the pods made for an Edge or a Workload are."""
    ref = made_for(names)
    uri = spiffe(ref.namespace, ref.kind.lower(), ref.name)
    if ref.kind != "Workload":
        return Subject(name=names.base, uris=(uri,), client=True)
    host = f"{names.base}.{namespace}.svc"
    return Subject(name=names.base, hosts=(host,), uris=(uri,), client=True, server=True)


def secret(names: Names, certified: Certified, authorities: str, namespace: str) -> dict[str, Any]:
    """What the pods find in their folder."""
    files = dict(_files(certified, authorities))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(namespace, names.secret),
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in files.items()},
    }


def _files(certified: Certified, authorities: str) -> Iterator[tuple[str, str]]:
    yield "tls.crt", certified.certificate
    yield "tls.key", certified.key
    yield "ca.crt", authorities
    yield from sds_documents(TLS_FOLDER).items()
