"""The import as a script: read, translate kind by kind, put in order, write.

In: paths, names. Out: `Imported`. Called by the command `ff import`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .canary import Canary, join_canaries
from .draft import HTTP, HTTPS, Context, Draft, EdgeKey, Rule
from .gateway import translate_gateways
from .httproute import translate_route
from .ingress import note_without_host, translate_ingress
from .ingressroute import translate_ingress_route
from .nginxhost import find_guarded_hosts, find_secured_hosts
from .ordering import arrange
from .pathregex import find_regex_hosts
from .reading import Item, Note, Verdict, read_items
from .tls import note_option
from .writing import Written, write

INGRESS, TRAEFIK, GATEWAY = "networking.k8s.io", "traefik.io", "gateway.networking.k8s.io"
TRIED = "gateway.networking.x-k8s.io"
"""Gateway API's kinds that are not settled yet."""
_MOST_REFS = 8
"""Edges, or listeners of one, that a Route may name."""
_OLD_TRAEFIK = "traefik.containo.us"
_STAYS = "FastForward serves this kind as it is: leave it where it is, beside what is written here."
_PARTS = frozenset(
    {
        *((TRAEFIK, kind) for kind in ("Middleware", "TraefikService", "TLSOption")),
        *((GATEWAY, kind) for kind in ("BackendTLSPolicy", "BackendLBPolicy")),
        (TRIED, "XBackendTrafficPolicy"),
    }
)
"""Kinds that mean something by what they are used for."""
_ROUTES = frozenset(
    {
        (INGRESS, "Ingress"),
        (TRAEFIK, "IngressRoute"),
        *((GATEWAY, kind) for kind in ("Gateway", "ListenerSet", "HTTPRoute", "GRPCRoute")),
    }
)
_NO_CLASS = (Verdict.ASIDE, "An Edge has no class.", "")
_ELSE = (Verdict.ASIDE, "It says nothing about routes, and stays as it is.", "")
_OF_OTHERS = (
    *("networking.istio.io", "security.istio.io", "projectcontour.io", "contour.heptio.com", "route.openshift.io"),
    *("k8s.nginx.org", "getambassador.io", "configuration.konghq.com", "gateway.solo.io", "gateway.kgateway.dev"),
    *("apisix.apache.org", "gateway.envoyproxy.io", "hub.traefik.io", "networking.gke.io", "elbv2.k8s.aws"),
    *("networking.internal.knative.dev", "serving.knative.dev", "core.haproxy.org", "ingress.v1.haproxy.org"),
)
"""Groups of other gateways, whose kinds are about routes and what guards them."""
_CONNECTIONS = (
    Verdict.LOST,
    "A Route is about requests, not connections.",
    "Write a TCPRoute or TLSRoute (Gateway API).",
)
_TRANSPORT = (Verdict.LOST, "Settings of connections are not imported.", "Look at the Upstream's own.")
_WHOLE = {
    (TRAEFIK, "IngressRouteTCP"): _CONNECTIONS,
    (TRAEFIK, "MiddlewareTCP"): _CONNECTIONS,
    (TRAEFIK, "IngressRouteUDP"): (
        Verdict.LOST,
        "A Route is about requests, not datagrams.",
        "Write a UDPRoute (Gateway API).",
    ),
    (TRAEFIK, "ServersTransport"): _TRANSPORT,
    (TRAEFIK, "ServersTransportTCP"): _TRANSPORT,
    (TRAEFIK, "TLSStore"): (
        Verdict.LOST,
        "Certificates are named one by one.",
        "Name the default certificate in the Edge's listener.",
    ),
    **{(GATEWAY, kind): (Verdict.ASIDE, _STAYS, "") for kind in ("TLSRoute", "TCPRoute", "UDPRoute", "ReferenceGrant")},
    (GATEWAY, "GatewayClass"): _NO_CLASS,
    (INGRESS, "IngressClass"): _NO_CLASS,
    (INGRESS, "NetworkPolicy"): _ELSE,
}
"""What is said of whole objects: the verdict, the message, the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What was written, and what became of everything that was read."""

    written: tuple[Written, ...]
    notes: tuple[Note, ...]

    def count(self, verdict: Verdict) -> int:
        """How many notes have a verdict."""
        return sum(note.verdict is verdict for note in self.notes)


