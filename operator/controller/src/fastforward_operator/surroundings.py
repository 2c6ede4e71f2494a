"""Where resources come from, and where what is said of them goes: files on this machine, or a Kubernetes API server.

In: Settings, the status board. Out: `Surroundings`. Called by bootstrap.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fastforward_compiler.emit.kubernetes import PodSettings
from fastforward_compiler.problem import ObjectRef

from .addresses import AddressPool
from .certificates import Subject
from .kubernetes.access import find_access
from .kubernetes.authority import Authority, spiffe
from .kubernetes.client import Client
from .kubernetes.dataplane import DataPlane
from .kubernetes.events import EventWriter
from .kubernetes.lease import Election, lease_name
from .kubernetes.lookout import Lookout
from .kubernetes.serving import ServingCertificate
from .kubernetes.statuswriter import StatusWriter
from .objectstatus import ObjectStatus
from .providers import Provider, Source
from .providers.file import FileProvider
from .providers.kubernetes import WATCHED, WATCHED_ALL, KubernetesProvider, OnStatus
from .providers.lastgood import LastGood
from .settings import Settings
from .status import StatusBoard
from .statusfiles import StatusFiles
from .xds.identity import TlsMaterial


class Eyes(Provider, Protocol):
    """A provider that knows where fields are, and whether it sees."""

    def locate(self, source: Source, field: str) -> Source:
        """Where a field of a document is."""
        ...

    def blind(self) -> list[str]:
        """Kinds of which nothing has been heard for too long."""
        ...


class StatusSink(Protocol):
    """Tells statuses somewhere."""

    def observe(self, ref: ObjectRef, status: ObjectStatus | None) -> None:
        """A status changed."""
        ...

    async def run(self) -> None:
        """Until cancelled."""
        ...


LISTENS_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where resources come from, and where what is said of them goes."""

    provider: Eyes
    sinks: tuple[StatusSink, ...]
    """Where statuses are told besides the API."""
    election: Election | None = None
    """Who writes, where several operators may: statuses, and what proxies and the API server need."""
    client: Client | None = None
    """Of the Kubernetes API, where resources come from there."""
    authority: Authority | None = None
    """Who signs certificates, where nodes must prove who they are."""
    data_plane: DataPlane | None = None
    """Who runs proxies and decision services as pods."""
    lookout: Lookout | None = None
    """Who looks how these fare."""

    @property
    def pod_keepers(self) -> tuple[DataPlane | Lookout, ...]:
        """Who works on pods, if anybody does."""
        return tuple(each for each in (self.data_plane, self.lookout) if each is not None)


def surroundings(settings: Settings, board: StatusBoard, pool: AddressPool) -> Surroundings:
    """By the setting `provider`. Raises AccessError."""
    if settings.provider == "file":
        provider = FileProvider(settings.directories, LastGood(settings.state_dir))
        files = StatusFiles(settings.state_dir / "status")
        return Surroundings(provider=provider, sinks=(files,) if settings.write_status else ())
    client = Client(find_access(settings.kubeconfig))
    election = Election(
        client,
        identity=f"{socket.gethostname()}-{os.getpid()}",
        namespace=settings.lease_namespace,
        name=lease_name(settings.namespaces),
        address=settings.replica_address,
        listens_s=LISTENS_S if settings.replica_address else 0.0,
    )
    writer = StatusWriter(client, board.proxies, lambda: election.speaks, board.judged, board.speaks_of)
    events = EventWriter(client, lambda: election.speaks)
    board.since, board.on_count = writer.since, writer.recount
    certifies = settings.xds_tls or settings.webhook_address
    authority = Authority(client, settings.lease_namespace, lambda: election.leads) if certifies else None
    data_plane, lookout = None, None
    if authority is not None and settings.envoy_image:
        data_plane = DataPlane(client, authority, pod_settings(settings), lambda: election.leads, election.name)
        lookout = Lookout(data_plane, pool.take, board.observe_pods)
        data_plane.on_values, data_plane.on_fault = lookout.observe, board.observe_fault
        data_plane.follows = lambda: election.follows
        authority.on_change.append(data_plane.wake)

    sinks = (writer, events) if settings.write_status else ()

    def elected() -> None:
        for sink in sinks:
            asyncio.get_running_loop().call_later(election.listens_s, sink.write_all)
        if data_plane is not None:
            data_plane.wake()

    def resumed() -> None:
        writer.go_on()
        events.go_on()
        if data_plane is not None:
            data_plane.go_on()

    election.on_elected, election.on_resumed = elected, resumed
    return Surroundings(
        provider=KubernetesProvider(
            client,
            _told_to(writer, pool, lookout),
            WATCHED_ALL if settings.secrets == "all" else WATCHED,
            settings.namespaces,
        ),
        sinks=sinks,
        election=election,
        client=client,
        authority=authority,
        data_plane=data_plane,
        lookout=lookout,
    )


def pod_settings(settings: Settings) -> PodSettings:
    """What pods are told of the installation."""
    _, _, port = settings.xds_address.rpartition(":")
    return PodSettings(
        namespace=settings.lease_namespace,
        envoy_image=settings.envoy_image,
        decision_image=settings.decision_image,
        pull_policy=settings.image_pull_policy,
        pull_secrets=settings.image_pull_secrets,
        operator_host=settings.operator_service,
        operator_port=int(port),
        decision=settings.decision,
        otlp_endpoint=settings.decision_otlp_endpoint,
    )


def server_names(settings: Settings) -> tuple[str, ...]:
    """DNS names of the xDS server; the same for every replica."""
    return settings.xds_names or (f"{settings.operator_service}.{settings.lease_namespace}.svc",)


def replica_certificate(settings: Settings, authority: Authority | None) -> Callable[[], TlsMaterial] | None:
    """What this process shows to nodes that must prove who they are, and to other replicas."""
    if authority is None or not settings.xds_tls:
        return None
    uri = spiffe(settings.lease_namespace, "operator", socket.gethostname().lower())
    hosts = server_names(settings)
    subject = Subject(name="fastforward-operator", hosts=hosts, uris=(uri,), server=True, client=True)
    return ServingCertificate(authority, subject).material


def _told_to(writer: StatusWriter, pool: AddressPool, lookout: Lookout | None) -> OnStatus:
    def tell(ref: ObjectRef, status: Mapping[str, Any] | None, version: str) -> None:
        writer.recall(ref, status, version)
        if lookout is not None:
            lookout.recall(ref, status)
        if status is not None:
            pool.recall(ref, status)

    return tell
