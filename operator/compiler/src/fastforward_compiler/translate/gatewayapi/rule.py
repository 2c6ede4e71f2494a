"""What rules of HTTPRoutes and GRPCRoutes have in common: filters and backends.

In: filters and references to backends. Out: fields of `ir.Entry`, and Problems. Called by httproute and grpcroute. A
filter that can't be done leaves the rule with 500: half of what it says would be something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .backend import GRPC, BackendKey, Resolved, resolve_backend

_NO_CHANGES = ir.HeaderChanges()
_OWN = ("x-ff-", "x-envoy-")
_OWN_NAMES = frozenset({"host", "connection", "transfer-encoding", "content-length"})
REFUSED_FILTER = "A filter of the rule can't be applied."
UNAVAILABLE = ""


class Step(NamedTuple):
    """What the functions below share while one rule is translated."""

    cells: Cells
    on: ObjectRef
    field: str
    manner: str
    problems: list[Problem]
    backends: dict[BackendKey, None]
    kept: dict[str, None]
    """Upstreams whose clients stay with an endpoint because a rule says so."""


class Filtered(NamedTuple):
    """What the filters of a rule come to."""

    fields: dict[str, Any]
    redirect: gatewayapi.RedirectFilter | None
    refused: bool


def translate_filters(step: Step, filters: Sequence[gatewayapi.RouteFilter]) -> Filtered:
    """All filters of a rule; each kind but mirrors counts once."""
    fields: dict[str, Any] = {}
    redirect, refused = None, False
    for place, each in enumerate(filters):
        field = f"{step.field}.filters[{place}]"
        if each.type == "RequestRedirect" and each.request_redirect is not None:
            redirect = each.request_redirect
            continue
        made = _translate_filter(step, field, each)
        if made is None:
            refused = True
            message = f"A filter of type {each.type} can't be applied here."
            step.problems.append(problem(step.on, Reason.UNSUPPORTED_VALUE, f"{field}.type", message))
            continue
        name, value = made
        fields[name] = (*fields.get(name, ()), *value) if name == "mirrors" else value
    if redirect is not None and "rewrite" in fields:
        refused = True
        message = "A rule either redirects or rewrites."
        step.problems.append(problem(step.on, Reason.INCOMPATIBLE_FILTERS, f"{step.field}.filters", message))
    return Filtered(fields, redirect, refused)


def _translate_filter(step: Step, field: str, each: gatewayapi.RouteFilter) -> tuple[str, Any] | None:
    """The field of `ir.Entry` that the filter fills, and with what; None for one that can't be applied."""
    match each.type:
        case "RequestHeaderModifier" if each.request_header_modifier is not None:
            return "request_headers", translate_headers(step, field, each.request_header_modifier)
        case "ResponseHeaderModifier" if each.response_header_modifier is not None:
            return "response_headers", translate_headers(step, field, each.response_header_modifier)
        case "RequestMirror" if each.request_mirror is not None:
            return "mirrors", tuple(_translate_mirror(step, f"{field}.requestMirror.backendRef", each.request_mirror))
        case "URLRewrite" if each.url_rewrite is not None:
            return "rewrite", _translate_rewrite(each.url_rewrite)
        case "CORS" if each.cors is not None:
            return "cors", translate_cors(each.cors)
    return None


def translate_headers(step: Step, field: str, changes: gatewayapi.HeaderFilter) -> ir.HeaderChanges:
    """Changes to headers; the gateway's own are left as they are, and that is told."""
    listed = (*(each.name for each in (*changes.set, *changes.add)), *changes.remove)
    own = sorted({name for name in listed if _is_own(name)})
    if own:
        message = f"These headers belong to the gateway and stay as they are: {', '.join(own)}."
        step.problems.append(problem(step.on, Reason.UNSUPPORTED_VALUE, field, message))
    return ir.HeaderChanges(
        remove=tuple(dict.fromkeys(name.lower() for name in changes.remove if not _is_own(name))),
        set=tuple((each.name.lower(), each.value) for each in changes.set if not _is_own(each.name)),
        add=tuple((each.name.lower(), each.value) for each in changes.add if not _is_own(each.name)),
    )


def _is_own(name: str) -> bool:
    return name.lower() in _OWN_NAMES or name.lower().startswith(_OWN)


def _translate_mirror(step: Step, field: str, mirror: gatewayapi.MirrorFilter) -> Iterable[ir.Mirror]:
    found = resolve_backend(step.cells, step.on, field, mirror.backend_ref, step.manner, step.problems)
    if found is None:
        return
    if found.key is not None:
        step.backends[found.key] = None
    numerator, denominator = (100 if mirror.percent is None else mirror.percent), 100
    if mirror.fraction is not None:
        numerator, denominator = mirror.fraction.numerator, mirror.fraction.denominator
    yield ir.Mirror(upstream=found.upstream, numerator=min(numerator, denominator), denominator=denominator)


