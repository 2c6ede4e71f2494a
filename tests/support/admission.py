"""An operator that an API server asks for admission, in the test's own process, and a client that sees the verdicts.

In: a kubeconfig of the administrator, namespaces. Out: `Admitting`. Called by cluster and security tests. The webhook's
configuration is the generated one, but for where the webhook is, its name, and that it concerns the test's namespaces
alone: the API server is everybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import fastforward_crds as crds
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.bootstrap import Operator, bootstrap
from fastforward_operator.kubernetes import webhookconfig
from fastforward_operator.kubernetes.access import Access, find_access
from fastforward_operator.kubernetes.authority import Authority
from fastforward_operator.settings import Settings

from support.eventually import eventually
from support.operator import until
from support.resources import Document

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
CORE = {"Secret": "secrets", "ConfigMap": "configmaps"}
NOT_FOUND = 404
ENDPOINTS = {"endpoints": [{"address": "127.0.0.1", "port": 80}]}
SPECS: dict[str, Document] = {
    "Edge": {"hosts": ["a.example.com"], "listeners": [{"name": "web", "port": 80}]},
    "Route": {"edges": [{"name": "public"}], "rules": [{"respond": {"body": "x"}}]},
    "Upstream": ENDPOINTS,
    "Tenant": {},
    "Workload": {},
    "Shard": {"upstreams": [{"purpose": "x", "name": "u"}]},
    "RateLimit": {
        "targets": [{"kind": "Edge", "name": "public"}],
        "key": [{"type": "Address"}],
        "budget": {"requests": 1, "window": "1s"},
    },
    "AuthPolicy": {
        "targets": [{"kind": "Edge", "name": "public"}],
        "authorization": {"grants": [{"name": "all", "roles": ["a"]}]},
    },
    "EventHook": {"events": ["a.b"], "upstream": {"name": "u"}, "secret": {"name": "s"}},
    "Schema": {"format": "JSONSchema", "versions": [{"name": "1", "document": "{}"}]},
}
"""Of each kind something that nobody refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the API server answered to a write."""

    status: int
    body: Any
    warnings: tuple[str, ...]

    @property
    def taken(self) -> bool:
        return self.status < 300

    @property
    def by_webhook(self) -> bool:
        """Whether it was refused by the webhook, and not by a schema or for want of an answer."""
        return not self.taken and "denied the request" in self.message

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Field and reason of each."""
        found = self.body.get("details", {}).get("causes", [])
        return [(cause.get("field", ""), cause.get("reason", "")) for cause in found]


@dataclass(slots=True)
class Api:
    """The API server, as who may do anything."""

    access: Access
    session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.access.tls))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def ask(self, method: str, path: str, body: object = None, kind: str = "json") -> Told:
        headers = {"content-type": f"application/{kind}", **self.access.headers()}
        url = f"{self.access.server}{path}"
        async with self.session.request(method, url, json=body, headers=headers) as response:
            warnings = tuple(text.split('"')[1] for text in response.headers.getall("warning", ()))
            try:
                found = await response.json()
            except aiohttp.ContentTypeError:
                found = {"message": await response.text()}
            return Told(status=response.status, body=found, warnings=warnings)

    async def create(self, document: Document, *, dry: bool = False) -> Told:
        """A new object; what no schema knows is refused, as kubectl has it."""
        return await self.ask("POST", collection(document) + _options(dry), document)

    async def replace(self, document: Document, *, dry: bool = False) -> Told:
        """An object in place of the one that is there, whichever version that is."""
        path = f"{collection(document)}/{document['metadata']['name']}"
        there = (await self.ask("GET", path)).body
        metadata = {**there["metadata"], **document["metadata"]}
        return await self.ask("PUT", path + _options(dry), {**document, "metadata": metadata})

    async def delete(self, document: Document) -> Told:
        return await self.ask("DELETE", f"{collection(document)}/{document['metadata']['name']}")


def _options(dry: bool) -> str:
    return f"?fieldValidation=Strict{'&dryRun=All' if dry else ''}"


def collection(document: Mapping[str, Any]) -> str:
    """Where objects of this kind and namespace are; raises KeyError for kinds that are not known."""
    kind, version = document["kind"], document["apiVersion"]
    plural = CORE[kind] if version == "v1" else crds.PLURALS[kind]
    root = "/api/v1" if version == "v1" else f"/apis/{version}"
    return f"{root}/namespaces/{document['metadata']['namespace']}/{plural}"


def reference(document: Mapping[str, Any]) -> ObjectRef:
    metadata = document["metadata"]
    return ObjectRef(kind=document["kind"], namespace=metadata["namespace"], name=metadata["name"])


