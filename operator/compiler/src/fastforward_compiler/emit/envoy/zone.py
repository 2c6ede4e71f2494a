"""Zones: a proxy keeps to the endpoints of its own zone where there are enough of them.

In: ir.Upstream; the zone of a proxy. Out: how a cluster chooses, its endpoints by zone, the cluster by which a proxy
knows its own zone. Called by upstream and bootstrap. Source: Envoy's documentation of "Zone aware routing"; ADR 45 has
what was tried. Only the extensions for load balancing have `force_local_zone`, the older fields of a cluster do not.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastforward_compiler import ir

from .protos import (
    EnvoyMessage,
    address_pb2,
    base_pb2,
    cluster_pb2,
    endpoint_components_pb2,
    endpoint_pb2,
    extension_pb2,
    lb_common_pb2,
    least_request_pb2,
    random_pb2,
    round_robin_pb2,
)
from .session import among_sessions
from .wire import milliseconds, pack, uint32

OWN_CLUSTER = "ff-proxies"
_POLICIES = {
    "RoundRobin": round_robin_pb2.RoundRobin,
    "LeastRequest": least_request_pb2.LeastRequest,
    "Random": random_pb2.Random,
}
_ZONE_AWARE = lb_common_pb2.LocalityLbConfig.ZoneAwareLbConfig
_NOWHERE = base_pb2.Locality(sub_zone="none")
"""Where endpoints without a zone are: or else they were those of a proxy without one, and it would keep to them."""


def emit_own_zone(upstream: ir.Upstream, cluster: EnvoyMessage) -> None:
    """Writes how an endpoint is chosen: as the cluster says otherwise, among those of the proxy's zone."""
    zones = _ZONE_AWARE(
        # Not for six endpoints and more only.
        min_cluster_size={"value": 1},
        force_local_zone=_ZONE_AWARE.ForceLocalZone(min_size=uint32(upstream.own_zone_minimum)),
        locality_basis=_ZONE_AWARE.HEALTHY_HOSTS_WEIGHT,
    )
    policy = _POLICIES[upstream.policy](locality_lb_config=lb_common_pb2.LocalityLbConfig(zone_aware_lb_config=zones))
    if upstream.slow_start_ms:
        policy.slow_start_config.slow_start_window.CopyFrom(milliseconds(upstream.slow_start_ms))
    made = _policy(policy)
    cluster.lb_policy = cluster_pb2.Cluster.LOAD_BALANCING_POLICY_CONFIG
    cluster.load_balancing_policy.CopyFrom(_policy(among_sessions(made)) if upstream.keeps_clients else made)


def _policy(config: EnvoyMessage) -> EnvoyMessage:
    extension = extension_pb2.TypedExtensionConfig(name="policy", typed_config=pack(config))
    policies = cluster_pb2.LoadBalancingPolicy
    return policies(policies=[policies.Policy(typed_extension_config=extension)])


def by_zone(name: str, endpoints: Iterable[tuple[ir.Endpoint, EnvoyMessage]]) -> EnvoyMessage:
    """Returns a ClusterLoadAssignment with one locality a zone, in the order of their names."""
    zones: dict[str, list[EnvoyMessage]] = {}
    for endpoint, made in endpoints:
        zones.setdefault(endpoint.zone, []).append(made)
    localities = [
        endpoint_components_pb2.LocalityLbEndpoints(
            locality=base_pb2.Locality(zone=zone) if zone else _NOWHERE, lb_endpoints=found
        )
        for zone, found in sorted(zones.items())
    ]
    return endpoint_pb2.ClusterLoadAssignment(cluster_name=name, endpoints=localities)


def own_cluster(zone: str) -> EnvoyMessage:
    """Returns the cluster that stands for this proxy's fleet: one endpoint in its zone, to which nothing is ever sent.

    Envoy heeds zones only where it knows how its own kind is spread. We ask for more than its even spread, and so one
    is enough.
    """
    nowhere = address_pb2.SocketAddress(address="127.0.0.1", port_value=9)
    there = endpoint_components_pb2.Endpoint(address=address_pb2.Address(socket_address=nowhere))
    locality = endpoint_components_pb2.LocalityLbEndpoints(
        locality=base_pb2.Locality(zone=zone), lb_endpoints=[endpoint_components_pb2.LbEndpoint(endpoint=there)]
    )
    return cluster_pb2.Cluster(
        name=OWN_CLUSTER,
        connect_timeout=milliseconds(1000),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(cluster_name=OWN_CLUSTER, endpoints=[locality]),
    )
