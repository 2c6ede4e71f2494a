"""Gateways and ListenerSets (Gateway API) to Edges.

In: their documents. Out: Edges in the draft, and the sections at which routes attach. Called by conversion; httproute
reads the sections. Source: https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .draft import Context, Document, Edge, EdgeKey
from .ordering import covers
from .reading import Field, Item
from .tls import refer

GROUP = "gateway.networking.k8s.io"
_HTTP = {"HTTP": "http", "HTTPS": "https"}
_STAYS = "FastForward serves this kind as it is: leave it where it is, beside what is written here."


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One listener of a Gateway or ListenerSet, in the Edge that it became part of."""

    owner: tuple[str, str, str]
    """Kind, namespace, name."""
    name: str
    hostname: str
    port: int
    scheme: str
    edge: EdgeKey
    listener: str
    """Of the Edge."""
    namespaces: frozenset[str] | None
    """Whose routes may attach; None for all."""
    kinds: frozenset[str]

    def is_narrowed_by(self, other: Section) -> bool:
        """Whether some of its hosts belong to another listener of the same port."""
        same = (self.edge, self.port) == (other.edge, other.port)
        return same and other.hostname != self.hostname and covers(self.hostname, other.hostname)


Sections = dict[tuple[str, str, str], list[Section]]


def translate_gateways(context: Context, items: Iterable[Item]) -> Sections:
    """The Edges of all Gateways, and where routes attach."""
    sections: Sections = {}
    listed = list(items)
    for item in listed:
        if item.kind == "Gateway":
            _translate_gateway(context, item, sections)
    for item in listed:
        if item.kind == "ListenerSet":
            _translate_set(context, item, sections)
    return sections


def _translate_gateway(context: Context, item: Item, sections: Sections) -> None:
    spec = item.spec
    key = EdgeKey(item.namespace, item.name)
    edge = context.draft.edge(key)
    edge.sources[item.label] = None
    spec["gatewayClassName"].aside("An Edge has no class.")
    spec["addresses"].lost("No address is asked for.", "Set proxies.service of the Edge.")
    spec["infrastructure"].lost("Labels and annotations go to the Service alone.", "Set proxies.service.annotations.")
    spec["defaultScope"].lost("Routes name what they attach to.", "Name the Gateway in their parentRefs.")
    spec["allowedListeners"].aside("Listeners of all ListenerSets in the input that are allowed are taken.")
    tls = spec["tls"]
    tls["backend"].lost("No certificate is shown to backends.", "Say it in the Upstreams, where they can.")
    checked = bool(tls["frontend"])
    message = "Certificates of clients are not imported; HTTPS listeners are left out until something checks them."
    tls["frontend"].lost(message, "Add the listeners to the Edge, with the authorities of the clients.")
    sections[item.kind, item.namespace, item.name] = _sections(context, item, key, checked=checked)


def _translate_set(context: Context, item: Item, sections: Sections) -> None:
    parent = item.spec["parentRef"]
    parent["group"].taken()
    kind, name = parent["kind"].text("Gateway"), parent["name"].text()
    namespace = parent["namespace"].text(item.namespace)
    gateway = context.find(kind, namespace, name)
    if gateway is None:
        parent["name"].lost(f"{kind} {namespace}/{name} is not in the input.", "Import it together with this.")
        return
    allowed = gateway.document.get("spec", {}).get("allowedListeners", {}).get("namespaces", {})
    origin = allowed.get("from", "None")
    if not (origin == "All" or (origin == "Same" and namespace == item.namespace)):
        parent["name"].lost(f"Gateway {namespace}/{name} does not allow it.", "Allow it there, and import again.")
        return
    key = EdgeKey(namespace, name)
    context.draft.edge(key).sources[item.label] = None
    sections[item.kind, item.namespace, item.name] = _sections(context, item, key, checked=False)


def _sections(context: Context, item: Item, key: EdgeKey, *, checked: bool) -> list[Section]:
    found = (_section(context, item, key, listener, checked=checked) for listener in item.spec["listeners"].each())
    return [section for section in found if section is not None]


