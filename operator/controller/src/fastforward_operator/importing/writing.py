"""From the draft to documents, with comments that say where they are from and what is to be looked at.

In: the draft, its rules in their order. Out: `Written`, in the order in which it is read best. Called by conversion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fastforward_operator.providers.dump import dump_documents

from .draft import Document, Draft, Edge, EdgeKey, PolicyName, Rule, document, key_of, named
from .reading import Item, Verdict

_MOST_MATCHES, _MOST_RULES, _MOST_HOSTS, _MOST_EDGE_HOSTS, _MOST_CERTIFICATES = 16, 64, 64, 256, 64
_GATEWAY_GROUP = "gateway.networking.k8s.io"
_WIDTH = 110
_POLICIES = {"RateLimit": "ratelimits.yaml", "AuthPolicy": "authpolicies.yaml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One document, its comments, and the file that it belongs into."""

    file: str
    comments: tuple[str, ...]
    document: Document

    def __str__(self) -> str:
        comments = "".join(f"# {line}\n" for comment in self.comments for line in _wrapped(comment))
        return comments + dump_documents(self.document, width=_WIDTH)


@dataclass(slots=True)
class _Target:
    """Rules that one policy holds for."""

    route: str
    rules: list[str] = field(default_factory=list)
    whole: bool = True


_Targets = dict[tuple[str, PolicyName], list[_Target]]
"""Of each policy, by its namespace."""


def write(draft: Draft, rules: Sequence[Rule]) -> tuple[Written, ...]:
    """Every document."""
    targets: _Targets = {}
    routes = list(_write_routes(draft, rules, targets))
    return (
        *(_write_edge(edge) for edge in draft.edges.values() if edge.listeners and edge.hosts),
        *routes,
        *_write_policies(draft, targets),
        *(
            Written(
                file="upstreams.yaml",
                comments=(_from(sources),),
                document=document("Upstream", namespace, name, spec),
            )
            for (namespace, name), (spec, sources) in draft.upstreams.items()
        ),
        *_write_grants(draft),
    )


def _from(sources: Iterable[str]) -> str:
    listed = list(sources)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return f"From {', '.join(listed[:3])}{more}."


def _write_edge(edge: Edge) -> Written:
    comments = [_from(edge.sources)]
    hosts = list(edge.hosts)
    if len(hosts) > _MOST_EDGE_HOSTS:
        comments.append(f"Of {len(hosts)} hosts: an Edge has at most {_MOST_EDGE_HOSTS}, so it takes every host.")
        hosts = ["*"]
    for listener in edge.listeners.values():
        certificates = listener.get("tls", {}).get("certificates")
        if certificates == []:
            certificates.append({"name": f"{edge.key.name}-tls"})
            comments.append(f"Put a certificate into Secret {edge.key.namespace}/{edge.key.name}-tls: none was named.")
        elif certificates is not None and len(certificates) > _MOST_CERTIFICATES:
            comments.append(
                f"Of {len(certificates)} certificates these are left out, a listener has at most "
                f"{_MOST_CERTIFICATES}: {certificates[_MOST_CERTIFICATES:]}."
            )
            del certificates[_MOST_CERTIFICATES:]
    spec: Document = {"hosts": hosts, "listeners": list(edge.listeners.values())}
    foreign = sorted(set(edge.namespaces) - {edge.key.namespace})
    if edge.attaching:
        spec["routeNamespaces"] = edge.attaching
    elif foreign:
        spec["routeNamespaces"] = {"from": "Selected", "names": sorted(edge.namespaces)}
    return Written(
        file="edges.yaml",
        comments=tuple(comments),
        document=document("Edge", edge.key.namespace, edge.key.name, spec),
    )


def _write_routes(draft: Draft, rules: Sequence[Rule], targets: _Targets) -> Iterator[Written]:
    groups: dict[tuple[object, ...], list[Rule]] = {}
    for rule in rules:
        key = (rule.item.label, rule.edge, rule.listeners, rule.hosts, key_of(rule.admission), rule.priority)
        groups.setdefault(key, []).append(rule)
    names: set[tuple[str, str]] = set()
    told: set[str] = set()
    for listed in groups.values():
        for part in _parts(listed):
            first = part[0]
            name = _unique(names, first.item.namespace, first.item.name)
            comments = [f"From {first.item.label} ({first.item.path})."]
            if first.item.label not in told:
                told.add(first.item.label)
                comments += _warnings(first.item)
            yield Written(
                file=f"{named(first.item.namespace)}-{named(first.item.kind)}-{named(first.item.name)}.yaml",
                comments=tuple(comments),
                document=document("Route", first.item.namespace, name, _route_spec(draft, part, name, targets)),
            )


