"""Resources from the Kubernetes API: one informer a kind, listed by pages, watched, listed again now and then.

In: an open Client. Out: Batches; the first when every kind has been listed. Called by reconcile. Only what tells one
version from the next is kept of an object. News that are older than what is known are none: an event that comes twice
or too late changes nothing, and a list from before is not believed. A list is compared with what was told before, so
nothing that a watch lost stays lost.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp
import fastforward_crds as crds
import structlog
from fastforward_compiler.problem import ObjectRef
from fastforward_crds import gatewayapi

from fastforward_operator.kept import Change, Kept
from fastforward_operator.kubernetes.client import NOT_FOUND, ApiError, Client
from fastforward_operator.kubernetes.versions import is_newer

from . import Batch, Source

_log = structlog.get_logger(__name__)

FORBIDDEN = 403
GONE = 410
LIST_AGAIN_S = 300.0
"""How often a kind is listed although its watch is well: a lost event heals then at the latest."""
MISSING_S = 5.0
"""How often a kind is looked for whose definition is not installed."""
STALE_S = 30.0
"""How long a list is not believed that is older than what was heard. One that still is was restored from a backup.

Nor is it believed for so long that there is no such kind, where there was one."""
BLIND_S = 120.0
"""A kind that could neither be listed nor watched for so long while others could."""
USED = f"{crds.GROUP}/use=true"
"""Secrets and ConfigMaps are read only with this label: the operator may see no others."""
_SLICES = "discovery.k8s.io/v1"
_GRANTS = "gateway.networking.k8s.io/v1beta1"
_RETRY_S = (0.1, 0.5, 1.0, 2.0)


class StaleError(Exception):
    """A list is older than what was heard before."""


_OF_THE_WORLD = (ApiError, StaleError, aiohttp.ClientError, TimeoutError, OSError)


OnStatus = Callable[[ObjectRef, Mapping[str, Any] | None, str], None]
"""(object, status, version): the status may be empty, and is None when the object is gone."""


class Watched(NamedTuple):
    """One kind that is watched: where it is found, and which of its objects."""

    group: str
    """Path of the group and version."""
    plural: str
    api_version: str
    kind: str
    selector: str = ""
    generations: bool = True
    """Whether a new version of content has a new generation; what does not is a status."""

    @property
    def of_cluster(self) -> bool:
        """Whether its objects belong to no namespace."""
        return self.kind in crds.CLUSTER_SCOPED

    def path(self, namespace: str) -> str:
        """Of its list; everywhere, for no namespace."""
        return f"{self.group}/namespaces/{namespace}/{self.plural}" if namespace else f"{self.group}/{self.plural}"


WATCHED: tuple[Watched, ...] = (
    *(Watched(f"/apis/{crds.API_VERSION}", kind.plural, crds.API_VERSION, kind.name) for kind in crds.KINDS),
    Watched("/api/v1", "secrets", "v1", "Secret", USED, generations=False),
    Watched("/api/v1", "configmaps", "v1", "ConfigMap", USED, generations=False),
    Watched("/api/v1", "namespaces", "v1", "Namespace", generations=False),
    Watched("/api/v1", "services", "v1", "Service", generations=False),
    Watched(f"/apis/{_SLICES}", "endpointslices", _SLICES, "EndpointSlice", crds.SERVICE_LABEL, generations=False),
    Watched(f"/apis/{_GRANTS}", "referencegrants", _GRANTS, "ReferenceGrant"),
    *(
        Watched(f"/apis/{gatewayapi.GATEWAY_API}", plural, gatewayapi.GATEWAY_API, kind)
        for kind, plural in gatewayapi.PLURALS.items()
    ),
)
WATCHED_ALL: tuple[Watched, ...] = tuple(
    watched._replace(selector="") if watched.selector == USED else watched for watched in WATCHED
)
"""The same without regard to who may be used."""


class Seen(NamedTuple):
    """An object as a list or an event has it."""

    ref: ObjectRef
    mark: bytes
    value: Change
    """None where it is as it was told."""
    status: Mapping[str, Any]
    version: str


class KubernetesProvider:
    """Watches some namespaces, or all. `on_status` is told the statuses that objects have there: none when they go."""

    def __init__(
        self,
        client: Client,
        on_status: OnStatus = lambda *_: None,
        watched: Iterable[Watched] = WATCHED,
        namespaces: Iterable[str] = (),
    ) -> None:
        self._news = asyncio.Event()
        self._changes = Kept()
        self._seen_at = 0.0
        self._world = 0
        places = tuple(namespaces) or ("",)
        self.informers = tuple(
            Informer(each, each.path(place), client, self._take, on_status, optional=places != ("",), namespace=place)
            for each in watched
            for place in (("",) if each.of_cluster else places)
        )

    async def watch(self) -> AsyncIterator[Batch]:
        """Everything first, then every change; ends only by cancellation."""
        tasks = [asyncio.create_task(informer.run()) for informer in self.informers]
        try:
            for informer in self.informers:
                await informer.listed.wait()
            yield self._batch()
            while True:
                await self._news.wait()
                yield self._batch()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def locate(self, source: Source, field: str) -> Source:
        """Objects of an API server have no lines."""
        del field
        return source

    def blind(self) -> list[str]:
        """Kinds of which nothing was heard for long while others were heard: the process is better started anew.

        Where nothing at all is heard, the API server is away: a process that starts anew then has nothing to serve.
        """
        latest = max(each.heard_at for each in self.informers) - BLIND_S
        return sorted({each.watched.kind for each in self.informers if each.heard_at < latest})

    def _take(self, ref: ObjectRef, change: Change, seal: int) -> None:
        self._changes[ref] = change
        self._world ^= seal
        self._seen_at = self._seen_at or time.monotonic()
        self._news.set()

    def _batch(self) -> Batch:
        self._news.clear()
        changes, self._changes = self._changes, Kept()
        seen_at, self._seen_at = self._seen_at, 0.0
        return Batch(changes=changes, world=f"{self._world:032x}", seen_at=seen_at)


@dataclass(slots=True)
class Informer:
    """One kind, in one namespace or everywhere."""

    watched: Watched
    path: str
    client: Client
    take: Callable[[ObjectRef, Change, int], None]
    on_status: OnStatus
    optional: bool = False
    """Whether what belongs to no namespace may be forbidden: to an operator that may look into some alone."""
    namespace: str = ""
    """Where alone it looks, if anywhere."""
    listed: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    """Set when everything that was there at the start has been told."""
    missing: bool = False
    """Whether the kind's definition is not installed."""
    heard_at: float = dataclasses.field(default_factory=time.monotonic)
    _known: dict[ObjectRef, bytes] = dataclasses.field(default_factory=dict)
    """What tells the version that was told from others."""
    _versions: dict[ObjectRef, str] = dataclasses.field(default_factory=dict)
    """Of the objects that events told of since the last list, those that are gone included."""
    _listed: str = ""
    """The version of the last list: what is not newer is in it."""
    _heard: str = ""
    """The newest version of anything."""
    _stale_at: float = 0.0
    """When lists began to be older than that; 0 while they are not."""
    _refused_at: float = 0.0
    """When it was first said that there is no such kind, or that it may not be read; 0 while it is not."""
    _failures: int = 0
    """Since a watch last told something."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._list()
                await self._follow()
            except Exception as error:  # noqa: BLE001 - of ours too: what was told stays, and all is listed anew
                if not isinstance(error, _OF_THE_WORLD):
                    _log.exception("informer failed", kind=self.watched.kind)
                self._failures += 1
                # That a watch is too old is common, and listing at once is the cure; unless it does not help.
                if not (isinstance(error, ApiError) and error.status == GONE and self._failures == 1):
                    await self._rest(error)

    async def _rest(self, error: Exception) -> None:
        """After a failure; a kind without definition has no objects, and is looked for again.

        One that had some is believed to be gone when that is said for a while: an API server that starts knows neither
        all kinds nor all rights at once, and who takes a definition away takes its objects first.
        """
        absent, forbidden = await self._is_absent(error), _status(error) == FORBIDDEN and self.optional
        now = time.monotonic()
        self._refused_at = (self._refused_at or now) if absent or forbidden else 0.0
        lasts = self._refused_at > 0 and now >= self._refused_at + STALE_S
        wait = MISSING_S
        if absent and (not self._known or lasts):
            self.missing = True
            self._compare({})
            self.listed.set()
            self.heard_at = now
        elif lasts:
            # No process sees more that starts anew. What may not be read is not gone: one that knew nothing of it, and
            # began without it, could take a policy for none.
            self.heard_at = now
        else:
            longest = _RETRY_S[min(self._failures, len(_RETRY_S)) - 1]
            wait = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
        say = _log.debug if self._failures > 1 else _log.warning
        say("can't be watched", kind=self.watched.kind, path=self.path, error=str(error) or type(error).__name__)
        await asyncio.sleep(wait)

    async def _is_absent(self, error: Exception) -> bool:
        """Of a namespace that is named the rights go with it: whether it is there, the API server is asked."""
        status = _status(error)
        if status != FORBIDDEN or not self.optional:
            return status == NOT_FOUND
        if self.watched.of_cluster:
            return True
        try:
            return await self.client.read(f"/api/v1/namespaces/{self.namespace}") is None
        except _OF_THE_WORLD:
            return False

    async def _list(self) -> None:
        """Page by page, and compare."""
        there: dict[ObjectRef, bytes] = {}
        following = ""
        while True:
            page = await self.client.page(self.path, self.watched.selector, following)
            self.heard_at = time.monotonic()
            if not following:
                self._judge(page.version)
            for seen in await asyncio.to_thread(self._read, page.objects):
                there[seen.ref] = seen.mark
                self._take_in(seen)
            following = page.following
            if not following:
                break
        self._compare(there)
        self._heard = self._listed = page.version
        self._versions.clear()
        self._refused_at, self.missing = 0.0, False
        self.listed.set()

    def _judge(self, version: str) -> None:
        """Whether a list is to be believed. Raises StaleError."""
        if not is_newer(self._heard, version) or not self._heard:
            self._stale_at = 0.0
            return
        self._stale_at = self._stale_at or time.monotonic()
        if time.monotonic() < self._stale_at + STALE_S:
            raise StaleError(f"the list is of version {version}, and {self._heard} was heard of before")
        _log.warning("versions went back", kind=self.watched.kind, version=version, before=self._heard)
        for ref in self._known:
            self.on_status(ref, None, "")

    def _read(self, objects: Iterable[dict[str, Any]]) -> list[Seen]:
        """Objects that differ from what was told, decoded; in a thread: a page takes a while."""
        return [self._decode(each) for each in objects]

    def _decode(self, document: dict[str, Any]) -> Seen:
        # Lists leave out what all their items have.
        document.setdefault("apiVersion", self.watched.api_version)
        document.setdefault("kind", self.watched.kind)
        metadata = document["metadata"]
        ref = self._ref(metadata)
        mark = self._mark(metadata)
        value = crds.parse_resource(document) if self._known.get(ref) != mark else None
        return Seen(ref, mark, value, document.get("status") or {}, metadata["resourceVersion"])

    def _ref(self, metadata: Mapping[str, Any]) -> ObjectRef:
        namespace = sys.intern(metadata.get("namespace", ""))
        return ObjectRef(kind=self.watched.kind, namespace=namespace, name=metadata["name"])

    def _mark(self, metadata: Mapping[str, Any]) -> bytes:
        """Of our kinds, what a status does not change."""
        if not self.watched.generations:
            told: tuple[object, ...] = (metadata["uid"], metadata["resourceVersion"])
        else:
            names = ("uid", "generation", "labels", "annotations")
            # A backup's generations are given again, to other content: by when that was written they are told apart.
            written = [each.get("time") for each in metadata.get("managedFields") or () if not each.get("subresource")]
            told = (*(repr(metadata.get(name)) for name in names), written)
        return hashlib.blake2b(repr(told).encode(), digest_size=16).digest()

    def _take_in(self, seen: Seen) -> None:
        if seen.value is not None:
            self._tell(seen.ref, seen.mark, seen.value)
        self.on_status(seen.ref, seen.status, seen.version)

    def _compare(self, there: Mapping[ObjectRef, bytes]) -> None:
        """What was told and is not there any more is gone."""
        for ref in [ref for ref in self._known if ref not in there]:
            self._forget(ref)

    def _forget(self, ref: ObjectRef) -> None:
        self._tell(ref, b"", None)
        self.on_status(ref, None, "")

    def _tell(self, ref: ObjectRef, mark: bytes, value: Change) -> None:
        old = self._known.pop(ref, b"")
        if mark:
            self._known[ref] = mark
        seal = _seal(ref, old) ^ _seal(ref, mark)
        self.take(ref, value, seal)

    async def _follow(self) -> None:
        """One watch after the other, each from where the last one ended, until it is time to list again."""
        until = time.monotonic() + LIST_AGAIN_S * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load
        while time.monotonic() < until:
            async with aclosing(self.client.watch(self.path, self.watched.selector, self._heard)) as events:
                async for event in events:
                    self._hear()
                    version = event.object["metadata"]["resourceVersion"]
                    if event.type != "BOOKMARK":
                        self._happened(event.type, event.object, version)
                    if is_newer(version, self._heard):
                        self._heard = version
            self._hear()

    def _hear(self) -> None:
        self.heard_at = time.monotonic()
        self._failures = 0

    def _happened(self, kind: str, document: dict[str, Any], version: str) -> None:
        ref = self._ref(document["metadata"])
        if not is_newer(version, self._versions.get(ref, self._listed)):
            return
        self._versions[ref] = version
        if kind == "DELETED":
            self._forget(ref)
        else:
            self._take_in(self._decode(document))


def _status(error: Exception) -> int:
    """HTTP's, where the API server answered."""
    return error.status if isinstance(error, ApiError) else 0


def _seal(ref: ObjectRef, mark: bytes) -> int:
    """One object in one version, as a number; the world's is that of all, by exclusive or."""
    if not mark:
        return 0
    text = f"{ref.kind}/{ref.namespace}/{ref.name}/".encode()
    return int.from_bytes(hashlib.blake2b(text + mark, digest_size=16).digest())
