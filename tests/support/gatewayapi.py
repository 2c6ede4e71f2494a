"""Gateway API as tests write it: the envelope is made here, the spec is the test's.

Out: documents as dicts. Called by feature tests. Arguments after the name are fields of `spec`, in the words of YAML.
"""

from __future__ import annotations

from typing import Any

from fastforward_crds.gatewayapi import GROUP

from support.resources import GATEWAY_API, Document, Json, endpoint_slice, service

CLASS = "fastforward"


def foreign(kind: str, name: str, spec: Document, **metadata: Json) -> Document:
    """A resource of Gateway API."""
    return {"apiVersion": GATEWAY_API, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def gateway_class() -> Document:
    """The class of our Gateways."""
    return foreign("GatewayClass", CLASS, {"controllerName": "gateway.fastforward.dev/controller"})


def listener(port: int, name: str = "http", **fields: Json) -> Document:
    """A listener of a Gateway, in clear text unless `fields` say otherwise."""
    return {"name": name, "port": port, "protocol": "HTTP", **fields}


def tls_listener(port: int, *secrets: str, name: str = "https", **fields: Json) -> Document:
    """A listener that ends TLS with the certificates of Secrets."""
    tls = {"certificateRefs": [{"name": secret} for secret in secrets]}
    return {"name": name, "port": port, "protocol": "HTTPS", "tls": tls, **fields}


def gateway(*listeners: Document, name: str = "public", **spec: Json) -> Document:
    """A Gateway of our class."""
    return foreign("Gateway", name, {"gatewayClassName": CLASS, "listeners": list(listeners), **spec})


def parent(name: str = "public", **fields: Json) -> Document:
    """A reference to a Gateway."""
    return {"name": name, **fields}


def http_route(
    name: str, *rules: Document, hosts: tuple[str, ...] = (), parents: tuple[Document, ...] = (), **metadata: Json
) -> Document:
    """An HTTPRoute, on the Gateway `public` unless `parents` say otherwise."""
    spec: dict[str, Any] = {"parentRefs": list(parents or (parent(),)), "rules": list(rules)}
    return foreign("HTTPRoute", name, spec | ({"hostnames": list(hosts)} if hosts else {}), **metadata)


def rule(*matches: Document, to: str = "", filters: tuple[Document, ...] = (), **fields: Json) -> Document:
    """A rule of an HTTPRoute; `to` is a Service with port 80."""
    made: Document = {"matches": list(matches)} if matches else {}
    if to:
        made["backendRefs"] = [backend(to)]
    if filters:
        made["filters"] = list(filters)
    return {**made, **fields}


def at(kind: str, name: str, section: str = "") -> Document:
    """The target of a policy of ours."""
    return {"group": GROUP, "kind": kind, "name": name, **({"sectionName": section} if section else {})}


def backend(name: str, **fields: Json) -> Document:
    """A reference to port 80 of a Service."""
    return {"name": name, "port": 80, **fields}


def path(value: str, type_: str = "PathPrefix", **conditions: Json) -> Document:
    """A match of a path."""
    return {"path": {"type": type_, "value": value}, **conditions}


def pods(name: str, *ports: int, **more: Json) -> tuple[Document, ...]:
    """A Service with port 80, and its endpoints on this machine."""
    slices = (
        endpoint_slice(
            name, {"addresses": ["127.0.0.1"]}, ports=({"name": "http", "port": port},), name=f"{name}-{n}", **more
        )
        for n, port in enumerate(ports)
    )
    return (service(name, {"name": "http", "port": 80}, **more), *slices)
