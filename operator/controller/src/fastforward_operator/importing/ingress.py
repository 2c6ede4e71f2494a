"""Ingress (networking.k8s.io/v1) to rules, with the annotations of ingress-nginx and Traefik.

In: an Ingress. Out: rules in the draft, notes on its fields. Called by conversion. Source:
https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .canary import Canary, match_canary
from .draft import HTTP, HTTPS, Context, Document, Rule, service_spec
from .middleware import MiddlewareRef, apply_middlewares
from .nginx import NginxWishes, read_nginx
from .pathregex import (
    PREFIX,
    asks_for_regex,
    has_anchor,
    literal_head,
    location_order,
    location_regex,
    rewrite_regex,
    search_regex,
    substitute_groups,
)
from .reading import Field, Item
from .tls import add_certificate, take_annotated_option, take_default_options
from .wishes import BY_SEGMENTS, Rewrite, Wishes, finish, literal_regex, prefix_paths, regex_fault

TRAEFIK = "traefik.ingress.kubernetes.io/"
_GROUP = re.compile(r"\$[0-9]")
_CLASS = "kubernetes.io/ingress.class"
_ENTRY_POINTS = {"web": HTTP, "websecure": HTTPS}
_GUARD = "Add what guards it, then give the rules their upstreams."
_ONE_LABEL = "The wildcard takes any number of labels here, and took one."


@dataclass(slots=True)
class _Plan:
    """What is known of one Ingress."""

    context: Context
    item: Item
    wishes: NginxWishes
    listeners: tuple[str, ...] = ()
    falls_through: bool = False
    matcher: str = ""
    order: int = 0
    options: Field | None = None
    """Of TLS."""


@dataclass(slots=True)
class _Location:
    """One place among the paths of a host."""

    paths: list[Document]
    order: tuple[int, ...]
    rewritten: str = ""
    """An expression with the groups that `rewrite-target` names."""
    refused: bool = False
    secured: bool = False
    """Whether its host has a certificate."""


def translate_ingress(context: Context, item: Item) -> list[Canary]:
    """Adds its rules; returns those that belong to other Ingresses."""
    wishes = read_nginx(item)
    plan = _Plan(context, item, wishes)
    _take_class(plan)
    _take_traefik(plan)
    has_tls = _take_tls(plan)
    if plan.falls_through and (plan.options is not None or has_tls or HTTPS in plan.listeners):
        wishes.closed |= _keeps_out(plan)
    if "canary" in wishes.canary and wishes.canary["canary"].flag():
        return list(_canaries(plan))
    for found in wishes.canary.values():
        found.aside("The Ingress is no canary.")
    rules = item.spec["rules"].each()
    for rule in rules:
        host = rule["host"].text().lower()
        hosts = (host, *wishes.aliases) if host else ()
        if host.startswith("*."):
            rule["host"].changed(_ONE_LABEL)
        for path in rule["http"]["paths"].each():
            _add_path(plan, path, host, hosts)
        _add_www(plan, rule, host)
    if not rules and wishes.aliases:
        wishes.aliases = []
    _add_default(plan)
    return []


def _take_class(plan: _Plan) -> None:
    """Which controller it was for: by name, or by its IngressClass."""
    spec, annotated = plan.item.spec["ingressClassName"], dict(plan.item.annotations(_CLASS)).get("")
    names = [each.raw for each in (spec, annotated) if each is not None and isinstance(each.raw, str)]
    for each in (spec, annotated):
        if each is not None:
            each.aside("The Edge serves its Routes, whatever class there was.")
    for name in names:
        made = plan.context.find("IngressClass", "default", name)
        controller = made.spec["controller"].raw if made is not None else name
        plan.falls_through |= "traefik" in str(controller)


def _take_traefik(plan: _Plan) -> None:
    """Annotations of Traefik."""
    for name, found in plan.item.annotations(TRAEFIK):
        plan.falls_through = True
        match name:
            case "router.entrypoints":
                _take_entry_points(plan, found)
            case "router.tls":
                plan.listeners = (HTTPS,) if found.flag() else plan.listeners
            case "router.tls.options":
                plan.options = found
            case "router.priority":
                plan.order = found.number()
            case "router.pathmatcher":
                plan.matcher = found.text()
            case "router.middlewares":
                refs = [MiddlewareRef.of_annotation(each, found) for each in found.words()]
                apply_middlewares(plan.context, refs, plan.wishes)
            case _:
                found.lost("This setting of a router is not imported.", "Look at what the Edge and the Route can say.")


def _take_entry_points(plan: _Plan, found: Field) -> None:
    plan.listeners = tuple(_ENTRY_POINTS[each] for each in found.words() if each in _ENTRY_POINTS)
    if unknown := [each for each in found.words() if each not in _ENTRY_POINTS]:
        remedy = "Add a listener to the Edge, and name it in the Route's edges."
        found.lost(f"The ports of {', '.join(unknown)} are not known here.", remedy)


def _keeps_out(plan: _Plan) -> bool:
    """Whether clients have to show certificates."""
    if plan.options is None:
        return take_default_options(plan.context, plan.context.edge)
    return take_annotated_option(plan.context, plan.context.edge, plan.options)


def _take_tls(plan: _Plan) -> bool:
    """Whether it has any."""
    listed = plan.item.spec["tls"].each()
    for tls in listed:
        tls["hosts"].texts()
        add_certificate(plan.context, plan.context.edge, plan.item.namespace, tls["secretName"], plan.item)
    return bool(listed)


def _add_path(plan: _Plan, path: Field, host: str, hosts: tuple[str, ...]) -> None:
    destination = _backend(plan, path["backend"])
    guard = plan.context.guarded_hosts.get(host) if _is_nginx(plan) else None
    if guard is not None and guard != plan.item.label:
        path["path"].lost(f"{guard} guards the whole host, so this path answers 403 until something does.", _GUARD)
    for location in _locations(plan, path, host):
        if location.paths:
            location.refused |= guard is not None
            location.secured = host in plan.context.secured_hosts
            _add(plan, path, hosts, location, destination)


def _add(
    plan: _Plan,
    place: Field,
    hosts: tuple[str, ...],
    location: _Location,
    destination: Document,
) -> None:
    context, paths, matches = plan.context, location.paths, [{"path": path} for path in location.paths]
    wishes = plan.wishes.for_rule()
    wishes.closed |= location.refused
    asked = plan.wishes.to_secured
    to_https = plan.wishes.forced or (location.secured and (_is_nginx(plan) if asked is None else asked))
    _rewrite(plan.wishes, wishes, place["path"].raw, location)
    rule = Rule(
        item=plan.item,
        edge=context.edge,
        hosts=hosts,
        matches=matches,
        body={},
        place=place,
        listeners=plan.listeners or ((HTTPS,) if to_https else ()),
        order=location.order or (plan.order or _traefik_length(hosts, paths),),
        falls_through=plan.falls_through,
    )
    if to_https or wishes.to_https is not None:
        redirect = wishes.to_https or {"scheme": "https", "status": 308}
        plain = rule.on(hosts, rule.order)
        plain.listeners, plain.body = (HTTP,), {"redirect": redirect}
        rule.listeners = (HTTPS,)
        context.draft.add(plain)
    finish(context, rule, wishes, destination)
    if plan.wishes.app_root and place["path"].raw in (None, "", "/"):
        root = rule.on(hosts, (rule.order[0] + 1,))
        root.matches = [{"path": {"type": "Exact", "value": "/"}}]
        root.body = {"redirect": {"path": plan.wishes.app_root, "status": 302}}
        context.draft.add(root)


def _is_nginx(plan: _Plan) -> bool:
    return not plan.falls_through


def _traefik_length(hosts: tuple[str, ...], paths: list[Document]) -> int:
    """How long the rule is that Traefik makes of it, which decides there."""
    kind = {"Exact": "Path(``)", "Prefix": "PathPrefix(``)"}.get(paths[0]["type"], "PathRegexp(``)")
    return len(kind) + len(paths[0]["value"]) + (len("Host(``) && ") + len(hosts[0]) if hosts else 0)


def _locations(plan: _Plan, path: Field, host: str) -> list[_Location]:
    """Where the path of a host stands; nowhere when that can't be said."""
    kind, value = path["pathType"], path["path"]
    written = value.text("/") or "/"
    own = asks_for_regex(dict(plan.item.annotations(PREFIX)), written)
    # For nginx a host that is named is a server of its own: nothing of those without a name comes into it.
    server = (1 if host else 0,) if _is_nginx(plan) else ()
    found = plan.context.regex_hosts.get(host)
    if found is not None and (server or own):
        texts = found.locations(written, kind.text("ImplementationSpecific"), own=own)
        orders = [(*server, *location_order(text)) if server else () for text in texts]
        return [
            _regex(plan, value, location_regex(text), order, text) for text, order in zip(texts, orders, strict=True)
        ]
    if plan.matcher == "PathRegexp":
        kind.taken()
        return [_regex(plan, value, search_regex(written), server)]
    return [_Location(_paths(plan, kind, value, written), server)]