def _translate_rewrite(rewrite: gatewayapi.RewriteFilter) -> ir.Rewrite:
    path, prefix = translate_path(rewrite.path)
    return ir.Rewrite(host=rewrite.hostname or "", path=path, prefix=prefix)


def translate_path(modifier: gatewayapi.PathModifier | None) -> tuple[str, str]:
    """The whole path, or what the matched prefix becomes."""
    if modifier is None:
        return "", ""
    if modifier.type == "ReplaceFullPath":
        return modifier.replace_full_path or "/", ""
    return "", modifier.replace_prefix_match or "/"


def translate_redirect(redirect: gatewayapi.RedirectFilter, scheme: str, port: int) -> ir.Redirect:
    """A redirect as it is on a port of the Gateway.

    Without a port of its own it goes to the usual one of its scheme, if it names one, or else to the listener's; usual
    ports are not told.
    """
    to_scheme = redirect.scheme or scheme
    usual = {"http": 80, "https": 443}.get(to_scheme, 0)
    to_port = redirect.port or (usual if redirect.scheme is not None else port)
    path, prefix = translate_path(redirect.path)
    return ir.Redirect(
        status=redirect.status_code,
        scheme=to_scheme,
        host=redirect.hostname or "",
        port=0 if to_port == usual else to_port,
        path=path,
        prefix=prefix,
    )


def translate_cors(cors: gatewayapi.CorsFilter) -> ir.Cors:
    """Cross-origin rules."""
    return ir.Cors(
        allow_origins=cors.allow_origins,
        allow_methods=("*",) if "*" in cors.allow_methods else cors.allow_methods,
        allow_headers=tuple(name.lower() for name in cors.allow_headers),
        expose_headers=tuple(name.lower() for name in cors.expose_headers),
        max_age_ms=cors.max_age * 1000,
        allow_credentials=cors.allow_credentials,
        answers_all=True,
    )


def translate_backends(
    step: Step, backends: Sequence[gatewayapi.FilteredBackend], session: ir.Session | None = None
) -> ir.Destination:
    """Where requests go: shares of backends that can't be used are answered 500. `session` is the rule's own."""
    weights: dict[tuple[str, ir.HeaderChanges, ir.HeaderChanges], int] = {}
    used: dict[str, Resolved] = {}
    sessions: dict[str, ir.Session | None] = {}
    for place, backend in enumerate(backends):
        field = f"{step.field}.backendRefs[{place}]"
        found = resolve_backend(step.cells, step.on, field, backend, step.manner, step.problems)
        own = translate_filters(step._replace(field=field), backend.filters)
        if set(own.fields) - {"request_headers", "response_headers"} or own.redirect is not None:
            message = "Only headers can be changed for one backend alone."
            step.problems.append(problem(step.on, Reason.UNSUPPORTED_VALUE, f"{field}.filters", message))
        if not backend.weight:
            continue
        if found is not None:
            used[found.upstream] = found
            sessions[found.upstream] = _keep(step, field, found, session)
        changes = own.fields.get("request_headers", _NO_CHANGES), own.fields.get("response_headers", _NO_CHANGES)
        key = (UNAVAILABLE, _NO_CHANGES, _NO_CHANGES) if found is None or own.refused else (found.upstream, *changes)
        weights[key] = weights.get(key, 0) + backend.weight
    step.backends.update((each.key, None) for each in used.values() if each.key is not None)
    if not any(upstream for upstream, _, _ in weights):
        return ir.Unavailable(reason="None of the rule's backends can be used.")
    return ir.Split(
        shares=tuple(
            ir.Share(
                upstream=upstream,
                weight=weight,
                request_headers=request,
                response_headers=response,
                session=sessions.get(upstream),
            )
            for (upstream, request, response), weight in weights.items()
        ),
        grpc=step.manner == GRPC,
        hash_on=tuple(dict.fromkeys(each.hash_on for each in used.values() if each.hash_on)),
        near=tuple(name for name, each in used.items() if each.own_zone),
    )


def _keep(step: Step, field: str, found: Resolved, session: ir.Session | None) -> ir.Session | None:
    """How clients stay with the endpoints of a backend: as the rule says, or else as its Upstream does."""
    if session is None:
        return found.session
    if found.no_session:
        message = f"{found.no_session} So sessionPersistence keeps no client with it."
        step.problems.append(problem(step.on, Reason.UNSUPPORTED_VALUE, field, message))
        return None
    step.kept[found.upstream] = None
    return session