def import_files(paths: Iterable[Path], edge: str = "imported", *, literal: bool = False) -> Imported:
    """Import everything in the paths; raises ReadError."""
    items = read_items(paths)
    index = _index(items)
    listed = list(index.values())
    ingresses = [item for item in listed if (_group(item), item.kind) == (INGRESS, "Ingress")]
    context = Context(
        draft=Draft(),
        edge=_edge_key(items, edge),
        items=index,
        literal=literal,
        regex_hosts=find_regex_hosts(ingresses),
        guarded_hosts=find_guarded_hosts(ingresses),
        secured_hosts=frozenset(find_secured_hosts(ingresses)),
    )
    sections = translate_gateways(context, listed)
    canaries: list[Canary] = []
    for item in listed:
        match _group(item), item.kind:
            case (of, "Ingress") if of == INGRESS:
                canaries += translate_ingress(context, item)
            case (of, "IngressRoute") if of == TRAEFIK:
                translate_ingress_route(context, item)
            case (of, "HTTPRoute" | "GRPCRoute") if of == GATEWAY:
                translate_route(context, item, sections)
    join_canaries(context, canaries)
    note_without_host(context)
    for item in listed:
        _note_rest(item)
    _listen(context)
    rules = arrange(context.draft.rules)
    _name_listeners(context, rules)
    written = write(context.draft, rules)
    return Imported(written=written, notes=tuple(note for item in items for note in item.notes()))


def _group(item: Item) -> str:
    return TRAEFIK if item.group == _OLD_TRAEFIK else item.group


def _edge_key(items: Sequence[Item], edge: str) -> EdgeKey:
    """By name, or NAMESPACE/NAME; in the namespace of what needs it when it is only one."""
    namespace, _, name = edge.rpartition("/")
    wanting = {item.namespace for item in items if item.kind in ("Ingress", "IngressRoute")}
    return EdgeKey(namespace or (wanting.pop() if len(wanting) == 1 else "default"), name)


def _index(items: Iterable[Item]) -> dict[tuple[str, str, str], Item]:
    index: dict[tuple[str, str, str], Item] = {}
    for item in items:
        namespace = "default" if item.kind == "IngressClass" else item.namespace
        if index.setdefault((item.kind, namespace, item.name), item) is not item:
            item.say("", Verdict.LOST, "An object of this name came before.", "Remove one of them.")
    return index


def _note_rest(item: Item) -> None:
    """Objects that are no routes themselves."""
    of, kind = _group(item), item.kind
    if (of, kind) in _ROUTES:
        return
    if (of, kind) in _PARTS:
        _note_part(item)
    elif (of, kind) in _WHOLE:
        item.say("", *_WHOLE[of, kind])
    elif kind == "Ingress":
        message = f"Of Ingresses those of {INGRESS} alone are read, so nothing of this one is."
        item.say("", Verdict.LOST, message, f"Write it as {INGRESS}/v1, and import it again.")
    elif of in _OF_OTHERS:
        message = f"It may route requests or guard them, and {of} is not known to the import: nothing of it is read."
        item.say("", Verdict.LOST, message, "Write what it does as Routes and policies.")
    elif of in (INGRESS, TRAEFIK, GATEWAY, TRIED):
        item.say("", Verdict.LOST, f"The kind {kind} is not known to the import.", "Look up what it does.")
    else:
        for _, found in item.annotations("traefik.ingress.kubernetes.io/"):
            found.lost("Settings of a Service are said in Upstreams.", "Set what is wanted in its Upstreams.")
        item.say("", *_ELSE)


def _note_part(item: Item) -> None:
    if item.kind == "TLSOption":
        note_option(item)
    if not any(path.startswith("spec") for path in item.said):
        item.say("", Verdict.ASIDE, "Nothing in the input uses it.")


def _name_listeners(context: Context, rules: Sequence[Rule]) -> None:
    """Where one Route of an Edge names a listener all do: otherwise it would come first, for it asks for more."""
    naming = {rule.edge for rule in rules if rule.listeners}
    for rule in rules:
        listeners = context.draft.edge(rule.edge).listeners
        if rule.edge in naming and not rule.listeners and len(listeners) <= _MOST_REFS:
            rule.listeners = tuple(sorted(listeners))


def _listen(context: Context) -> None:
    """Listeners that rules ask for by name, and one in clear text for whoever asks for none."""
    edge = context.draft.edges.get(context.edge)
    if edge is None or any(rule.item.kind in ("HTTPRoute", "GRPCRoute") for rule in context.draft.rules_of(edge.key)):
        return
    rules = context.draft.rules_of(edge.key)
    asked = {name for rule in rules for name in rule.listeners or (HTTP,)}
    for name, port in ((HTTP, 80), (HTTPS, 443)):
        if name in asked:
            edge.listen(name, port, secure=name == HTTPS)
