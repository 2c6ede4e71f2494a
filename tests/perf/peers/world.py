"""What every peer is given: a Gateway, two Services, and HTTPRoutes that name one of them.

In: ports and numbers. Out: documents of Gateway API. Called by probe. Nothing in them is of one implementation but the
`controllerName` of the class: all get the same.
"""

from __future__ import annotations

from typing import Any

from support.gatewayapi import foreign, listener
from support.resources import Document, endpoint_slice, service

NAMESPACE = "default"
GATEWAY = "bench"
ORIGINS = ("origin-a", "origin-b")
PROBED = "bench.localhost/probed"
"""The label of the routes that are created and changed one by one: only those are watched."""
ROUTES = f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/httproutes"


def gateway_class(controller: str) -> Document:
    """The class that says whose Gateway it is."""
    return foreign("GatewayClass", GATEWAY, {"controllerName": controller})


def gateway(port: int) -> Document:
    """One listener in clear text, for all hosts."""
    spec = {"gatewayClassName": GATEWAY, "listeners": [listener(port)]}
    return foreign("Gateway", GATEWAY, spec, namespace=NAMESPACE)


def backends(address: str, ports: tuple[int, ...]) -> list[Document]:
    """A Service for each origin, and its endpoints: without selectors, for there are no pods."""
    made: list[Document] = []
    for name, port in zip(ORIGINS, ports, strict=True):
        made.append(service(name, {"name": "http", "port": 80}, namespace=NAMESPACE))
        # Whether it is ready may be left out, which means that it is; not everybody takes it so.
        ready = {"addresses": [address], "conditions": {"ready": True}}
        made.append(endpoint_slice(name, ready, ports=({"name": "http", "port": port},), namespace=NAMESPACE))
    return made


def name(number: int) -> str:
    """Of a route."""
    return f"r{number}"


def host(number: int) -> str:
    """That a route alone has."""
    return f"h{number}.bench.localhost"


def spec(number: int, origin: str) -> dict[str, Any]:
    """Of a route that leads to this origin."""
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/svc"}}],
        "backendRefs": [{"name": origin, "port": 80}],
    }
    return {"parentRefs": [{"name": GATEWAY}], "hostnames": [host(number)], "rules": [rule]}


def route(number: int, *, probed: bool) -> Document:
    """An HTTPRoute to the first origin."""
    labels = {PROBED: "yes"} if probed else {}
    return foreign("HTTPRoute", name(number), spec(number, ORIGINS[0]), namespace=NAMESPACE, labels=labels)
