"""HTTPRoutes and GRPCRoutes to rules.

In: such a route, the sections of Gateways. Out: rules in the draft, notes on its fields. Called by conversion. They
count as the compiler counts them where they stand as they are; a call is a POST to /SERVICE/METHOD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fastforward_compiler.regex import fault_inside, inside

from .draft import Context, Document, Rule
from .filters import Filtered, take_backends, take_filters, take_patience
from .gateway import GROUP, Section, Sections
from .ordering import covers
from .persistence import path_of, take_persistence
from .reading import Field, Item
from .wishes import literal_regex, regex_fault

_PATHS = {"Exact": "Exact", "PathPrefix": "Prefix", "RegularExpression": "Regex"}
_LABEL = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_ANY = "[^/]+"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a route attaches: some hosts on some listeners of one Edge, which have one port where that matters."""

    sections: tuple[Section, ...]
    hosts: tuple[str, ...]
    kept_from: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Made:
    """One rule, wherever it attaches."""

    context: Context
    item: Item
    rule: Field
    made: Filtered
    matches: list[Document]


def translate_route(context: Context, item: Item, sections: Sections) -> None:
    """Adds its rules at every place where it attaches."""
    item.spec["useDefaultGateways"].lost("Routes name what they attach to.", "Name the Gateway in parentRefs.")
    hostnames = [host.lower() for host in item.spec["hostnames"].texts()] or ["*"]
    found = [section for ref in item.spec["parentRefs"].each() for section in _attached(item, ref, sections)]
    everywhere = [section for listed in sections.values() for section in listed]
    rules = item.spec["rules"].each() or [Field(item, "spec.rules[0]", {})]
    for number, rule in enumerate(rules):
        made = _translate_rule(context, item, rule, number)
        matches = list(_matches(item, rule, made))
        by_port = made.redirect is not None and "scheme" not in made.redirect
        for place in _places(found, everywhere, hostnames, by_port=by_port):
            if matches:
                _add(_Made(context, item, rule, made, list(matches)), place, number)


def _attached(item: Item, ref: Field, sections: Sections) -> Iterator[Section]:
    kind, name = ref["kind"].text("Gateway"), ref["name"].text()
    namespace = ref["namespace"].text(item.namespace)
    group = ref["group"].text(GROUP)
    listed = sections.get((kind, namespace, name)) if group == GROUP else None
    section, port = ref["sectionName"], ref["port"]
    named, numbered = section.text(), port.number() if port else 0
    if listed is None:
        ref["name"].lost(f"{kind} {namespace}/{name} is not in the input.", "Import it together with this.")
        return
    asked = [each for each in listed if named in ("", each.name) and numbered in (0, each.port)]
    allowed = [
        each
        for each in asked
        if item.kind in each.kinds and (each.namespaces is None or item.namespace in each.namespaces)
    ]
    if not allowed:
        ref["name"].lost(f"No listener of {kind} {namespace}/{name} takes it.", "Look at its allowedRoutes.")
    yield from allowed


def _places(
    found: list[Section], everywhere: list[Section], hostnames: list[str], *, by_port: bool
) -> Iterator[_Place]:
    grouped: dict[tuple[object, ...], list[Section]] = {}
    for section in dict.fromkeys(found):
        taken = tuple(each.hostname for each in everywhere if section.is_narrowed_by(each))
        met = (_meet(section.hostname, host) for host in hostnames)
        hosts = [host for host in dict.fromkeys(met) if host and not any(_owns(each, host) for each in taken)]
        if hosts:
            key = (section.edge, tuple(hosts), taken, section.port if by_port else 0)
            grouped.setdefault(key, []).append(section)
    for key, listed in grouped.items():
        yield _Place(tuple(listed), key[1], key[2])  # ty: ignore[invalid-argument-type]


def _owns(hostname: str, host: str) -> bool:
    return hostname == host or covers(hostname, host)


def _meet(listener: str, host: str) -> str:
    """The narrower of two that meet."""
    if listener == host or covers(listener, host):
        return host
    return listener if covers(host, listener) else ""


def _translate_rule(context: Context, item: Item, rule: Field, number: int) -> Filtered:
    """What its filters and backends come to; its name is taken where it is one of ours too."""
    part = str(rule["name"].raw or f"rule-{number}")
    path = "/" if item.kind == "GRPCRoute" else path_of(rule)
    session = take_persistence(rule["sessionPersistence"], item, part, path)
    rule["name"].taken()
    if rule["name"] and _LABEL.fullmatch(str(rule["name"].raw)) is None:
        rule["name"].changed("Policies find the rule by another name.")
    filtered = take_filters(context, item, rule["filters"])
    take_backends(context, item, rule["backendRefs"], filtered, session)
    take_patience(rule, filtered)
    return filtered