def _section(context: Context, item: Item, key: EdgeKey, found: Field, *, checked: bool) -> Section | None:
    protocol, tls = found["protocol"].text(), found["tls"]
    hostname = found["hostname"].text("*").lower()
    name, port = found["name"].text(), found["port"].number()
    mode = tls["mode"].text("Terminate")
    if protocol not in _HTTP or mode != "Terminate":
        found.lost("An Edge has listeners for HTTP and HTTPS alone.", _STAYS)
        return None
    scheme = _HTTP[protocol]
    if checked and scheme == "https":
        found.lost("It is left out: certificates of its clients would not be checked.", "Add it to the Edge.")
        return None
    edge = context.draft.edge(key)
    taken = next((each for each in edge.listeners.values() if each["port"] == port), None)
    if taken is not None and taken.get("protocol", "HTTP") != protocol:
        found.lost("Another listener has the port for another protocol.", "Choose another port.")
        return None
    listener = taken or edge.listen(_free_name(edge, name, port), port, secure=scheme == "https")
    _take_tls(context, item, key, listener, tls)
    edge.hosts[hostname] = None
    namespaces = _namespaces(item, key, context, found["allowedRoutes"]["namespaces"])
    return Section(
        owner=(item.kind, item.namespace, item.name),
        name=name,
        hostname=hostname,
        port=port,
        scheme=scheme,
        edge=key,
        listener=listener["name"],
        namespaces=namespaces,
        kinds=_kinds(found["allowedRoutes"]["kinds"]),
    )


def _free_name(edge: Edge, name: str, port: int) -> str:
    """Its name in the Edge, whose listeners are those of the Gateway and of all its ListenerSets."""
    wanted = name.replace(".", "-")
    while wanted in edge.listeners:
        wanted += f"-{port}"
    return wanted


def _take_tls(context: Context, item: Item, key: EdgeKey, listener: Document, tls: Field) -> None:
    for ref in tls["certificateRefs"].each():
        ref["group"].taken()
        if ref["kind"].text("Secret") != "Secret":
            ref["kind"].lost("A certificate is in a Secret.", "Write it into one.")
            continue
        namespace = ref["namespace"].text(item.namespace)
        if namespace != item.namespace and not is_granted(context, item, ("Secret", namespace, ref["name"].text())):
            ref["namespace"].lost("No ReferenceGrant there permits it.", "Add one, and import again.")
            continue
        refer(context, key, listener, namespace, ref["name"].text())
    tls["options"].lost("Options of an implementation are not read.", "Set tls.minVersion of the listener.")


def _namespaces(item: Item, key: EdgeKey, context: Context, found: Field) -> frozenset[str] | None:
    """Whose routes may attach; the Edge is told so in the end, by the namespaces of those that do."""
    origin = found["from"].text("Same")
    selector = found["selector"]
    if origin == "All":
        selector.aside("Routes of all namespaces may attach.")
        context.draft.edge(key).attaching = {"from": "All"}
        return None
    if origin == "Same":
        selector.aside("Routes of other namespaces may not attach.")
        return frozenset({item.namespace})
    name = selector["matchLabels"]["kubernetes.io/metadata.name"]
    if origin == "Selector" and name:
        found["from"].changed("Namespaces are named, not chosen by labels.")
        wanted = selector.raw == {"matchLabels": {"kubernetes.io/metadata.name": name.raw}}
        return frozenset({name.text()}) if wanted else frozenset()
    selector.lost("Namespaces are named, not chosen by labels: no route attaches.", "Name them in routeNamespaces.")
    return frozenset()


def _kinds(found: Field) -> frozenset[str]:
    named = set()
    for kind in found.each():
        kind["group"].taken()
        named.add(kind["kind"].text())
    return frozenset(named) or frozenset({"HTTPRoute", "GRPCRoute"})


def is_granted(context: Context, item: Item, target: tuple[str, str, str]) -> bool:
    """Whether a ReferenceGrant of the input lets the object refer to another namespace's."""
    kind, namespace, name = target
    grants = (each for (of, where, _), each in context.items.items() if (of, where) == ("ReferenceGrant", namespace))
    return any(
        any(origin.get("kind") == item.kind and origin.get("namespace") == item.namespace for origin in spec["from"])
        and any(to.get("kind") == kind and to.get("name") in (None, "", name) for to in spec["to"])
        for grant in grants
        if isinstance(spec := grant.document.get("spec"), dict)
        if isinstance(spec.get("from"), list) and isinstance(spec.get("to"), list)
    )
