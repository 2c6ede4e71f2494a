"""IngressRoute (traefik.io/v1alpha1) to rules, with TraefikServices behind it.

In: an IngressRoute. Out: rules in the draft, notes on its fields. Called by conversion. What a rule asks and no match
can say leaves the case out, for a condition less would take requests that it never had.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .cases import Asked, translate_case
from .draft import HTTP, HTTPS, Context, Document, Rule
from .middleware import MiddlewareRef, apply_middlewares
from .reading import Field, Item
from .tls import add_certificate, take_default_options, take_options
from .traefikrule import Case, RuleError, parse_rule
from .traefikservice import Destination, translate_services
from .wishes import BY_SEGMENTS, Wishes, finish

_KNOWN = {"web": HTTP, "websecure": HTTPS}


@dataclass(slots=True)
class _Router:
    """One route of an IngressRoute."""

    context: Context
    item: Item
    route: Field
    listeners: tuple[str, ...]
    wishes: Wishes = field(default_factory=Wishes)
    rules: dict[tuple[str, ...], list[Document]] = field(default_factory=dict)
    """Matches by hosts."""


def translate_ingress_route(context: Context, item: Item) -> None:
    """Adds its rules."""
    spec, tls = item.spec, item.spec["tls"]
    listeners = _listeners(context, item)
    unchecked = _take_tls(context, item, tls) if tls else _is_checked_by_entry_point(context, item)
    spec["parentRefs"].lost("Routers have no parents here.", "Write the conditions of both into the rules.")
    spec["ingressClassName"].aside("The Edge serves its Routes, whatever class there was.")
    for route in spec["routes"].each():
        router = _Router(context, item, route, listeners)
        router.wishes.closed = unchecked or bool(spec["parentRefs"])
        _translate_route(router)


def _listeners(context: Context, item: Item) -> tuple[str, ...]:
    """A router with TLS takes connections with TLS alone, one without it those without."""
    secure = bool(item.spec["tls"])
    names = item.spec["entryPoints"].texts()
    for place, name in enumerate(names):
        if name not in _KNOWN:
            remedy = "Add a listener with its port to the Edge, and name it in the Route's edges."
            item.spec["entryPoints"].each()[place].lost(f"The port of {name} is not known here.", remedy)
    if names and not any(name in _KNOWN for name in names):
        return ("unknown",)
    listener = HTTPS if secure else HTTP
    edge = context.draft.edge(context.edge)
    if not secure:
        edge.listen(HTTP, 80, secure=False)
    if names and _KNOWN.get(names[0]) != listener and not any(_KNOWN.get(name) == listener for name in names):
        item.spec["entryPoints"].changed(f"Its listener is {listener}, by whether there is TLS.")
    return (listener,)


def _is_checked_by_entry_point(context: Context, item: Item) -> bool:
    """Whether a router that speaks TLS by its entry point alone has options that keep callers out."""
    secure = HTTPS in {_KNOWN.get(name) for name in item.spec["entryPoints"].texts()}
    return secure and take_default_options(context, context.edge)


def _take_tls(context: Context, item: Item, tls: Field) -> bool:
    """The certificate and the options; returns whether these keep callers out."""
    if tls.raw == {}:
        tls.taken()
    add_certificate(context, context.edge, item.namespace, tls["secretName"], item)
    remedy = "Let something else write the certificate into a Secret, and name that in the Edge."
    tls["certResolver"].lost("No certificate is asked for by itself.", remedy)
    for domain in tls["domains"].each():
        domain.lost("No certificate is asked for by itself.", remedy)
    tls["store"].lost("Certificates are named one by one.", "Name the default certificate in the Edge.")
    return take_options(context, context.edge, tls["options"], item.namespace)


def _translate_route(router: _Router) -> None:
    route, context = router.route, router.context
    route["kind"].taken()
    route["syntax"].taken()
    route["observability"].lost("Observation is a setting of the Edge.", "Look at its accessLog.")
    text = route["match"].text()
    order = route["priority"].number() if route["priority"].raw else 0
    try:
        cases = parse_rule(text)
    except RuleError as error:
        route["match"].lost(str(error), "Write the rule as a match of a Route.")
        return
    refs = [
        MiddlewareRef(each["namespace"].text(router.item.namespace), each["name"].text(), each["name"])
        for each in route["middlewares"].each()
    ]
    apply_middlewares(context, refs, router.wishes)
    _collect(router, cases)
    destination = translate_services(context, router.item, route["services"].each())
    if destination.closed:
        router.wishes.closed = True
    for hosts, matches in router.rules.items():
        _add(router, hosts, matches, destination, order or len(text))


def _collect(router: _Router, cases: list[Case]) -> None:
    """Matches of all cases that can be said, by their hosts."""
    literal = router.context.literal or router.wishes.guarded
    place = router.route["match"]
    for case in cases:
        asked = translate_case(case, literal=literal)
        if asked.problem:
            written = " && ".join(map(str, case))
            place.lost(f"{asked.problem} So nothing takes {written}.", "Write another rule for these requests.")
            continue
        for change in asked.changes:
            place.changed(change)
        if asked.never:
            continue
        if asked.by_segments and not literal:
            place.changed(BY_SEGMENTS)
        _merge(router.rules.setdefault(asked.hosts, []), asked)


def _merge(matches: list[Document], asked: Asked) -> None:
    """Cases that differ in the method alone are one match."""
    for match in asked.matches():
        twin = next((each for each in matches if _but_methods(each) == _but_methods(match)), None)
        if twin is None:
            matches.append(match)
        elif "methods" in twin and "methods" in match:
            twin["methods"] = list(dict.fromkeys((*twin["methods"], *match["methods"])))
        else:
            twin.pop("methods", None)


def _but_methods(match: Document) -> Document:
    return {name: value for name, value in match.items() if name != "methods"}


def _add(
    router: _Router, hosts: tuple[str, ...], matches: list[Document], destination: Destination, order: int
) -> None:
    context, wishes = router.context, router.wishes.for_rule()
    rule = Rule(
        item=router.item,
        edge=context.edge,
        hosts=hosts,
        matches=matches,
        body={},
        place=router.route["match"],
        listeners=tuple(name for name in router.listeners if name != "unknown"),
        order=(order,),
        falls_through=True,
    )
    if "unknown" in router.listeners:
        return
    if wishes.to_https is not None and rule.listeners == (HTTP,):
        wishes.answer = {"redirect": wishes.to_https}
    finish(context, rule, wishes, destination.body)