def _add(of: _Made, place: _Place, number: int) -> None:
    edge = of.context.draft.edge(place.sections[0].edge)
    listeners = tuple(sorted({section.listener for section in place.sections}))
    name = str(of.rule["name"].raw or f"rule-{number}")
    made = Rule(
        item=of.item,
        edge=edge.key,
        hosts=place.hosts,
        matches=of.matches,
        body=_on_port(of.made, place.sections[0]),
        place=of.rule,
        listeners=() if set(listeners) == set(edge.listeners) else listeners,
        order=(1, 0, 0),
        falls_through=True,
        kept_from=place.kept_from,
        name=name if _LABEL.fullmatch(name) else "",
    )
    of.context.draft.add(made)


def _on_port(made: Filtered, section: Section) -> Document:
    """A redirect that does not name a scheme stays on the listener's, and on its port if it names none either."""
    if "redirect" not in made.body or made.redirect is None or "scheme" in made.redirect:
        return made.body
    redirect, port = dict(made.redirect), made.redirect.get("port", section.port)
    redirect.pop("port", None)
    if port != {"http": 80, "https": 443}[section.scheme]:
        redirect |= {"scheme": section.scheme, "port": port}
    return {**made.body, "redirect": redirect}


def _matches(item: Item, rule: Field, made: Filtered) -> Iterator[Document]:
    for match in rule["matches"].each() or [rule["matches"]]:
        found = _grpc_match(match) if item.kind == "GRPCRoute" else _http_match(match)
        if found is None:
            continue
        if made.needs_prefix and found["path"]["type"] != "Prefix":
            match["path"]["type"].lost("ReplacePrefixMatch needs a prefix: the match is left out.", "Match a prefix.")
            continue
        yield found


def _http_match(match: Field) -> Document | None:
    """The match; None for one that the compiler would leave out as well."""
    path = match["path"]
    kind, value = path["type"].text("PathPrefix"), path["value"].text("/")
    if kind not in _PATHS:
        path["type"].lost("This type is not known: the match is left out.", "Choose Exact or PathPrefix.")
        return None
    found: Document = {"path": {"type": _PATHS[kind], "value": value}}
    if not _is_fit(path["value"], kind, value):
        return None
    method = match["method"].text()
    if method and method not in _METHODS:
        match["method"].lost("This method can't be matched: the match is left out.", "Choose another one.")
        return None
    if method:
        found["methods"] = [method]
    return _with_texts(found, match, {"headers": "headers", "queryParams": "query"})


def _is_fit(place: Field, kind: str, value: str, *, in_path: bool = True) -> bool:
    fault = ""
    if kind == "RegularExpression":
        fault = regex_fault(value) or (fault_inside(value) if in_path else "")
    if fault:
        place.lost(f"The expression is refused, so the match is left out: {fault}.", "Write it in RE2's syntax.")
    elif kind != "RegularExpression" and (not value.startswith("/") or set("?#") & set(value)):
        fault = "no path"
        place.lost("This is no path: the match is left out.", "A path starts with /, and has no query.")
    return not fault


def _with_texts(found: Document, match: Field, parts: dict[str, str]) -> Document | None:
    for part, ours in parts.items():
        texts: dict[str, Document] = {}
        for text in match[part].each():
            kind, name, value = text["type"].text("Exact"), text["name"].text(), text["value"].text()
            if kind == "RegularExpression" and not _is_fit(text["value"], kind, value, in_path=False):
                return None
            if "_" in name:
                text["name"].lost("A name with an underscore: the match is left out.", "Name it with a hyphen.")
                return None
            made = {"name": name, **({"type": "Regex"} if kind == "RegularExpression" else {}), "value": value}
            if texts.setdefault(name.lower() if ours == "headers" else name, made) is not made:
                text["name"].aside("Of several conditions on one name the first counts.")
        if texts:
            found[ours] = list(texts.values())
    return found


def _grpc_match(match: Field) -> Document | None:
    method = match["method"]
    kind, service, name = method["type"].text("Exact"), method["service"].text(), method["method"].text()
    if method.raw == {}:
        method.taken()
    if kind == "RegularExpression" and (service or name):
        for part in ("service", "method"):
            if method[part].raw and not _is_fit(method[part], kind, str(method[part].raw)):
                return None
        path = {"type": "Regex", "value": f"/(?:{inside(service or _ANY)})/(?:{inside(name or _ANY)})"}
    elif service and name:
        path = {"type": "Exact", "value": f"/{service}/{name}"}
    elif service:
        path = {"type": "Prefix", "value": f"/{service}"}
    elif name:
        path = {"type": "Regex", "value": f"/{_ANY}/{literal_regex(name)}"}
    else:
        path = {"type": "Prefix", "value": "/"}
    return _with_texts({"path": path, "methods": ["POST"]}, match, {"headers": "headers"})
