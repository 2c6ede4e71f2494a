"""Backends of routes to Upstreams: a port of a Service, in the way that a route speaks to it.

In: references to backends, Services, BackendTLSPolicies. Out: names of Upstreams, and the Upstreams that some route
names. Called by the rules of routes and by compile. A route depends on the port of a Service, never on its endpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import fastforward_crds as crds
from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Index, Key, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem
from fastforward_compiler.translate.reference import is_permitted
from fastforward_compiler.translate.service import ENDPOINTS, PORT, ServicePort
from fastforward_compiler.translate.service import Fault as PortFault
from fastforward_compiler.translate.upstream import KEPT_BY, TRAITS
from fastforward_compiler.translate.world import UDP

from .backendtlspolicy import BACKEND_TLS, CLIENT_CERTIFICATE

_REFRESH_MS = 5000
HTTP, GRPC, STREAM, DATAGRAMS = "", "grpc", "tcp", "udp"
"""How a route speaks to its backends, where their Service does not say; streams and datagrams go on as they are."""
_AS_THEY_ARE = (STREAM, DATAGRAMS)
_MAX_SESSIONS = 16_384
"""Of datagrams: nobody ends a session, it only grows old. Each has a socket, anybody can begin one by a forged address,
and Envoy ends when it gets none any more."""


class BackendKey(NamedTuple):
    """What one Upstream is made from."""

    service: str
    port: int
    manner: str
    client: str = ""
    """The Gateway whose certificate is shown there; empty for none."""


class Resolved(NamedTuple):
    """A backend: the Upstream's name, and what to want for it; nothing for an Upstream of ours."""

    upstream: str
    key: BackendKey | None
    hash_on: str = ""
    session: ir.Session | None = None
    own_zone: bool = False
    no_session: str = ""
    """Why a rule can't keep clients with its endpoints; empty when it can."""


def backend_name(key: BackendKey) -> str:
    """The Upstream's name; none of ours can have it."""
    manner, client = f"/{key.manner}" if key.manner else "", f"~{key.client}" if key.client else ""
    return f"{key.service}:{key.port}{manner}{client}"


def client_name(upstream: str, client: str) -> str:
    """The name of the same backend for a Gateway that shows a certificate; Upstreams of ours stay as they are."""
    return f"{upstream}~{client}" if ":" in upstream else upstream


def resolve_backend(
    cells: Cells, on: ObjectRef, field: str, ref: gatewayapi.BackendObject, manner: str, problems: list[Problem]
) -> Resolved | None:
    """The backend, or None with a Problem more."""
    name = f"{ref.namespace or on.namespace}/{ref.name}"
    if (ref.group, ref.kind) not in (("", "Service"), (crds.GROUP, "Upstream")):
        message = (
            f"{ref.kind} {name} of group {ref.group or 'core'} is no kind of backend; a Service is, an Upstream too."
        )
        problems.append(problem(on, Reason.INVALID_KIND, f"{field}.kind", message))
        return None
    if not is_permitted(cells, kind=on.kind, namespace=on.namespace, to_kind=ref.kind, to=name):
        message = f"{ref.kind} {name} is in another namespace, and no ReferenceGrant there permits it."
        problems.append(problem(on, Reason.REF_NOT_PERMITTED, field, message))
        return None
    if ref.kind == "Upstream" and manner == DATAGRAMS:
        message = f"Datagrams go to Services alone, and Upstream {name} is for connections."
        problems.append(problem(on, Reason.INVALID_KIND, f"{field}.kind", message))
        return None
    if ref.kind == "Upstream":
        traits = cells.read(TRAITS, name)
        if traits is None:
            problems.append(problem(on, Reason.BACKEND_NOT_FOUND, field, f"Upstream {name} was not found."))
            return None
        return Resolved(name, None, traits.hash_on, traits.session, traits.own_zone, traits.no_session)
    return _resolve_service(cells, on, field, ref, BackendKey(name, ref.port or 0, manner), problems)


def _resolve_service(
    cells: Cells,
    on: ObjectRef,
    field: str,
    ref: gatewayapi.BackendObject,
    key: BackendKey,
    problems: list[Problem],
) -> Resolved | None:
    if ref.port is None:
        message = f"Service {key.service} needs a port."
        problems.append(problem(on, Reason.UNSUPPORTED_VALUE, f"{field}.port", message))
        return None
    port = cells.read(PORT, key.service, key.port, *_transport(key))
    if isinstance(port, PortFault):
        problems.append(problem(on, Reason.BACKEND_NOT_FOUND, field, port.message))
        return None
    apart = "" if not port.dns else f"Service {key.service} is a name, whose endpoints are not told apart."
    return Resolved(backend_name(key), key, own_zone=port.own_zone, no_session=apart)


def _translate_backend(cells: Cells, *parts: str | int) -> ir.Upstream | None:
    """None while no route names it."""
    key = BackendKey(str(parts[0]), int(parts[1]), *map(str, parts[2:]))
    if not cells.read(BACKENDS_OF, *key):
        return None
    port = cells.read(PORT, key.service, key.port, *_transport(key))
    if isinstance(port, PortFault):
        return None
    return _make_upstream(cells, key, port)


def _transport(key: BackendKey) -> tuple[str, ...]:
    return (UDP,) if key.manner == DATAGRAMS else ()


def _make_upstream(cells: Cells, key: BackendKey, port: ServicePort) -> ir.Upstream:
    protocol = "GRPC" if key.manner == GRPC else port.protocol
    secured = cells.read(BACKEND_TLS, key.service, port.name) if key.manner not in _AS_THEY_ARE else None
    dns = ir.Dns(host=port.dns, port=port.number, refresh_ms=_REFRESH_MS) if port.dns else None
    endpoints = () if port.dns else cells.read(ENDPOINTS, key.service, port.name, *_transport(key))
    if secured is not None and secured.tls is None:
        # Nobody there can be believed: nobody is asked, and the answer is 503.
        return ir.Upstream(name=backend_name(key), protocol=protocol)
    tls = None if secured is None else secured.tls
    shown = cells.read(CLIENT_CERTIFICATE, key.client) if tls is not None and key.client else None
    if tls is not None and isinstance(shown, ir.Certificate):
        tls = replace(tls, client=shown)
    name = backend_name(key)
    kept = dns is None and bool(cells.read(KEPT_BY, name))
    made = ir.Upstream(name=name, endpoints=endpoints, dns=dns, protocol=protocol, tls=tls, kept=kept)
    if port.own_zone and key.manner != DATAGRAMS:
        made = replace(made, own_zone_minimum=1)
    return replace(made, max_connections=_MAX_SESSIONS) if key.manner == DATAGRAMS else made


def wanted_backend(*parts: str | int) -> Iterator[Key]:
    """What the first route that names a backend calls into being."""
    yield (BACKEND, *parts)


BACKENDS_OF: Index[tuple[str, str]] = Index("routes by backend")
"""(Service, port, manner, client) -> (kind, route)."""
BACKEND: Rule[ir.Upstream | None] = Rule("backend", _translate_backend, root=True, counted=True)
"""(Service, port, manner, client)."""
