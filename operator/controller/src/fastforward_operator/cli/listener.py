"""The listener that a request is said to come in by: one that is there, and so the Edge that it comes to.

In: a decision snapshot, a request that names a listener or none. Out: the request at that listener's Edge. Called by
explain, route_test and bench. Two Edges may have the same host: the listener tells which one is asked, as it does for
real requests. Where none is named, or both have one of that name, scheme and port tell it, and the listener too where
rules hold at one listener only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fastforward_compiler import ir
from fastforward_pipeline import Refusal, Request, Snapshot, normalize
from fastforward_pipeline.compiled.table import Scope
from fastforward_pipeline.stages.ingress import find_scope

from .simulation import RequestError, find_best, on_its_port, port_of

_MOST = 8
"""Edges and Gateways that are told."""


def come_in(snapshot: Snapshot, request: Request, called: str) -> Request:
    """The request at the Edge whose listener it names; `called` is what the name was given by.

    Raises RequestError for one that no Edge has, and where one has to be named. An operator of an earlier release tells
    of none: then any is believed.
    """
    if not request.listener:
        return _by_url(snapshot, request, called)
    known = {scope.edge: scope.listeners for scope in snapshot.scopes.values() if scope.listeners}
    if not known:
        return request
    having = sorted(edge for edge, listeners in known.items() if request.listener in listeners)
    if not having:
        raise RequestError(
            f"{called} {request.listener!r}: no Edge or Gateway with routes has a listener of this name in use. "
            f"There are {_told(known)}. Name one of these, or none."
        )
    best = find_best(snapshot, having, request)
    # Where none of them has the host it gets what they say to strangers.
    return replace(request, edge=having[0] if best is None else best.edge)


def _by_url(snapshot: Snapshot, request: Request, called: str) -> Request:
    """By the listener of its scheme and port; by its scheme alone where no port fits, for proxies may have others."""
    request = on_its_port(snapshot, request)
    canonical = normalize(request)
    scope = None if isinstance(canonical, Refusal) else find_scope(snapshot, request.edge, canonical.host.lower())
    if scope is None or not scope.entrances or not _is_asked_for(snapshot, scope):
        return request
    port = port_of(request)
    fitting = [each for each in scope.entrances if each.scheme == request.scheme]
    exact = [each for each in fitting if each.port == port] or fitting
    if len(exact) == 1:
        return replace(request, listener=exact[0].listener)
    there = ", ".join(f"{each.listener} ({each.scheme}, port {each.port})" for each in scope.entrances)
    raise RequestError(
        f"{called} is wanted: rules for {scope.host} hold at one listener of Edge {scope.edge} only, and "
        f"{request.scheme}, port {port}, fits {'several' if exact else 'none'} of them. There are {there}. Name one."
    )


def _is_asked_for(snapshot: Snapshot, scope: Scope) -> bool:
    tables = (table for name, table in snapshot.tables.items() if name.startswith(f"{scope.name}#"))
    return any(plan.wire.match.listener for table in tables for plan in table.plans)


def _told(known: Mapping[str, Iterable[str]]) -> str:
    """The names by whose they are; of a Gateway each port has its own."""
    names: dict[str, list[str]] = {}
    for edge in sorted(known):
        gateway, is_gateway, port = edge.partition(f"{ir.GATEWAY}@")
        # Of a port in clear text the logs have this name; whoever wrote the Gateway has given others.
        named = [listener for listener in known[edge] if not is_gateway or listener != f"port-{port}"]
        names.setdefault(f"Gateway {gateway}" if is_gateway else f"Edge {edge}", []).extend(named)
    listed = [f"{', '.join(named)} of {whose}" for whose, named in names.items()]
    more = [f"those of {len(listed) - _MOST} more"] if len(listed) > _MOST else []
    return "; ".join((*listed[:_MOST], *more))
