"""Resources as tests write them: the envelope is made here, the spec is the test's.

Out: documents as dicts. Called by feature tests. Arguments after the name are fields of `spec`, in the words of YAML.
"""

from __future__ import annotations

from typing import Any

from support.credentials import jwks

Document = dict[str, Any]
Json = Any
"""Whatever JSON can say."""
API_VERSION = "gateway.fastforward.dev/v1alpha1"
GATEWAY_API = "gateway.networking.k8s.io/v1"


def resource(kind: str, name: str, spec: Document, **metadata: Json) -> Document:
    """A resource of our group."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def edge(port: int, *, name: str = "public", **spec: Json) -> Document:
    """An Edge with one listener in clear text, for example.com and all below it, unless `spec` says otherwise."""
    defaults = {"hosts": ["example.com", "*.example.com"], "listeners": [{"name": "http", "port": port}]}
    return resource("Edge", name, {**defaults, **spec})


def route(name: str, *rules: Document, hosts: tuple[str, ...] | str = (), **spec: Json) -> Document:
    """A Route on the Edge `public`."""
    hosts = (hosts,) if isinstance(hosts, str) else hosts
    return resource("Route", name, {"edges": [{"name": "public"}], "hosts": list(hosts), "rules": list(rules), **spec})


def rule(*matches: Document, to: str = "", says: str | None = None, **fields: Json) -> Document:
    """A rule: to an Upstream, or with an answer of the edge, or with the destination that `fields` name."""
    made: Document = {"matches": list(matches)} if matches else {}
    if to:
        made["upstreams"] = [{"name": to}]
    if says is not None:
        made["respond"] = {"body": says}
    return {**made, **fields}


def exact(path: str, **conditions: Json) -> Document:
    """A match of one path."""
    return {"path": {"type": "Exact", "value": path}, **conditions}


def prefix(path: str, **conditions: Json) -> Document:
    """A match of a path and all below it."""
    return {"path": {"type": "Prefix", "value": path}, **conditions}


def regex(pattern: str, **conditions: Json) -> Document:
    """A match of paths by regular expression."""
    return {"path": {"type": "Regex", "value": pattern}, **conditions}


def template(path: str, **conditions: Json) -> Document:
    """A match of paths by template."""
    return {"path": {"type": "Template", "value": path}, **conditions}


def upstream(name: str, *ports: int, **spec: Json) -> Document:
    """An Upstream with endpoints on this machine."""
    endpoints = [{"address": "127.0.0.1", "port": port} for port in ports]
    return resource("Upstream", name, {**({"endpoints": endpoints} if ports else {}), **spec})


def on(kind: str, name: str, rule: str = "") -> Document:
    """The target of a policy."""
    return {"kind": kind, "name": name, **({"rule": rule} if rule else {})}


def policy(name: str, *targets: Document, **spec: Json) -> Document:
    """An AuthPolicy."""
    return resource("AuthPolicy", name, {"targets": list(targets), **spec})


def limit(name: str, *targets: Document, requests: int, window: str = "1h", **spec: Json) -> Document:
    """A RateLimit; its window is long enough for a test to see no refill, unless it says otherwise."""
    budget = {"requests": requests, "window": window, **spec.pop("budget", {})}
    return resource("RateLimit", name, {"targets": list(targets), "budget": budget, **spec})


def tokens_of(issuer: str = "a", *, tenants: tuple[str, ...] = ("*",), **jwt: Json) -> Document:
    """A provider for tokens of https://ISSUER, whose keys are in the ConfigMap `keys`."""
    source = {"configMap": {"name": "keys", "key": issuer}}
    made: Document = {"name": issuer, "jwt": {"issuer": f"https://{issuer}", "jwks": source, **jwt}}
    return {**made, "tenants": list(tenants)} if tenants else made


def keys_of(secret: str = "api-keys", *, tenants: tuple[str, ...] = ("*",), **api_key: Json) -> Document:
    """A provider for the API keys of a Secret."""
    made: Document = {"name": secret, "apiKey": {"secrets": [{"name": secret}], **api_key}}
    return {**made, "tenants": list(tenants)} if tenants else made


def passwords_of(secret: str = "users", *, tenants: tuple[str, ...] = ("*",)) -> Document:
    """A provider for the users of a Secret."""
    made: Document = {"name": secret, "basic": {"secrets": [{"name": secret}]}}
    return {**made, "tenants": list(tenants)} if tenants else made


def proven_by(*providers: Document, mode: str = "Required") -> Document:
    """An `authentication`."""
    return {"mode": mode, "providers": list(providers)}


def granted_to(**grants: Json) -> Document:
    """An `authorization`: the name of each grant, and what it asks."""
    return {"grants": [{"name": name, **grant} for name, grant in grants.items()]}


def issuers(*names: str) -> Document:
    """The ConfigMap with the keys of each issuer."""
    return config_map("keys", {name: jwks(name) for name in names})


def secret(name: str, data: dict[str, str], type_: str = "Opaque", **metadata: Json) -> Document:
    """A Secret."""
    metadata = {"name": name, **metadata}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type_, "stringData": data}


def config_map(name: str, data: dict[str, str], **metadata: Json) -> Document:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data}


def service(name: str, *ports: Document, **more: Json) -> Document:
    """A Service; `more` are fields of its spec, and `namespace`."""
    namespace = {"namespace": more.pop("namespace")} if "namespace" in more else {}
    spec = {"ports": list(ports), **more}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **namespace}, "spec": spec}


def endpoint_slice(
    of: str, *endpoints: Document, ports: tuple[Document, ...], name: str = "", **more: Json
) -> Document:
    """A part of the endpoints of a Service."""
    family = more.pop("family", "IPv4")
    metadata = {"name": name or f"{of}-1", "labels": {"kubernetes.io/service-name": of}, **more}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": list(ports),
    }


def reference_grant(name: str, namespace: str, *, from_kind: str, from_namespace: str, to_kind: str) -> Document:
    """Leave to refer to objects of `namespace`."""
    to_group = "" if to_kind in ("Secret", "ConfigMap", "Service") else API_VERSION.partition("/")[0]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "from": [{"group": API_VERSION.partition("/")[0], "kind": from_kind, "namespace": from_namespace}],
            "to": [{"group": to_group, "kind": to_kind}],
        },
    }
