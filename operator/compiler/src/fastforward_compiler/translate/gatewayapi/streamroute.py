"""TLSRoutes, TCPRoutes and UDPRoutes to streams: where the connections or datagrams of a listener go.

In: such a route, the Gateways that take it. Out: StreamTranslation, and in the indexes the listeners at which it counts
and the backends that it needs. Called by compile through TLS_ROUTE, TCP_ROUTE and UDP_ROUTE; gateway reads STREAMS. A
change of these routes changes a listener of the proxy: nothing else leads connections that nobody looks into.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Gift, Index, Rule, Source
from fastforward_compiler.problem import ObjectRef, Problem
from fastforward_compiler.translate.world import TCP_ROUTES, TLS_ROUTES, UDP_ROUTES, Age, age, ref_of

from .attachment import Parent, parts_of, resolve_parents
from .backend import BACKENDS_OF, DATAGRAMS, STREAM, BackendKey, resolve_backend
from .section import ANY_HOST, ATTACHED, SectionKey

REFUSED = ""
"""The Upstream of a share that is refused."""


class Binding(NamedTuple):
    """What a route does at one listener."""

    gateway: str
    section: SectionKey
    hosts: tuple[str, ...]


class StreamTranslation(NamedTuple):
    """A route of streams; nothing, where no Gateway of ours has it."""

    born: Age = (True, "", "")
    parents: tuple[Parent, ...] = ()
    bindings: tuple[Binding, ...] = ()
    stream: ir.Stream = ir.Stream(shares=())
    problems: tuple[Problem, ...] = ()
    parts: tuple[ir.Part, ...] = ()
    backends: tuple[BackendKey, ...] = ()


class Bound(NamedTuple):
    """Where the connections with one server name go, at one listener."""

    section: SectionKey
    host: str
    stream: ir.Stream


def _translate(cells: Cells, kind: str, source: Source[Any], name: str) -> StreamTranslation | None:
    route = cells.read(source, name)
    if not isinstance(route, gatewayapi.TlsRoute | gatewayapi.TcpRoute | gatewayapi.UdpRoute):
        return None
    on, spec = ref_of(kind, name), route.spec
    parents = tuple(resolve_parents(cells, on, spec.parent_refs, spec.hostnames))
    if not parents:
        return StreamTranslation()
    problems: list[Problem] = []
    backends: dict[BackendKey, None] = {}
    stream = ir.Stream(shares=tuple(_shares(cells, on, spec.rules, problems, backends)))
    bindings = {
        (each.gateway, each.section.key): Binding(each.gateway, each.section.key, each.hosts)
        for parent in parents
        for each in parent.attached
    }
    return StreamTranslation(
        born=age(route),
        parents=parents,
        bindings=tuple(bindings.values()),
        stream=stream,
        problems=(*(each.problem for each in parents if each.problem is not None), *dict.fromkeys(problems)),
        parts=tuple(parts_of(parents, problems)),
        backends=tuple(backends),
    )


def _shares(
    cells: Cells,
    on: ObjectRef,
    rules: Iterable[gatewayapi.StreamRule],
    problems: list[Problem],
    backends: dict[BackendKey, None],
) -> Iterator[ir.Share]:
    weights: dict[str, int] = {}
    manner = DATAGRAMS if on.kind == "UDPRoute" else STREAM
    for number, rule in enumerate(rules):
        for place, backend in enumerate(rule.backend_refs):
            field = f"spec.rules[{number}].backendRefs[{place}]"
            found = resolve_backend(cells, on, field, backend, manner, problems)
            if found is not None and found.key is not None:
                backends[found.key] = None
            name = REFUSED if found is None else found.upstream
            if backend.weight:
                weights[name] = weights.get(name, 0) + backend.weight
    yield from (ir.Share(upstream=name, weight=weight) for name, weight in weights.items())


def _gifts(kind: str, translation: StreamTranslation | None, name: str) -> Iterable[Gift]:
    for binding in translation.bindings if translation is not None else ():
        yield (ATTACHED, binding.gateway, *binding.section), (kind, name)
        yield (STREAMS_AT, binding.gateway), (kind, name)
    for backend in translation.backends if translation is not None else ():
        yield (BACKENDS_OF, *backend), (kind, name)


def _find_streams(cells: Cells, gateway: str) -> tuple[Bound, ...]:
    """Of each listener and host the oldest route."""
    found: list[tuple[Age, Binding, ir.Stream]] = []
    for kind, name in cells.read(STREAMS_AT, gateway):
        made = cells.read(_ROUTES[kind], name)
        if made is not None:
            found += [(made.born, each, made.stream) for each in made.bindings if each.gateway == gateway]
    bound: dict[tuple[SectionKey, str], ir.Stream] = {}
    for _, binding, stream in sorted(found, key=lambda each: (each[0], each[1])):
        for host in binding.hosts:
            bound.setdefault((binding.section, host), stream)
    return tuple(Bound(section, host, stream) for (section, host), stream in sorted(bound.items(), key=_place))


def _place(item: tuple[tuple[SectionKey, str], ir.Stream]) -> tuple[SectionKey, bool, str]:
    (section, host), _ = item
    return section, host == ANY_HOST, host


def _rule(label: str, kind: str, source: Source[Any]) -> Rule[StreamTranslation | None]:
    """Each kind of stream route is made by the same rule, from objects of its own."""
    return Rule(
        label,
        lambda cells, name: _translate(cells, kind, source, name),
        gives=lambda made, name: _gifts(kind, made, name),
        root=True,
        counted=True,
    )


STREAMS_AT: Index[tuple[str, str]] = Index("streams by gateway")
"""(Gateway) -> (kind, route)."""
TLS_ROUTE = _rule("TLS route", "TLSRoute", TLS_ROUTES)
"""(TLSRoute)."""
TCP_ROUTE = _rule("TCP route", "TCPRoute", TCP_ROUTES)
"""(TCPRoute)."""
UDP_ROUTE = _rule("UDP route", "UDPRoute", UDP_ROUTES)
"""(UDPRoute)."""
STREAMS: Rule[tuple[Bound, ...]] = Rule("streams", _find_streams)
"""(Gateway)."""
_ROUTES: Mapping[str, Rule[StreamTranslation | None]] = {
    "TLSRoute": TLS_ROUTE,
    "TCPRoute": TCP_ROUTE,
    "UDPRoute": UDP_ROUTE,
}