@dataclass(slots=True)
class Admitting:
    """An operator, the API server, and the configuration that leads from one to the other."""

    api: Api
    operator: Operator
    namespaces: tuple[str, ...]
    name: str

    @property
    def port(self) -> int:
        assert self.operator.webhook is not None
        return self.operator.webhook.port

    @property
    def authority(self) -> Authority:
        assert self.operator.outside.authority is not None
        return self.operator.outside.authority

    @property
    def bundle(self) -> str:
        return self.authority.bundle

    def knows(self, document: Document) -> bool:
        """Whether the operator has compiled this version of an object, or more."""
        found = self._known(reference(document))
        generation = document["metadata"].get("generation", 0)
        return isinstance(found, crds.Resource) and found.metadata.generation >= generation

    def _known(self, ref: ObjectRef) -> object:
        return self.operator.reconciler._objects.get(ref)

    async def create(self, document: Document) -> Told:
        """Create it, and wait until the operator knows."""
        told = await self.api.create(document)
        if told.taken:
            await eventually(lambda: self.knows(told.body), claim=f"the operator knows {reference(document)}")
        return told

    async def remove(self, *documents: Document) -> None:
        """Delete them, and wait until the operator knows."""
        for document in documents:
            await self.api.delete(document)
        refs = [reference(document) for document in documents]
        await eventually(lambda: not any(map(self._known, refs)), claim=f"the operator forgets {refs}")

    async def configure(self, bundle: str | None = None, port: int | None = None) -> None:
        """Tell the API server of the webhook, and wait until it asks."""
        document = webhookconfig.document("unused", self.bundle if bundle is None else bundle)
        document["metadata"]["name"] = self.name
        selector = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(self.namespaces)}
        for hook in document["webhooks"]:
            hook["clientConfig"].pop("service")
            hook["clientConfig"]["url"] = f"https://127.0.0.1:{port or self.port}{webhookconfig.PATH}"
            hook["namespaceSelector"]["matchExpressions"].append(selector)
        told = await self.api.ask(
            "PATCH", f"{CONFIGURATIONS}/{self.name}?fieldManager=test&force=true", document, "apply-patch+yaml"
        )
        assert told.taken, told.message

    async def every_kind(self) -> dict[str, Told]:
        """One new object of each kind, dry; at once, as an answer may take the webhook's time-out."""
        made = [resource_of(self.namespaces[0], kind, "x", spec) for kind, spec in SPECS.items()]
        told = await asyncio.gather(*(self.api.create(document, dry=True) for document in made))
        return dict(zip(SPECS, told, strict=True))

    async def until_closed(self) -> dict[str, Told]:
        """The same once any is refused: then the API server knows what has become of the webhook."""
        await until(self.every_kind, closed)
        return await self.every_kind()

    async def until_asked(self) -> None:
        """Until what the webhook alone refuses is refused."""
        probe = resource_of(self.namespaces[0], "Upstream", "probe", {"endpoints": [{"address": "1.2.3", "port": 1}]})
        await until(lambda: self.api.create(probe, dry=True), lambda told: not told.taken)


def closed(told: Mapping[str, Told]) -> set[str]:
    """Kinds that can't be written."""
    return {kind for kind, each in told.items() if not each.taken}


def resource_of(namespace: str, kind: str, name: str, spec: Document) -> Document:
    """A resource of our group in a namespace."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": crds.API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def settings(folder: Path, kubeconfig: Path, namespaces: tuple[str, ...], **more: Any) -> Settings:  # noqa: ANN401
    """Of an operator that is asked on a free port, and whose authority is in the first namespace."""
    told: dict[str, Any] = {
        "provider": "kubernetes",
        "kubeconfig": kubeconfig,
        "namespaces": namespaces,
        "lease_namespace": namespaces[0],
        "state_dir": folder / "state",
        "api_port": 0,
        "webhook_address": "127.0.0.1:0",
        "webhook_names": ("127.0.0.1",),
        "write_status": False,
    }
    return Settings(**{**told, **more})


@asynccontextmanager
async def admitting(
    folder: Path,
    kubeconfig: Path,
    namespaces: tuple[str, ...],
    *,
    answers: bool = True,
    **more: Any,  # noqa: ANN401
) -> AsyncGenerator[Admitting]:
    """A running operator, and the configuration in force; everything ends with the block."""
    operator = bootstrap(settings(folder, kubeconfig, namespaces, **more))
    await operator.start()
    async with Api(find_access(kubeconfig)) as api:
        found = Admitting(api, operator, namespaces, f"fastforward-{namespaces[0]}")
        try:
            await eventually(lambda: found.port, claim="the webhook listens")
            await found.configure()
            if answers:
                await found.until_asked()
            yield found
        finally:
            await api.ask("DELETE", f"{CONFIGURATIONS}/{found.name}")
            await operator.stop()
    await farewells()


async def farewells() -> None:
    """Until both sides of every TLS connection have said goodbye: a loop that ends before complains of open sockets."""
    transports: Mapping[int, object] = getattr(asyncio.get_running_loop(), "_transports", {})
    await eventually(lambda: all(getattr(each, "_sock", None) is None for each in transports.values()))
