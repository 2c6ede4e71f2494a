"""HTTPRoute to pieces of tables.

In: an HTTPRoute, the Gateways that take it. Out: RouteTranslation, and in the indexes the hosts on which it lies and
the backends that it needs. Called by compile through HTTP_ROUTE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import fastforward_crds as crds
from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import Problem, Reason, problem
from fastforward_compiler.regex import inside
from fastforward_compiler.translate.expression import fault_of_regex, fault_of_whole
from fastforward_compiler.translate.rulename import rule_names
from fastforward_compiler.translate.world import HTTP_ROUTES, age, ref_of

from .attachment import parts_of, resolve_parents
from .backend import HTTP
from .path import fault_of_path
from .persistence import translate_persistence
from .rule import REFUSED_FILTER, Filtered, Step, translate_backends, translate_filters, translate_redirect
from .spread import Blueprint, Condition, RouteTranslation, clients_of, kept_by, route_gifts, spread_route

_PATH_TYPES = {
    "Exact": ir.PathType.EXACT,
    "PathPrefix": ir.PathType.PREFIX,
    "RegularExpression": ir.PathType.REGEX,
}
_RETRIES = 1
_RETRY_ON = ("connect-failure", "refused-stream", "reset")


def _translate_http_route(cells: Cells, name: str) -> RouteTranslation | None:
    route = cells.read(HTTP_ROUTES, name)
    if route is None:
        return None
    on = ref_of("HTTPRoute", name)
    parents = tuple(resolve_parents(cells, on, route.spec.parent_refs, route.spec.hostnames))
    if not parents:
        return RouteTranslation()
    step = Step(cells, on, "", HTTP, [], {}, {})
    names = rule_names([rule.name or None for rule in route.spec.rules])
    blueprints = [
        _translate_rule(step._replace(field=f"spec.rules[{place}]"), place, name, rule)
        for place, (name, rule) in enumerate(zip(names, route.spec.rules, strict=True))
    ]
    return RouteTranslation(
        parents=parents,
        rules=tuple(dict.fromkeys(names)),
        spreads=tuple(spread_route(cells, on, age(route), parents, blueprints)),
        problems=(*(each.problem for each in parents if each.problem is not None), *dict.fromkeys(step.problems)),
        parts=tuple(parts_of(parents, step.problems)),
        backends=tuple(key._replace(client=client) for key in step.backends for client in clients_of(cells, parents)),
        kept=kept_by(step.kept, clients_of(cells, parents)),
    )


def _translate_rule(step: Step, place: int, name: str, rule: gatewayapi.HttpRouteRule) -> Blueprint:
    filtered = translate_filters(step, rule.filters)
    destination = _translate_destination(step, name, rule, filtered)
    fields = {**filtered.fields, "destination": destination}
    if isinstance(destination, ir.Split):
        fields |= _translate_patience(rule)
    else:
        for field in ("rewrite", "cors", "mirrors", "request_headers"):
            fields.pop(field, None)
    conditions = tuple(_translate_matches(step, rule.matches, filtered))
    redirect = filtered.redirect if isinstance(destination, ir.Redirect) else None

    def on_port(scheme: str, port: int) -> dict[str, Any]:
        if redirect is None:
            return fields
        return {**fields, "destination": translate_redirect(redirect, scheme, port)}

    return Blueprint(name, place, conditions, on_port)


def _translate_destination(step: Step, name: str, rule: gatewayapi.HttpRouteRule, filtered: Filtered) -> ir.Destination:
    paths = ("/" if each.path.type == "RegularExpression" else each.path.value for each in rule.matches)
    session = translate_persistence(step, name, rule.session_persistence, paths)
    destination: ir.Destination = translate_backends(step, rule.backend_refs, session)
    if filtered.refused:
        return ir.Unavailable(reason=REFUSED_FILTER)
    if filtered.redirect is None:
        return destination
    if rule.backend_refs:
        message = "A rule that redirects has no backends."
        step.problems.append(problem(step.on, Reason.INCOMPATIBLE_FILTERS, f"{step.field}.backendRefs", message))
        return ir.Unavailable(reason=message)
    return translate_redirect(filtered.redirect, "", 0)


def _translate_patience(rule: gatewayapi.HttpRouteRule) -> dict[str, Any]:
    """Time-outs and retries; 0 is no bound."""
    fields: dict[str, Any] = {}
    whole, each_try = (_milliseconds(text) for text in (rule.timeouts.request, rule.timeouts.backend_request))
    if rule.retry is None:
        bounds = [bound for bound in (whole, each_try) if bound is not None and bound > 0]
        if whole is not None or each_try is not None:
            fields["timeout_ms"] = min(bounds) if bounds else 0
        return fields
    if whole is not None or each_try is not None:
        fields["timeout_ms"] = whole or 0
    fields["retry"] = ir.Retry(
        attempts=_RETRIES if rule.retry.attempts is None else rule.retry.attempts,
        on=_RETRY_ON,
        codes=rule.retry.codes,
        per_try_timeout_ms=each_try or 0,
        backoff_ms=_milliseconds(rule.retry.backoff) or 25,
    )
    return fields


def _milliseconds(text: str | None) -> int | None:
    return None if text is None else crds.milliseconds(text)


def _translate_matches(
    step: Step, matches: Sequence[gatewayapi.HttpRouteMatch], filtered: Filtered
) -> Iterator[Condition]:
    for place, match in enumerate(matches or (gatewayapi.HttpRouteMatch(),)):
        problems = list(_faults(step, f"{step.field}.matches[{place}]", match, filtered))
        step.problems.extend(problems)
        if not problems:
            yield Condition(place, _translate_match(match))


def _faults(step: Step, field: str, match: gatewayapi.HttpRouteMatch, filtered: Filtered) -> Iterator[Problem]:
    texts = (("path", [match.path]), ("headers", match.headers), ("queryParams", match.query_params))
    for part, listed in texts:
        for place, text in enumerate(listed):
            find = fault_of_whole if part == "path" else fault_of_regex
            fault = find(text.value) if text.type == "RegularExpression" else ""
            if fault:
                where = f"{field}.{part}.value" if part == "path" else f"{field}.{part}[{place}].value"
                message = f"The regular expression is refused, so this match is left out: {fault}."
                yield problem(step.on, Reason.UNSUPPORTED_VALUE, where, message)
    fault = fault_of_path(match.path.value) if match.path.type != "RegularExpression" else ""
    if fault:
        message = f"{fault}, so this match is left out."
        yield problem(step.on, Reason.UNSUPPORTED_VALUE, f"{field}.path.value", message)
    rewrite = filtered.fields.get("rewrite")
    replaces = (rewrite is not None and rewrite.prefix) or _replaces_prefix(filtered.redirect)
    if replaces and match.path.type != "PathPrefix":
        message = "ReplacePrefixMatch needs a match of type PathPrefix, so this match is left out."
        yield problem(step.on, Reason.UNSUPPORTED_VALUE, f"{field}.path.type", message)


def _replaces_prefix(redirect: gatewayapi.RedirectFilter | None) -> bool:
    return redirect is not None and redirect.path is not None and redirect.path.type == "ReplacePrefixMatch"


def _translate_match(match: gatewayapi.HttpRouteMatch) -> ir.Match:
    path = match.path.value
    if match.path.type == "PathPrefix":
        path = path.rstrip("/") or "/"
    elif match.path.type == "RegularExpression":
        path = inside(path)
    return ir.Match(
        path_type=_PATH_TYPES[match.path.type],
        path=path,
        methods=(match.method,) if match.method is not None else (),
        headers=translate_texts(match.headers, lower=True),
        query=translate_texts(match.query_params, lower=False),
    )


def translate_texts(texts: Iterable[gatewayapi.HttpTextMatch], *, lower: bool) -> tuple[ir.TextMatch, ...]:
    """Conditions on headers or query parameters; of several with one name the first counts."""
    made: dict[str, ir.TextMatch] = {}
    for text in texts:
        name = text.name.lower() if lower else text.name
        kind = ir.TextType.REGEX if text.type == "RegularExpression" else ir.TextType.EXACT
        made.setdefault(name, ir.TextMatch(name=name, type=kind, value=text.value))
    return tuple(made[name] for name in sorted(made))


HTTP_ROUTE: Rule[RouteTranslation | None] = Rule(
    "HTTP route",
    _translate_http_route,
    gives=lambda translation, name: route_gifts("HTTPRoute", translation, name),
    root=True,
    counted=True,
)
"""(HTTPRoute)."""