def _parts(listed: list[Rule]) -> Iterator[list[Rule]]:
    """As many rules and hosts as a Route may have."""
    split: list[Rule] = []
    for rule in listed:
        for start in range(0, len(rule.matches), _MOST_MATCHES):
            part = rule.on(rule.hosts, rule.order)
            part.matches = rule.matches[start : start + _MOST_MATCHES]
            split.append(part)
    for start in range(0, len(split), _MOST_RULES):
        chunk = split[start : start + _MOST_RULES]
        hosts = chunk[0].hosts
        if len(hosts) <= _MOST_HOSTS:
            yield chunk
            continue
        for begin in range(0, len(hosts), _MOST_HOSTS):
            yield [rule.on(hosts[begin : begin + _MOST_HOSTS], rule.order) for rule in chunk]


def _unique(names: set[tuple[str, str]], namespace: str, name: str) -> str:
    number = 1
    while (namespace, tried := name if number == 1 else f"{name}-{number}") in names:
        number += 1
    names.add((namespace, tried))
    return tried


def _route_spec(draft: Draft, rules: list[Rule], name: str, targets: _Targets) -> Document:
    first = rules[0]
    edge = draft.edges[first.edge]
    spec: Document = {"edges": list(_refs(edge.key, first))}
    if first.hosts:
        spec["hosts"] = list(first.hosts)
    if first.priority:
        spec["priority"] = first.priority
    if first.admission:
        spec["admission"] = first.admission
    written = list(_rules(rules, name, targets))
    for (namespace, _), listed in targets.items():
        for target in listed:
            if (namespace, target.route) == (first.item.namespace, name):
                target.whole = len(target.rules) == len(rules)
    return {**spec, "rules": written}


def _rules(rules: list[Rule], route: str, targets: _Targets) -> Iterator[Document]:
    used: set[str] = set()
    for place, rule in enumerate(rules):
        own = rule.name if rule.name not in used else ""
        if rule.policies and not own:
            own = f"rule-{place}"
        used.add(own)
        for policy in rule.policies:
            _aim(targets.setdefault((rule.item.namespace, policy), []), route, own)
        yield {**({"name": own} if own else {}), **_matches(rule), **rule.body}


def _refs(key: EdgeKey, rule: Rule) -> Iterator[Document]:
    own: Document = {"name": key.name, **({"namespace": key.namespace} if key.namespace != rule.item.namespace else {})}
    if not rule.listeners:
        yield own
    for listener in rule.listeners:
        yield {**own, "listener": listener}


def _matches(rule: Rule) -> Document:
    """Nothing for a rule that takes every request: that goes without saying."""
    matches = [
        {name: value for name, value in match.items() if name != "path" or value != {"type": "Prefix", "value": "/"}}
        for match in rule.matches
    ]
    return {} if matches == [{}] else {"matches": rule.matches}


def _aim(listed: list[_Target], route: str, rule: str) -> None:
    target = next((each for each in listed if each.route == route), None)
    if target is None:
        target = _Target(route)
        listed.append(target)
    target.rules.append(rule)


def _write_policies(draft: Draft, targets: _Targets) -> Iterator[Written]:
    for (namespace, policy), (spec, item) in draft.policies.items():
        aimed = [
            {"kind": "Route", "name": target.route, **({} if target.whole else {"rule": rule})}
            for target in targets.get((namespace, policy), ())
            for rule in ((target.rules[0],) if target.whole else target.rules)
        ]
        if aimed:
            yield Written(
                file=_POLICIES[policy.kind],
                comments=(f"From {item.label} ({item.path}).",),
                document=document(policy.kind, namespace, policy.name, {"targets": aimed, **spec}),
            )


def _write_grants(draft: Draft) -> Iterator[Written]:
    groups = {"Secret": "", "ConfigMap": "", "Service": "", "Upstream": "gateway.fastforward.dev"}
    for origin, namespace, kind, target, name in draft.grants:
        spec: Document = {
            "from": [{"group": "gateway.fastforward.dev", "kind": origin, "namespace": namespace}],
            "to": [{"group": groups[kind], "kind": kind, "name": name}],
        }
        metadata = {"name": named(f"{origin}-{namespace}-{name}"), "namespace": target}
        written = {"apiVersion": f"{_GATEWAY_GROUP}/v1beta1", "kind": "ReferenceGrant", "metadata": metadata}
        comment = f"Lets {origin}s of {namespace} refer to {kind} {name}."
        yield Written(file="referencegrants.yaml", comments=(comment,), document={**written, "spec": spec})


def _warnings(item: Item) -> list[str]:
    """What of an object is to be looked at."""
    wanted = (Verdict.CHANGED, Verdict.LOST)
    return [
        f"{note.verdict.capitalize()}: {note.field or 'all of it'}: {note.said}"
        for note in item.notes()
        if note.verdict in wanted
    ]


def _wrapped(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > _WIDTH:
            yield line
            line = f"  {word}"
        else:
            line = f"{line} {word}" if line else word
    yield line