def _paths(plan: _Plan, kind: Field, value: Field, written: str) -> list[Document]:
    if kind.text("ImplementationSpecific") == "Exact" or plan.matcher == "Path":
        return [{"type": "Exact", "value": written}]
    if kind.raw == "Prefix":
        return [{"type": "Prefix", "value": written}]
    if not (plan.context.literal or plan.wishes.guarded or written == "/"):
        value.changed(BY_SEGMENTS)
        return prefix_paths(written, literal=False)
    return prefix_paths(written, literal=True)


def _regex(plan: _Plan, value: Field, text: str, order: tuple[int, ...], written: str = "") -> _Location:
    """An expression; where it can't be said what it begins with is closed, if something guards it."""
    fault = regex_fault(text) or ("`^` and `$` are for its ends" if has_anchor(text) else "")
    if not fault:
        return _Location([{"type": "Regex", "value": text}], order, rewrite_regex(written) if written else "")
    remedy = "Write it in RE2's syntax, without ^ and $ in its midst."
    if not plan.wishes.guarded:
        value.lost(f"The expression is refused, so its requests find no rule: {fault}.", remedy)
        return _Location([], order)
    head = literal_head(text)
    value.lost(f"The expression is refused: {fault}. What begins with {head or '/'} answers 403.", remedy)
    return _Location([{"type": "Regex", "value": f"(?i){literal_regex(head or '/')}.*"}], order, refused=True)


