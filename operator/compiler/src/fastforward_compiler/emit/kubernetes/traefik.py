"""What a Traefik in front of an Edge's Envoys is told: a few routers, one for each protocol's subdomain of a host.

In: ir.Edge, PodSettings. Out: documents. Called by edge. Without TLS passed through Traefik sees requests: it tells the
client's address in X-Forwarded-For, and drops what clients say of such things themselves. With it Traefik sees
connections alone: it tells the address before each of them (PROXY protocol, version 2).
"""

from __future__ import annotations

import re

from fastforward_compiler import ir

from .names import Names
from .pod import Document
from .settings import PodSettings

TRAEFIK = "traefik.io/v1alpha1"
FORGEABLE = (
    *("Forwarded", "X-Forwarded-By", "X-Forwarded-Client-Cert", "X-Forwarded-Scheme", "X-Forwarded-Ssl"),
    *("X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username"),
    *("X-Forwarded-Access-Token", "X-Original-Forwarded-For", "X-Original-Host", "X-Original-Url"),
)
"""Request headers that Envoys let pass from whom they trust, and that neither Traefik writes nor its ports drop. All
`x-ff-*` and `x-envoy-*` the Envoys drop themselves, whoever sends them."""
_GRPC = "grpc"
_ANY_HOST = 16
"""More than the condition of an Ingress without a host is long."""


def emit_traefik(edge: ir.Edge, names: Names, settings: PodSettings) -> list[Document]:
    """Returns what is wanted, what is referred to before what refers to it."""
    traefik = edge.traefik
    if traefik is None or not traefik.hosts:
        return []
    found: list[Document] = []
    for listener in edge.listeners:
        if listener.proxy_protocol:
            found += [_transport(names, settings), _passing(traefik, listener, names, settings)]
        else:
            found += [_middleware(names, settings), _routing(traefik, listener, names, settings)]
    return found


def _middleware(names: Names, settings: PodSettings) -> Document:
    """Takes the headers away; an empty value is how Traefik is told so."""
    spec: Document = {"headers": {"customRequestHeaders": dict.fromkeys(FORGEABLE, "")}}
    return _document("Middleware", names, settings, spec)


def _routing(traefik: ir.Traefik, listener: ir.Listener, names: Names, settings: PodSettings) -> Document:
    routes = [
        {
            "kind": "Rule",
            **_matching(host, "Host", "HostRegexp"),
            "middlewares": [{"name": names.base}],
            "services": [
                {
                    "name": names.base,
                    "port": listener.port,
                    # Envoy takes both versions of HTTP in clear text; gRPC knows but one, and WebSockets the other.
                    "scheme": "h2c" if protocol == _GRPC else "http",
                    "passHostHeader": True,
                }
            ],
        }
        for host, protocol in traefik.hosts
    ]
    spec: Document = {"entryPoints": [traefik.secure if traefik.terminates else traefik.plain], "routes": routes}
    if traefik.terminates:
        # With whichever of its own certificates has the host's name.
        spec["tls"] = {}
    return _document("IngressRoute", names, settings, spec)


def _transport(names: Names, settings: PodSettings) -> Document:
    return _document("ServersTransportTCP", names, settings, {"proxyProtocol": {"version": 2}})


def _passing(traefik: ir.Traefik, listener: ir.Listener, names: Names, settings: PodSettings) -> Document:
    service = {"name": names.base, "port": listener.port, "serversTransport": names.base}
    routes = [{**_matching(host, "HostSNI", "HostSNIRegexp"), "services": [service]} for host, _ in traefik.hosts]
    spec: Document = {"entryPoints": [traefik.secure], "routes": routes, "tls": {"passthrough": True}}
    return _document("IngressRouteTCP", names, settings, spec)


def _matching(host: str, exact: str, regular: str) -> Document:
    """A condition on the host, and when it is looked at.

    Of routers without a priority Traefik looks at the one with the longest condition first: for a wildcard that would
    be before the hosts in it, as expressions are long. By the length of the name a host comes before all wildcards
    around it; and all come before the condition of an Ingress for any host, PathPrefix(`/`).
    """
    priority = _ANY_HOST + len(host) + (not host.startswith("*"))
    return {"match": _rule(host, exact, regular), "priority": priority}


def _rule(host: str, exact: str, regular: str) -> str:
    """As Traefik writes a condition on the host; a wildcard has any number of labels, as everywhere here."""
    if host == "*":
        return f"{regular}(`^.+$`)"
    if host.startswith("*."):
        return f"{regular}(`^.+{re.escape(host[1:])}$`)"
    return f"{exact}(`{host}`)"


def _document(kind: str, names: Names, settings: PodSettings, spec: Document) -> Document:
    return {"apiVersion": TRAEFIK, "kind": kind, "metadata": names.metadata(settings.namespace), "spec": spec}
