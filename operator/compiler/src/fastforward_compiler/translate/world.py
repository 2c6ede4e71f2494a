"""The World: every object by kind and identity, and who refers to whom by what the objects themselves say.

In: resources as the providers hand them over. Out: inputs and indexes that the other modules of this package read.
Called by compile for each change. Identities are NAMESPACE/NAME. Why it exists: an index here is what spares a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import fastforward_crds as crds
from fastforward_crds import gatewayapi

from fastforward_compiler.cells import Gift, Index, Source
from fastforward_compiler.packed import PackedSource
from fastforward_compiler.problem import ObjectRef

from .schedule import Hours

EDGES: Source[crds.Edge | None] = Source("edges", None)
ROUTES: Source[crds.Route | None] = PackedSource("routes")
UPSTREAMS: Source[crds.Upstream | None] = PackedSource("upstreams")
TENANTS: Source[crds.Tenant | None] = PackedSource("tenants")
SCHEMAS: Source[crds.Schema | None] = Source("schemas", None)
EVENT_HOOKS: Source[crds.EventHook | None] = Source("event hooks", None)
SHARDS: Source[crds.Shard | None] = Source("shards", None)
RATE_LIMITS: Source[crds.RateLimit | None] = Source("rate limits", None)
WORKLOADS: Source[crds.Workload | None] = Source("workloads", None)
AUTH_POLICIES: Source[crds.AuthPolicy | None] = Source("auth policies", None)
SECRETS: Source[crds.Secret | None] = Source("secrets", None)
CONFIG_MAPS: Source[crds.ConfigMap | None] = Source("config maps", None)
NAMESPACES: Source[crds.Namespace | None] = Source("namespaces", None)
SERVICES: Source[crds.Service | None] = PackedSource("services")
ENDPOINT_SLICES: Source[crds.EndpointSlice | None] = PackedSource("endpoint slices")
GATEWAY_CLASSES: Source[gatewayapi.GatewayClass | None] = Source("gateway classes", None)
GATEWAYS: Source[gatewayapi.Gateway | None] = Source("gateways", None)
LISTENER_SETS: Source[gatewayapi.ListenerSet | None] = Source("listener sets", None)
HTTP_ROUTES: Source[gatewayapi.HttpRoute | None] = PackedSource("HTTP routes")
GRPC_ROUTES: Source[gatewayapi.GrpcRoute | None] = PackedSource("gRPC routes")
TLS_ROUTES: Source[gatewayapi.TlsRoute | None] = Source("TLS routes", None)
TCP_ROUTES: Source[gatewayapi.TcpRoute | None] = Source("TCP routes", None)
UDP_ROUTES: Source[gatewayapi.UdpRoute | None] = Source("UDP routes", None)
BACKEND_TLS_POLICIES: Source[gatewayapi.BackendTlsPolicy | None] = Source("backend TLS policies", None)
REFERENCE_GRANTS: Source[crds.ReferenceGrant | None] = Source("reference grants", None)
INVALID: Source[crds.Invalid | None] = Source("invalid documents", None)
"""(kind, namespace, name): the document that is no resource. The inputs above keep the last good version, if any."""
PODS_IN: Source[str] = Source("namespace of pods", "")
"""() -> the namespace in which pods run; empty where none do."""
HOURS: Source[tuple[Hours | None, ...]] = Source("hours of rules", ())
"""(Route) -> of each of its rules, whether it holds; empty when none has a schedule."""
FETCHED: Source[bytes | None] = Source("fetched documents", None)
"""(URL)."""

INPUTS: Mapping[str, Source[Any]] = {
    "Edge": EDGES,
    "Route": ROUTES,
    "Upstream": UPSTREAMS,
    "Tenant": TENANTS,
    "Shard": SHARDS,
    "Schema": SCHEMAS,
    "EventHook": EVENT_HOOKS,
    "RateLimit": RATE_LIMITS,
    "Workload": WORKLOADS,
    "AuthPolicy": AUTH_POLICIES,
    "Secret": SECRETS,
    "ConfigMap": CONFIG_MAPS,
    "Namespace": NAMESPACES,
    "Service": SERVICES,
    "EndpointSlice": ENDPOINT_SLICES,
    "GatewayClass": GATEWAY_CLASSES,
    "Gateway": GATEWAYS,
    "ListenerSet": LISTENER_SETS,
    "HTTPRoute": HTTP_ROUTES,
    "GRPCRoute": GRPC_ROUTES,
    "TLSRoute": TLS_ROUTES,
    "TCPRoute": TCP_ROUTES,
    "UDPRoute": UDP_ROUTES,
    "BackendTLSPolicy": BACKEND_TLS_POLICIES,
    "ReferenceGrant": REFERENCE_GRANTS,
}
"""By kind."""

HOST_CLAIMS: Index[str] = Index("edges by host")
"""(host) -> Edges that list it."""
PORT_CLAIMS: Index[str] = Index("edges by port")
"""(port) -> Edges that list it."""
GATEWAY_PORT_CLAIMS: Index[tuple[str, str]] = Index("gateways by port")
"""(port, TCP or UDP) -> (Gateway, the ListenerSet by which it asks for the port, "" where its own listeners do)."""
EDGES_IN: Index[str] = Index("edges by namespace")
"""(namespace) -> Edges."""
AIMED_AT: Index[tuple[str, str]] = Index("policies by target")
"""(kind, identity of the target) -> (kind, identity) of the AuthPolicies and RateLimits aimed there."""
ENDS_ON: Index[str] = Index("routes whose ends are told by edge")
"""(Edge, or the Edge made of a Gateway) -> routes with a RateLimit that must be told when requests end."""
CHILDREN: Index[str] = Index("tenants by parent")
"""(identity of the parent) -> Tenants."""
HOSTS_OF_TENANTS: Index[str] = Index("hosts of tenants")
"""(namespace) -> hosts that a Tenant there lists."""
TENANTS_AT: Index[str] = Index("tenants by host")
"""(namespace, host) -> Tenants there that list it."""
SHARDS_IN: Index[str] = Index("shards by namespace")
"""(namespace) -> Shards."""
STAGES_IN: Index[str] = Index("workloads by stage")
"""(namespace, stage) -> Workloads that take it out of EntryPoint."""
GRANTS_IN: Index[str] = Index("reference grants by namespace")
"""(namespace) -> ReferenceGrants."""
SLICES_OF: Index[str] = Index("endpoint slices by service")
"""(Service) -> EndpointSlices."""
INGRESSES_OF: Index[str] = Index("ingress workloads by adapter")
"""(namespace, adapter) -> Workloads there that take its requests."""
SETS_OF: Index[str] = Index("listener sets by gateway")
"""(Gateway) -> ListenerSets."""
BACKEND_POLICIES_OF: Index[str] = Index("backend TLS policies by service")
"""(Service) -> BackendTLSPolicies."""

TCP, UDP = "TCP", "UDP"
"""What a port is of: the same number is two ports."""

Age = tuple[bool, str, str]

_NO_GIFTS: frozenset[Gift] = frozenset()


def identity(resource: crds.Resource) -> str:
    """NAMESPACE/NAME."""
    return f"{resource.metadata.namespace}/{resource.metadata.name}"


def ref_of(kind: str, name: str) -> ObjectRef:
    """The reference to an object by its identity."""
    namespace, _, simple = name.partition("/")
    return ObjectRef(kind=kind, namespace=namespace, name=simple)


def age(resource: crds.Resource | None) -> Age:
    """A key that sorts the oldest first: creation time (absent is youngest), then identity."""
    if resource is None:
        return (True, "~", "")
    created = resource.metadata.creation_timestamp
    return (not created, created, identity(resource))


def why_first(winner: crds.Resource | None, loser: crds.Resource | None) -> str:
    """Why one object comes before another in age."""
    return "which is older" if age(winner)[:2] < age(loser)[:2] else "which comes first by name"


def transport_of(protocol: str) -> str:
    """TCP or UDP, of a listener with this protocol."""
    return UDP if protocol == UDP else TCP


def gifts_of(resource: crds.Resource) -> frozenset[Gift]:
    """What the object puts into the indexes."""
    gifts = _GIFTS.get(type(resource))
    return frozenset(gifts(resource, identity(resource))) if gifts is not None else _NO_GIFTS


def _edge_gifts(edge: crds.Edge, name: str) -> Iterable[Gift]:
    yield (EDGES_IN, edge.metadata.namespace), name
    for _, host in edge.spec.own_hosts:
        yield (HOST_CLAIMS, host), name
    for listener in edge.spec.listeners:
        yield (PORT_CLAIMS, listener.port), name


def _tenant_gifts(tenant: crds.Tenant, name: str) -> Iterable[Gift]:
    namespace = tenant.metadata.namespace
    if tenant.spec.parent is not None:
        yield (CHILDREN, f"{namespace}/{tenant.spec.parent}"), name
    for host in tenant.spec.hosts:
        yield (HOSTS_OF_TENANTS, namespace), host
        yield (TENANTS_AT, namespace, host), name


def _policy_gifts(policy: crds.AuthPolicy | crds.RateLimit, name: str) -> Iterable[Gift]:
    for target in policy.spec.targets:
        yield (AIMED_AT, target.kind, f"{policy.metadata.namespace}/{target.name}"), (policy.kind, name)


def _shard_gifts(shard: crds.Shard, name: str) -> Iterable[Gift]:
    yield (SHARDS_IN, shard.metadata.namespace), name


def taken_by(workload: crds.Workload) -> tuple[str, ...]:
    """Returns what no second Workload of its namespace may have: stages, or the calls of a target."""
    to = workload.spec.upstream
    if to is not None and workload.spec.component == "Target":
        return (f"to {to.name}",)
    return workload.spec.stages


def _workload_gifts(workload: crds.Workload, name: str) -> Iterable[Gift]:
    for stage in taken_by(workload):
        yield (STAGES_IN, workload.metadata.namespace, stage), name
    for adapter in workload.spec.adapters:
        yield (INGRESSES_OF, workload.metadata.namespace, adapter), name


def _grant_gifts(grant: crds.ReferenceGrant, name: str) -> Iterable[Gift]:
    yield (GRANTS_IN, grant.metadata.namespace), name


def _slice_gifts(part: crds.EndpointSlice, name: str) -> Iterable[Gift]:
    if part.service:
        yield (SLICES_OF, part.service), name


def _set_gifts(listeners: gatewayapi.ListenerSet, name: str) -> Iterable[Gift]:
    parent = listeners.spec.parent_ref
    gateway = f"{parent.namespace or listeners.metadata.namespace}/{parent.name}"
    yield (SETS_OF, gateway), name
    for listener in listeners.spec.listeners:
        yield (GATEWAY_PORT_CLAIMS, listener.port, transport_of(listener.protocol)), (gateway, name)


def _gateway_gifts(gateway: gatewayapi.Gateway, name: str) -> Iterable[Gift]:
    for listener in gateway.spec.listeners:
        yield (GATEWAY_PORT_CLAIMS, listener.port, transport_of(listener.protocol)), (name, "")


def _backend_policy_gifts(policy: gatewayapi.BackendTlsPolicy, name: str) -> Iterable[Gift]:
    for target in policy.spec.target_refs:
        if (target.group, target.kind) == ("", "Service"):
            yield (BACKEND_POLICIES_OF, f"{policy.metadata.namespace}/{target.name}"), name


_GIFTS: Mapping[type[crds.Resource], Callable[[Any, str], Iterable[Gift]]] = {
    crds.Edge: _edge_gifts,
    crds.Tenant: _tenant_gifts,
    crds.AuthPolicy: _policy_gifts,
    crds.RateLimit: _policy_gifts,
    crds.Shard: _shard_gifts,
    crds.Workload: _workload_gifts,
    crds.EndpointSlice: _slice_gifts,
    gatewayapi.Gateway: _gateway_gifts,
    gatewayapi.ListenerSet: _set_gifts,
    gatewayapi.BackendTlsPolicy: _backend_policy_gifts,
    crds.ReferenceGrant: _grant_gifts,
}


def gifts_of_invalid(invalid: crds.Invalid, name: str) -> frozenset[Gift]:
    """An AuthPolicy that never was good closes what it aims at, as far as its targets can be read."""
    if invalid.kind != "AuthPolicy":
        return frozenset()
    return frozenset(
        ((AIMED_AT, target.kind, f"{invalid.namespace}/{target.name}"), (invalid.kind, name))
        for target in invalid.targets
    )
