"""What is being written: rules on their way to Routes, Upstreams, policies, Edges, each once.

In: what translators found. Out: `Draft`, with plain documents in it. Called by the translators and conversion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from fastforward_crds import API_VERSION

from .pathregex import RegexHost
from .reading import Field, Item

Document = dict[str, Any]
REFUSED = {"respond": {"status": 403, "body": "What guards this is not imported yet."}}
"""Stands in place of a destination whose guard has no equivalent: closed is mended, open is not noticed."""
HTTP, HTTPS = "http", "https"
"""Names of the listeners of Edges that are made here."""
_NOT_NAME = re.compile("[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class EdgeKey:
    """An Edge by its name."""

    namespace: str
    name: str


class PolicyName(NamedTuple):
    """A policy of some namespace."""

    kind: str
    """RateLimit or AuthPolicy."""
    name: str


@dataclass(slots=True, kw_only=True)
class Rule:
    """A rule on some hosts of one Edge, not yet in a Route."""

    item: Item
    edge: EdgeKey
    hosts: tuple[str, ...]
    """Empty for every host of the Edge."""
    matches: list[Document]
    body: Document
    """The rest of the rule, as it is written."""
    place: Field
    """What it was made of."""
    listeners: tuple[str, ...] = ()
    """Any when empty."""
    admission: Document = field(default_factory=dict)
    order: tuple[int, ...] = (0,)
    """Greater comes first, whatever the matches; among equals these say."""
    falls_through: bool = False
    """Whether a request of a host that is named elsewhere still finds this rule by a wildcard."""
    kept_from: tuple[str, ...] = ()
    """Hosts that a wildcard of it does not take, and all below them."""
    name: str = ""
    policies: tuple[PolicyName, ...] = ()
    """Of its namespace."""
    priority: int = 0

    def on(self, hosts: tuple[str, ...], order: tuple[int, ...]) -> Rule:
        """The same for other hosts."""
        return replace(self, hosts=hosts, order=order, matches=list(self.matches))


@dataclass(slots=True)
class Edge:
    """An Edge on its way."""

    key: EdgeKey
    hosts: dict[str, None] = field(default_factory=dict)
    listeners: dict[str, Document] = field(default_factory=dict)
    namespaces: dict[str, None] = field(default_factory=dict)
    """Of its Routes."""
    attaching: Document = field(default_factory=dict)
    """`routeNamespaces` where the source says so itself."""
    sources: dict[str, None] = field(default_factory=dict)

    def listen(self, name: str, port: int, *, secure: bool) -> Document:
        """The listener of that name, made when it is not there."""
        made = self.listeners.setdefault(
            name, {"name": name, "port": port, **({"protocol": "HTTPS"} if secure else {})}
        )
        if secure:
            made.setdefault("tls", {"certificates": []})
        return made


@dataclass(slots=True)
class Draft:
    """Everything that is being written."""

    edges: dict[EdgeKey, Edge] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    upstreams: dict[tuple[str, str], tuple[Document, dict[str, None]]] = field(default_factory=dict)
    """By namespace and name: the spec, and where it is from."""
    policies: dict[tuple[str, PolicyName], tuple[Document, Item]] = field(default_factory=dict)
    """By namespace, kind and name: what it says besides its targets, and what it is from."""
    grants: dict[tuple[str, str, str, str, str], None] = field(default_factory=dict)
    """From kind, from namespace, to kind, to namespace, to name."""

    def edge(self, key: EdgeKey) -> Edge:
        """The Edge of that name."""
        return self.edges.setdefault(key, Edge(key))

    def add(self, rule: Rule) -> None:
        """Add a rule, and what its Edge has to have for it."""
        edge = self.edge(rule.edge)
        edge.hosts.update(dict.fromkeys(rule.hosts or ("*",)))
        edge.namespaces[rule.item.namespace] = None
        edge.sources[rule.item.label] = None
        self.rules.append(rule)

    def rules_of(self, key: EdgeKey) -> list[Rule]:
        """The rules of an Edge."""
        return [rule for rule in self.rules if rule.edge == key]

    def upstream(self, namespace: str, name: str, spec: Document, source: str) -> str:
        """The name of the Upstream with this spec; of others with the same name it is told by a number."""
        base = named(name)
        for number in range(1, 1000):
            tried = base if number == 1 else f"{base}-{number}"
            found = self.upstreams.setdefault((namespace, tried), (spec, {}))
            if found[0] == spec:
                found[1][source] = None
                self._permit_service(namespace, spec)
                return tried
        raise AssertionError(name)

    def policy(self, namespace: str, wanted: PolicyName, spec: Document, item: Item) -> PolicyName:
        """The kind and name of the policy with this spec."""
        base = named(wanted.name)
        for number in range(1, 1000):
            tried = PolicyName(wanted.kind, base if number == 1 else f"{base}-{number}")
            if self.policies.setdefault((namespace, tried), (spec, item))[0] == spec:
                return tried
        raise AssertionError(wanted)

    def permit(self, origin: tuple[str, str], kind: str, namespace: str, name: str) -> None:
        """Let objects of a kind and namespace refer to an object of another namespace."""
        if origin[1] != namespace:
            self.grants[*origin, kind, namespace, name] = None

    def _permit_service(self, namespace: str, spec: Mapping[str, Any]) -> None:
        service = spec.get("service", {})
        if "namespace" in service:
            self.permit(("Upstream", namespace), "Service", service["namespace"], service["name"])


def named(text: str, most: int = 60) -> str:
    """A text as part of a name."""
    return _NOT_NAME.sub("-", text.lower())[:most].strip("-") or "x"


def document(kind: str, namespace: str, name: str, spec: Document) -> Document:
    """A document of ours."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def key_of(value: object) -> str:
    """Equal for what is written alike."""
    return json.dumps(value, sort_keys=True)


def service_spec(namespace: str, name: str, port: int | str, of: str) -> Document:
    """An Upstream's `service`: port by number or name, seen from another namespace or its own."""
    spec: Document = {"name": name, **({"namespace": of} if of != namespace else {})}
    spec["port" if isinstance(port, int) else "portName"] = port
    return {"service": spec}


def methods_but(excluded: Iterable[str]) -> list[str]:
    """All methods that a match can name, but these."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
    return [method for method in known if method not in set(excluded)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all translators share."""

    draft: Draft
    edge: EdgeKey
    """Of what names none itself."""
    items: Mapping[tuple[str, str, str], Item]
    """By kind, namespace and name."""
    literal: bool = False
    """Whether prefixes go by characters where they did."""
    regex_hosts: Mapping[str, RegexHost] = field(default_factory=dict)
    """Hosts of Ingresses whose paths are regular expressions for nginx; empty for those without a host."""
    guarded_hosts: Mapping[str, str] = field(default_factory=dict)
    """By such a host the Ingress that guards all of it in a way that is not imported."""
    secured_hosts: frozenset[str] = frozenset()
    """Those that have a certificate."""

    def find(self, kind: str, namespace: str, name: str) -> Item | None:
        """An object of the input."""
        return self.items.get((kind, namespace, name))