def _rewrite(asked: NginxWishes, wishes: Wishes, written: str | None, location: _Location) -> None:
    """`rewrite-target`: the whole path becomes it, with the groups of a regular expression in it."""
    if asked.target is None or wishes.closed:
        return
    text = asked.target.text()
    if text == (written or "/"):
        return
    if not text.startswith("/"):
        asked.target.lost("Only a path can take the place of a path.", "Use a redirect for a whole URL.")
    elif "?" in text or "$" in _GROUP.sub("", text):
        what = "Only groups of the path can be put into one, and no query."
        wishes.close(asked.target, what, "Let the upstream have the path as it is, or write one expression.")
    elif location.rewritten and "$" in text:
        pattern = location.rewritten
        wishes.rewrites.append(Rewrite(asked.target, pattern=pattern, substitution=substitute_groups(pattern, text)))
    else:
        wishes.rewrites.append(Rewrite(asked.target, path=text))


def _backend(plan: _Plan, backend: Field) -> Document:
    share = _share(plan, backend)
    return {"upstreams": [share]} if share is not None else {"respond": {"status": 503}}


def _share(plan: _Plan, backend: Field) -> Document | None:
    service = backend["service"]
    if not service:
        backend["resource"].lost("Only a Service can be a backend.", "Make it an Upstream, and name that.")
        return None
    name, number = service["name"].text(), service["port"]["number"]
    port: int | str = number.number() if number else service["port"]["name"].text()
    spec = {**service_spec(plan.item.namespace, name, port, plan.item.namespace), **plan.wishes.upstream}
    made = plan.context.draft.upstream(plan.item.namespace, f"{name}-{port}", spec, plan.item.label)
    return {"name": made}


def _add_default(plan: _Plan) -> None:
    """Whoever finds no other rule."""
    backend = plan.item.spec["defaultBackend"]
    if not backend:
        return
    destination = _backend(plan, backend)
    rule = Rule(
        item=plan.item,
        edge=plan.context.edge,
        hosts=(),
        matches=[{"path": {"type": "Prefix", "value": "/"}}],
        body={},
        place=backend,
        listeners=plan.listeners,
        order=(-1,),
        falls_through=True,
    )
    backend.changed("Requests of all hosts of the Edge that no rule takes go there.")
    finish(plan.context, rule, plan.wishes.for_rule(), destination)


def _add_www(plan: _Plan, rule: Field, host: str) -> None:
    """`www.HOST` is sent to HOST, or the other way round."""
    if not plan.wishes.www or not host or "*" in host:
        return
    other = host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"
    plan.context.draft.add(
        Rule(
            item=plan.item,
            edge=plan.context.edge,
            hosts=(other,),
            matches=[{"path": {"type": "Prefix", "value": "/"}}],
            body={"redirect": {"host": host, "status": 308}},
            place=rule["host"],
            listeners=plan.listeners,
        )
    )


def _canaries(plan: _Plan) -> Iterator[Canary]:
    settings = plan.wishes.canary
    match = match_canary(settings)
    weight = settings["weight"].number() if "weight" in settings else 0
    total = settings["total"].number(100) if "total" in settings else 100
    for rule in plan.item.spec["rules"].each():
        host = rule["host"].text().lower()
        for path in rule["http"]["paths"].each():
            share = _share(plan, path["backend"])
            paths = [each for location in _locations(plan, path, host) for each in location.paths]
            if share is not None and paths:
                yield Canary(host, paths, share, path, weight, max(total, 1), match)


def note_without_host(context: Context) -> None:
    """What nginx gives hosts that nobody names is for all hosts here: told where others name some."""
    rules = [rule for rule in context.draft.rules if rule.item.kind == "Ingress"]
    named = {rule.edge for rule in rules if rule.hosts}
    for rule in rules:
        if not rule.hosts and not rule.falls_through and rule.edge in named:
            message = "It takes what no rule of a named host takes as well; nginx answers 404 there."
            rule.place["path"].changed(message, "Name its hosts in the Route, where these are known.")
