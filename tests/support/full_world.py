"""A world in which every field of every kind is written somewhere, and means something.

Out: documents that compile without a Problem. Called by the test that no field does nothing.
"""

from __future__ import annotations

from fastforward_crds import CLUSTER_SCOPED

from support import full_edges, full_routes, full_upstreams, gatewayapi
from support import full_messages as messages
from support.credentials import apikeys_data, jwks, tls_data, users_data
from support.full_policies import policies
from support.resources import (
    Document,
    config_map,
    endpoint_slice,
    on,
    reference_grant,
    resource,
    secret,
    service,
)
from support.variants import STORE


def full_world() -> list[Document]:
    """The documents; in the namespace `shop`, with a few to refer to in `other`."""
    documents = [
        *full_edges.edges(),
        *full_routes.routes(),
        *full_upstreams.upstreams(),
        *_tenants(),
        *_shards(),
        *policies(),
        *_limits(),
        *_natives(),
    ]
    documents += [*_workloads(), *_gateways(), *messages.schemas(), *messages.hooks()]
    for document in (each for each in documents if each["kind"] not in CLUSTER_SCOPED):
        document["metadata"].setdefault("namespace", "shop")
    return documents


def _tenants() -> list[Document]:
    budget = {"rateLimit": "by-tenant", "requests": 7, "window": "30s", "burst": 9}
    spec = {
        "parent": "group",
        "plan": "gold",
        "hosts": ["acme.example.com"],
        "shard": "one",
        "region": "us",
        "flags": ["beta"],
        "limits": [budget],
    }
    return [resource("Tenant", "acme", spec), resource("Tenant", "group", {})]


def _shards() -> list[Document]:
    serves = [{"purpose": "orders", "name": "near"}, {"purpose": "far", "name": "far", "namespace": "other"}]
    return [resource("Shard", "one", {"region": "eu", "state": "Active", "weight": 5, "upstreams": serves})]


def _limits() -> list[Document]:
    by_tenant = {
        "targets": [on("Route", "books", "says")],
        "key": [{"type": "Tenant"}, {"type": "Header", "header": "x-a"}],
        "budget": {"requests": 3, "window": "20s", "burst": 5},
        "plans": [{"plan": "gold", "requests": 30, "window": "40s", "burst": 50}],
        "enforcement": "Exact",
        "onFailure": "Closed",
        "shadow": True,
    }
    says = [on("Route", "books", "says")]
    exact = {"targets": says, "budget": {"requests": 3}, "enforcement": "Exact"}
    monthly = {**exact, "period": "Month"}
    tokens = {**exact, "cost": {"path": "usage.total_tokens", "otherwise": 4}}
    units = {**exact, "cost": {"header": "x-units", "otherwise": 4}}
    at_once = {**exact, "concurrency": {"lease": "20s"}}
    listed = {"targets": [gatewayapi.at("HTTPRoute", "books", "list")], "budget": {"requests": 3}}
    return [
        resource("RateLimit", "by-tenant", by_tenant),
        resource("RateLimit", "listed", listed),
        resource("RateLimit", "monthly", monthly),
        resource("RateLimit", "tokens", tokens),
        resource("RateLimit", "units", units),
        resource("RateLimit", "at-once", at_once),
    ]


def _gateways() -> list[Document]:
    rules = [gatewayapi.rule(gatewayapi.path(f"/{name}"), name=name, to="pods") for name in ("list", "find")]
    gateway = gatewayapi.gateway(gatewayapi.listener(8090), gatewayapi.listener(8091, "other"))
    return [gatewayapi.gateway_class(), gateway, gatewayapi.http_route("books", *rules)]


def _natives() -> list[Document]:
    here = {"namespace": "other"}
    grants = [
        reference_grant(f"{kind}-{to}".lower(), "other", from_kind=kind, from_namespace="shop", to_kind=to)
        for kind, to in (
            ("Edge", "Secret"),
            ("Edge", "ConfigMap"),
            ("Route", "Upstream"),
            ("Shard", "Upstream"),
            ("Upstream", "Service"),
            ("Upstream", "Secret"),
            ("Upstream", "ConfigMap"),
            ("AuthPolicy", "Secret"),
            ("AuthPolicy", "ConfigMap"),
            ("AuthPolicy", "Upstream"),
        )
    ]
    keys = {"jwks": jwks("keys"), "other": jwks("others")}
    api = "gateway.fastforward.dev/api-keys"
    return [
        *grants,
        *_services(),
        *full_upstreams.authorities(),
        secret("fronted", tls_data("rest.api.example.org"), "kubernetes.io/tls"),
        secret("here", tls_data("x.example.com"), "kubernetes.io/tls"),
        secret("there", tls_data("y.example.com"), "kubernetes.io/tls", **here),
        config_map("keys", keys),
        config_map("lists", {"bots": "192.0.2.0/24", "office": "198.51.100.7", "other": "192.0.2.1"}),
        config_map("lists", {"office": "198.51.100.0/24", "bots": "192.0.2.2", "other": "192.0.2.3"}, **here),
        config_map("countries", {"all.csv": "192.0.2.0/25,DE\n192.0.2.128/25,FR\n", "other": "192.0.2.1,DE"}),
        config_map("countries", {"all.csv": "192.0.2.4,DE\n192.0.2.5,FR\n"}, **here),
        config_map("keys", {"jwks": jwks("other-keys")}, **here),
        secret("keys", keys),
        secret("keys", {"jwks": jwks("other-keys")}, **here),
        secret("api", apikeys_data(AAAAAAAAAAAA="acme"), api),
        secret("api", apikeys_data(BBBBBBBBBBBB="acme"), api, **here),
        secret("client", {"secret": "what the issuer knows", "other": "what it does not know"}, **here),
        resource("Upstream", "login", {"dns": {"host": "login.example.com", "port": 80}}, **here),
        secret("users", users_data(ann="acme"), "gateway.fastforward.dev/users"),
        secret("users", users_data(bob="acme"), "gateway.fastforward.dev/users", **here),
    ]


def _workloads() -> list[Document]:
    redis = {
        "host": "redis.data.svc",
        "port": 6380,
        "tls": True,
        "username": "counter",
        "password": {"name": "redis", "key": "password"},
    }
    store = {**STORE, "tls": True, "authority": {"name": "store-authority", "key": "ca.crt"}}
    stores: Document = {
        "redis": redis,
        "postgresql": {**store, "database": "messages"},
        "rabbitmq": {**store, "virtualHost": "shop"},
        "seal": {"name": "seal", "key": "key.json"},
    }
    spec = {"component": "Decision", "replicas": 3, "resources": full_edges.resources(), **stores}
    others = [messages.stages(), messages.ingress(), messages.pods(), messages.target()]
    return [resource("Workload", "decision", spec), *others]


def _services() -> list[Document]:
    """The same here and there, but for the addresses."""
    port, in_pods = {"name": "http", "port": 80, "appProtocol": "kubernetes.io/h2c"}, {"name": "http", "port": 8080}
    addresses: tuple[tuple[str, Document], ...] = (("192.0.2.1", {}), ("192.0.2.2", {"namespace": "other"}))
    return [
        document
        for address, where in addresses
        for document in (
            service("pods", port, **where),
            endpoint_slice("pods", {"addresses": [address]}, ports=(in_pods,), **where),
        )
    ]


FETCHED = {
    "https://issuer.example.com/jwks.json": jwks("issuer").encode(),
    "https://other.example.com/jwks.json": jwks("other-issuer").encode(),
}
"""What is behind the URLs."""
