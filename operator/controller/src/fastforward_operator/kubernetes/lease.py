"""Leader election by a Lease: of several operators one writes statuses.

In: the API client, a name for this process. Out: `leads`, asked before each write. Called by bootstrap. A leader that
could not renew in time is none any more by its own clock, before anybody else may take over: nobody's clock is compared
with another's. When its renewal comes too late and nobody took the lease meanwhile, its term goes on. Source: "Leases"
in Kubernetes' documentation, and client-go's leaderelection, whose terms are used.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import structlog

from .client import CONFLICT, NOT_FOUND, ApiError, Client

_log = structlog.get_logger(__name__)

DURATION_S = 3
"""How long others respect a lease that is not renewed, counted from when they saw its last renewal."""
RENEW_DEADLINE_S = 2.0
"""How long a leader believes in its lease after a renewal was sent."""
RETRY_S = 0.6
"""From when one renewal was sent to the next: an answer that takes longer has the next one sent at once."""
_NAME = "fastforward-operator"
ADDRESS = "gateway.fastforward.dev/replica-address"
"""Annotation of the lease."""


def lease_name(namespaces: Collection[str]) -> str:
    """Operators of the same namespaces share a lease; those of others do not concern them."""
    if not namespaces:
        return _NAME
    digest = hashlib.blake2b("/".join(sorted(namespaces)).encode(), digest_size=5).hexdigest()
    return f"{_NAME}-{digest}"


@dataclass(slots=True)
class Election:
    """One candidate."""

    client: Client
    identity: str
    namespace: str
    name: str
    address: str = ""
    """Where other replicas reach this one, HOST:PORT; written into the lease by its holder."""
    on_elected: Callable[[], None] = lambda: None
    """Called each time that it becomes the leader."""
    on_resumed: Callable[[], None] = lambda: None
    """Called each time that its term goes on, which had ended while the lease was being renewed."""
    listens_s: float = 0.0
    """How long a new leader says nothing: other replicas need a moment to tell it what their proxies acknowledged."""
    _elected_at: float = 0.0
    follows: bool = False
    """Whether another one was seen to have the lease since this one had it."""
    clock: Callable[[], float] = time.monotonic
    _held: tuple[str, int] | None = None
    """Version and transitions of the lease as this process wrote it last."""
    _sent_at: float = 0.0
    """When that was sent."""
    _term: int | None = None
    """Transitions of the lease in the term that it led last."""
    _continues: bool = False
    """Whether nobody else had the lease since that term."""
    _leader_address: str = ""
    _leads_until: float = 0.0
    _seen: tuple[object, ...] = ()
    _seen_at: float = 0.0

    @property
    def leads(self) -> bool:
        """Whether this process may write now."""
        return self.clock() < self._leads_until

    @property
    def leader(self) -> str:
        """Where the one that leads is reached; empty when it is this one, or nobody."""
        return "" if self.leads else self._leader_address

    @property
    def speaks(self) -> bool:
        """Whether this process may write what it says of all proxies."""
        return self.leads and self.clock() >= self._elected_at + self.listens_s

    async def run(self) -> None:
        """Until cancelled; then the lease is given back."""
        try:
            while True:
                until = self.clock() + RETRY_S * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load
                await self._try()
                await asyncio.sleep(max(0.0, until - self.clock()))
        finally:
            if self.leads:
                await asyncio.shield(self._release())

    async def _try(self) -> None:
        led = self.leads
        try:
            won = await self._acquire()
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("lease is not renewed", error=str(error) or type(error).__name__)
            return
        if won:
            self._lead(led=self.leads)
        elif led:
            self._leads_until = 0.0
            _log.warning("leads no more", identity=self.identity)

    def _lead(self, *, led: bool) -> None:
        """The lease was written. Whose term had ended meanwhile has kept silent: it begins anew, or goes on."""
        self._leads_until = self._sent_at + RENEW_DEADLINE_S
        self._term = self._held[1] if self._held else None
        self.follows = False
        if led:
            return
        if self._continues:
            _log.warning("leads again", identity=self.identity)
            self.on_resumed()
        else:
            self._elected_at = self.clock()
            _log.info("leads", identity=self.identity)
            self.on_elected()

    async def _acquire(self) -> bool:
        """Take the lease, renew it, or see that it is somebody else's."""
        if self._held and self.leads:
            # Nobody has changed it, as a rule: to read it first would take as long again.
            version, transitions = self._held
            self._continues = True
            if await self._write(self.client.replace, self._path, self._lease(version, transitions)):
                return True
        self._continues = False
        async with asyncio.timeout(RENEW_DEADLINE_S):
            lease = await self.client.read(self._path)
        if lease is None:
            return await self._write(self.client.create, self._collection, self._lease("", 0))
        spec = lease.get("spec", {})
        holder = spec.get("holderIdentity") or ""
        annotations = lease["metadata"].get("annotations") or {}
        self._leader_address = annotations.get(ADDRESS, "") if holder not in ("", self.identity) else ""
        version = lease["metadata"]["resourceVersion"]
        told = (holder, spec.get("renewTime"), version)
        if told != self._seen:
            self._seen, self._seen_at = told, self.clock()
        self.follows = self.follows or holder not in ("", self.identity)
        if holder not in ("", self.identity) and self.clock() - self._seen_at < spec.get("leaseDurationSeconds", 0):
            return False
        # Whoever takes it from another one counts that.
        self._continues = (holder, spec.get("leaseTransitions", 0)) == (self.identity, self._term)
        transitions = spec.get("leaseTransitions", 0) + (holder != self.identity)
        return await self._write(self.client.replace, self._path, self._lease(version, transitions))

    async def _write(self, write: Callable[[str, Mapping[str, Any]], Any], path: str, body: Mapping[str, Any]) -> bool:
        """Whether it was written: somebody else may have been quicker, or has taken it away."""
        self._held, self._sent_at = None, self.clock()
        try:
            async with asyncio.timeout(RENEW_DEADLINE_S):
                version = await write(path, body)
        except ApiError as error:
            if error.status in (CONFLICT, NOT_FOUND):
                return False
            raise
        self._held = version, body["spec"]["leaseTransitions"]
        return True

    async def _release(self) -> None:
        self._leads_until = 0.0
        try:
            lease = await self.client.read(self._path)
            if lease is not None and lease.get("spec", {}).get("holderIdentity") == self.identity:
                transitions = lease["spec"].get("leaseTransitions", 0)
                body = self._lease(lease["metadata"]["resourceVersion"], transitions, holder="")
                await self._write(self.client.replace, self._path, body)
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("lease is not given back", error=str(error) or type(error).__name__)

    def _lease(self, version: str, transitions: int, holder: str | None = None) -> dict[str, Any]:
        """`version`: of the one that it takes the place of, and of no other; empty where there is none."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = {
            "holderIdentity": self.identity if holder is None else holder,
            "leaseDurationSeconds": DURATION_S,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "annotations": {ADDRESS: self.address if holder is None else ""},
                **({"resourceVersion": version} if version else {}),
            },
            "spec": spec,
        }

    @property
    def _collection(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self.name}"
