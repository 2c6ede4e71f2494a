"""Where a Route attaches: to which Edges, by which listeners, on which hosts.

In: a Route's references to Edges and its hosts. Out: Attachments and Problems. Called by route.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .edge import VIEW, View, covers
from .reference import target


class Attachment(NamedTuple):
    """One Edge that takes the Route, the listeners ("" for all) and the hosts."""

    edge: View
    listeners: tuple[str, ...]
    hosts: tuple[str, ...]


def resolve_attachments(
    cells: Cells, on: ObjectRef, spec: crds.RouteSpec, problems: list[Problem]
) -> Iterator[Attachment]:
    """The Edges that take the Route; what stands in the way of others goes to `problems`."""
    listeners: dict[str, set[str]] = {}
    views: dict[str, View] = {}
    for place, ref in enumerate(spec.edges):
        name = target(ref, on.namespace)
        view = _resolve_edge(cells, on, f"spec.edges[{place}]", ref, problems)
        if view is not None:
            views[name] = view
            listeners.setdefault(name, set()).add(ref.listener or "")
    for name, view in views.items():
        hosts = _own_hosts(on, spec.hosts, view, problems) if spec.hosts else view.hosts
        named = listeners[name]
        yield Attachment(view, ("",) if "" in named else tuple(sorted(named)), hosts)


def _resolve_edge(cells: Cells, on: ObjectRef, field: str, ref: crds.EdgeRef, problems: list[Problem]) -> View | None:
    name = target(ref, on.namespace)
    view = cells.read(VIEW, name)
    if view is None:
        problems.append(problem(on, Reason.EDGE_NOT_FOUND, field, f"Edge {name} was not found."))
    elif view.route_namespaces is not None and on.namespace not in view.route_namespaces:
        message = f"Edge {name} takes no Routes of namespace {on.namespace} (spec.routeNamespaces)."
        problems.append(problem(on, Reason.NOT_ALLOWED_BY_EDGE, field, message))
    elif ref.listener is not None and ref.listener not in view.listeners:
        message = f"Edge {name} has no listener {ref.listener}."
        problems.append(problem(on, Reason.EDGE_NOT_FOUND, f"{field}.listener", message))
    else:
        return view
    return None


def _own_hosts(on: ObjectRef, hosts: tuple[str, ...], view: View, problems: list[Problem]) -> tuple[str, ...]:
    own = []
    for place, host in enumerate(hosts):
        if host in view.hosts or any(covers(owned, host) for owned in view.hosts):
            own.append(host)
            continue
        owned = ", ".join(view.hosts[:10]) or "no host"
        message = f"Host {host} is not among those of Edge {view.name}, which has {owned}."
        problems.append(problem(on, Reason.HOST_NOT_OWNED, f"spec.hosts[{place}]", message))
    return tuple(dict.fromkeys(own))
