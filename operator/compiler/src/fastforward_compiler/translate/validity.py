"""What a schema's patterns can't say: that addresses, networks, countries and time zones are real ones.

In: a resource. Out: the same, or `crds.Invalid`. Called by compile before anything else, so that such a resource is
refused as a whole and its last good version stays: half an address list would let in whom it should keep out.
"""

from __future__ import annotations

import ipaddress
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import fastforward_crds as crds

from .countries import COUNTRIES


def check_resource(value: crds.Resource | crds.Invalid | None) -> crds.Resource | crds.Invalid | None:
    """The value, or an Invalid in its place."""
    find = _FINDERS.get(type(value))
    errors = tuple(find(value)) if find is not None else ()
    if not errors or not isinstance(value, crds.Resource):
        return value
    return crds.Invalid(
        kind=value.kind,
        namespace=value.metadata.namespace,
        name=value.metadata.name,
        generation=value.metadata.generation,
        errors=errors,
    )


def _edge_errors(edge: crds.Edge) -> Iterator[crds.FieldError]:
    yield from _network_errors("spec.trustedHops.addresses", edge.spec.trusted_hops.addresses)
    traefik = edge.spec.front.traefik
    yield from _network_errors("spec.front.traefik.addresses", traefik.addresses if traefik is not None else ())
    yield from _admission_errors(edge.spec.admission)


def _route_errors(route: crds.Route) -> Iterator[crds.FieldError]:
    yield from _admission_errors(route.spec.admission)
    for place, rule in enumerate(route.spec.rules):
        if rule.schedule is not None and not _is_zone(rule.schedule.zone):
            message = f"{rule.schedule.zone} is no time zone of the IANA database."
            yield crds.FieldError(field=f"spec.rules[{place}].schedule.zone", message=message)


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _admission_errors(admission: crds.Admission) -> Iterator[crds.FieldError]:
    yield from _network_errors("spec.admission.allowAddresses", admission.allow_addresses)
    yield from _network_errors("spec.admission.denyAddresses", admission.deny_addresses)
    yield from _country_errors("spec.admission.allowCountries", admission.allow_countries)
    yield from _country_errors("spec.admission.denyCountries", admission.deny_countries)


def _country_errors(field: str, codes: Iterable[str]) -> Iterator[crds.FieldError]:
    for place, code in enumerate(codes):
        if code not in COUNTRIES:
            yield crds.FieldError(field=f"{field}[{place}]", message=f"{code} is no country of ISO 3166-1.")


def _network_errors(field: str, networks: Iterable[str]) -> Iterator[crds.FieldError]:
    for place, network in enumerate(networks):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            yield crds.FieldError(field=f"{field}[{place}]", message=f"{network} is not an IP network.")


def _upstream_errors(upstream: crds.Upstream) -> Iterator[crds.FieldError]:
    for place, endpoint in enumerate(upstream.spec.endpoints):
        try:
            ipaddress.ip_address(endpoint.address)
        except ValueError:
            message = f"{endpoint.address} is not an IP address."
            yield crds.FieldError(field=f"spec.endpoints[{place}].address", message=message)


_FINDERS: Mapping[type, Callable[[Any], Iterable[crds.FieldError]]] = {
    crds.Edge: _edge_errors,
    crds.Route: _route_errors,
    crds.Upstream: _upstream_errors,
}
