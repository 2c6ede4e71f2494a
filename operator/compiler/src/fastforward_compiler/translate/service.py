"""Services to endpoints: what is known of one port of one Service.

In: a Service, its EndpointSlices. Out: the port, or why it can't be used; the endpoints behind it. Called by whoever
names a Service as its destination. The port is apart from the endpoints, which change all the time, so that pods that
come and go touch nothing but endpoints.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import Reason

from .world import ENDPOINT_SLICES, SERVICES, SLICES_OF, TCP

_PROTOCOLS = {"kubernetes.io/h2c": "HTTP2"}
"""By `appProtocol` (KEP-3726); WebSockets are HTTP/1.1 to begin with."""
_OWN_ZONE = frozenset({"PreferClose", "PreferSameZone", "PreferSameNode"})
"""Nodes don't count here, and a node is in a zone."""
_FAMILIES = frozenset({"IPv4", "IPv6"})


class ServicePort(NamedTuple):
    """One port of a Service."""

    number: int
    name: str
    """What slices call it; empty for the only one."""
    protocol: str = "HTTP1"
    dns: str = ""
    """The name that the Service stands for, instead of endpoints."""
    own_zone: bool = False
    """Whether the Service wants requests to stay in the zone that they come from."""


class Fault(NamedTuple):
    """Why a Service can't be used."""

    reason: Reason
    message: str
    of_port: bool = False


def _find_port(cells: Cells, service: str, wanted: int | str, transport: str = TCP) -> ServicePort | Fault:
    """`wanted` is a number or a name."""
    found = cells.read(SERVICES, service)
    if found is None:
        return Fault(Reason.SERVICE_NOT_FOUND, f"Service {service} was not found.")
    ports = [port for port in found.spec.ports if port.protocol == transport]
    dns = found.spec.external_name if found.spec.type == "ExternalName" else ""
    for port in ports:
        if wanted in (port.port, port.name):
            protocol = _PROTOCOLS.get(port.app_protocol, "HTTP1")
            own_zone = not dns and found.spec.traffic_distribution in _OWN_ZONE
            return ServicePort(port.port, port.name, protocol, dns, own_zone)
    if dns and isinstance(wanted, int):
        # Such a Service need not list its ports.
        return ServicePort(wanted, "", dns=dns)
    listed = ", ".join(f"{port.port} ({port.name})" if port.name else str(port.port) for port in ports[:10])
    message = f"Service {service} has no {transport} port {wanted}; it has {listed or 'none'}."
    return Fault(Reason.SERVICE_NOT_FOUND, message, of_port=True)


def _find_endpoints(cells: Cells, service: str, port: str, transport: str = TCP) -> tuple[ir.Endpoint, ...]:
    """Those that are ready, or else those that still serve while they are ending (KEP-1669).

    Sorted, so that the order in which slices list them changes nothing.
    """
    found: dict[ir.Endpoint, crds.EndpointConditions] = {}
    for name in sorted(cells.read(SLICES_OF, service)):
        part = cells.read(ENDPOINT_SLICES, name)
        if part is not None and part.address_type in _FAMILIES:
            # While an endpoint moves from one slice to the next it is in both, in the same state or nearly so.
            found.update(_endpoints_of(part, port, transport))
    for wanted in (_is_ready, _is_serving):
        chosen = [endpoint for endpoint, conditions in found.items() if wanted(conditions)]
        if chosen:
            return tuple(sorted(chosen, key=lambda endpoint: (endpoint.address, endpoint.port)))
    return ()


def _endpoints_of(
    part: crds.EndpointSlice, port: str, transport: str
) -> Iterator[tuple[ir.Endpoint, crds.EndpointConditions]]:
    numbers = _numbers(part.ports, port, transport)
    for endpoint in part.endpoints:
        try:
            address = str(ipaddress.ip_address(endpoint.addresses[0]))
        except ValueError:
            continue
        for number in numbers:
            uid, zone = endpoint.target_ref.uid, endpoint.zone
            yield ir.Endpoint(address=address, port=number, uid=uid, zone=zone), endpoint.conditions


def _numbers(ports: Iterable[crds.SlicePort], name: str, transport: str) -> list[int]:
    fitting = (each.port for each in ports if (each.name, each.protocol) == (name, transport))
    return [number for number in fitting if number is not None]


def _is_ready(conditions: crds.EndpointConditions) -> bool:
    return conditions.ready and not conditions.terminating


def _is_serving(conditions: crds.EndpointConditions) -> bool:
    return conditions.ready if conditions.serving is None else conditions.serving


PORT: Rule[ServicePort | Fault] = Rule("service port", _find_port)
"""(Service, number or name), and UDP unless it is TCP that is meant."""
ENDPOINTS: Rule[tuple[ir.Endpoint, ...]] = Rule("service endpoints", _find_endpoints)
"""(Service, name of the port in its slices), and UDP unless it is TCP that is meant."""
