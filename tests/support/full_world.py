"""A world in which every field of every kind is written somewhere, and means something.

Out: documents that compile without a Problem. Called by the test that no field does nothing.
"""

from __future__ import annotations

from fastforward_crds import CLUSTER_SCOPED

from support import full_messages as messages
from support import full_upstreams, gatewayapi
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
        *_edges(),
        *_routes(),
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


def _edges() -> list[Document]:
    return [
        resource(
            "Edge",
            "public",
            {
                "hosts": ["*.example.com", "plain.example.org"],
                "listeners": [
                    {"name": "http", "port": 8080, "protocol": "HTTP"},
                    {
                        "name": "https",
                        "port": 8443,
                        "protocol": "HTTPS",
                        "proxyProtocol": True,
                        "tls": {
                            "certificates": [{"name": "here"}, {"name": "there", "namespace": "other"}],
                            "minVersion": "1.3",
                            "clients": {"authorities": full_upstreams.named_authorities(), "mode": "Optional"},
                        },
                    },
                ],
                "routeNamespaces": {"from": "Selected", "names": ["shop", "other"]},
                "region": "eu",
                "trustedHops": {"count": 1, "addresses": ["10.0.0.0/8"], "tenantHeader": "x-tenant"},
                "apiVersions": {"header": "x-version", "default": "v1"},
                "admission": {**_admission(), "shadow": False},
                "limits": {
                    "maxHeaderBytes": 8192,
                    "maxHeaders": 50,
                    "maxConnections": 1000,
                    "maxConcurrentStreams": 10,
                    "maxRequestsPerConnection": 100,
                },
                "proxies": {
                    "mode": "Managed",
                    "replicas": 3,
                    "resources": _resources(),
                    "service": {
                        "type": "LoadBalancer",
                        "loadBalancerClass": "example.com/lb",
                        "externalTrafficPolicy": "Cluster",
                        "annotations": [{"name": "example.com/scheme", "value": "internal"}],
                    },
                    "decision": {"name": "decision", "namespace": "other"},
                },
                "timeouts": {"requestHeaders": "5s", "streamIdle": "1m", "connectionIdle": "10m"},
                "accessLog": True,
                "adaptiveConcurrency": {"least": 4, "most": 500, "percentile": 60, "measureEvery": "30s"},
                "compression": {"algorithms": ["zstd", "gzip"], "minBytes": 100, "contentTypes": ["text/plain"]},
                "securityHeaders": {"preset": "Web", "hstsDays": 7, "contentSecurityPolicy": "img-src *"},
            },
        ),
        resource("Edge", "fronted", _fronted()),
        resource(
            "Edge",
            "opened",
            {
                "hosts": ["api.example.net"],
                "listeners": [{"name": "http", "port": 8082}],
                "front": {"traefik": {"addresses": ["10.8.0.0/16"], "tls": "Terminate"}},
            },
        ),
    ]


def _fronted() -> Document:
    traefik = {
        "addresses": ["10.8.0.0/16"],
        "protocols": ["rest", "ws"],
        "tls": "PassThrough",
        "entryPoints": {"plain": "in", "secure": "in-by-tls"},
    }
    tls = {"certificates": [{"name": "fronted"}]}
    return {
        "hosts": ["api.example.org"],
        "listeners": [
            {"name": "http", "port": 8081},
            {"name": "https", "port": 8444, "protocol": "HTTPS", "tls": tls},
        ],
        "front": {"traefik": traefik},
    }


def _admission() -> Document:
    return {
        "allowAddresses": ["127.0.0.0/8"],
        "denyAddresses": ["127.0.0.7"],
        "maxBodyBytes": 1000,
        "contentTypes": ["application/json"],
    }


def _routes() -> list[Document]:
    rules = [*_proxied_rules(), *_answering_rules(), *_conditional_rules()]
    spec = {
        "edges": [{"name": "public", "listener": "http"}],
        "hosts": ["x.example.com"],
        "priority": 1,
        "admission": {**_admission(), "shadow": True},
        "rules": rules,
    }
    abroad = {"edges": [{"name": "public", "namespace": "shop"}], "rules": [{"respond": {"body": "abroad"}}]}
    return [resource("Route", "books", spec), resource("Route", "abroad", abroad, namespace="other")]


def _proxied_rules() -> list[Document]:
    header, more = {"name": "x-a", "value": "1"}, {"name": "x-b", "value": "2"}
    changes = {"set": [header], "add": [more], "remove": ["x-c"]}
    return [
        {
            "name": "list",
            "matches": [{"path": {"type": "Prefix", "value": "/list"}, "methods": ["GET", "POST"]}],
            "upstreams": [{"name": "origin", "weight": 2}, {"name": "far", "namespace": "other", "weight": 1}],
            "rewrite": {"host": "inner.example.com", "replacePrefix": "/l"},
            "requestHeaders": changes,
            "responseHeaders": changes,
            "timeout": {"request": "3s", "idle": "4s"},
            "retry": {
                "attempts": 3,
                "retryOn": ["5xx", "reset"],
                "perTryTimeout": "1s",
                "backoff": "50ms",
                "hedge": True,
            },
            "mirrors": [{"name": "near", "percent": 10}, {"name": "far", "namespace": "other", "percent": 20}],
            "fault": {
                "delay": {"duration": "2s", "percent": 5},
                "abort": {"status": 500, "percent": 6},
                "headers": [{"name": "x-a", "type": "Prefix", "value": "1"}],
            },
        },
        {
            "matches": [{"path": {"type": "Exact", "value": "/whole"}}],
            "upstreams": [{"name": "origin"}],
            "rewrite": {"replacePath": "/w"},
            "body": {"schema": {"name": "order", "namespace": "shop", "version": "1"}, "maxBytes": 99, "shadow": True},
        },
        {
            "matches": [{"path": {"type": "Regex", "value": "/r.*"}}],
            "upstreams": [{"name": "origin"}],
            "rewrite": {"regex": {"pattern": "r(.*)", "substitution": r"s\1"}},
        },
        {
            "matches": [{"path": {"type": "Template", "value": "/users/{user}/{rest...}"}}],
            "upstreams": [{"name": "origin"}],
            "rewrite": {"template": "/{rest}/of/{user}"},
        },
        {
            "name": "sharded",
            "matches": [{"path": {"value": "/sharded"}}],
            "shards": {"upstream": "orders", "key": "Header", "header": "x-key"},
            "csrf": {"hosts": ["pages.example.com"], "shadow": True},
            "cors": {
                "allowOrigins": ["https://a.example.com"],
                "allowMethods": ["PUT"],
                "allowHeaders": ["x-a"],
                "exposeHeaders": ["x-b"],
                "maxAge": "1m",
                "allowCredentials": True,
            },
        },
    ]


def _answering_rules() -> list[Document]:
    return [
        {
            "name": "away",
            "matches": [{"path": {"value": "/away"}}],
            "redirect": {"scheme": "https", "host": "a.example.com", "port": 8443, "path": "/new", "status": 308},
        },
        {
            "name": "says",
            "matches": [{"path": {"value": "/says"}}],
            "respond": {"status": 201, "body": "{}", "contentType": "application/json"},
        },
        *messages.rules(),
    ]


def _conditional_rules() -> list[Document]:
    texts = [{"name": "x-a", "type": "Prefix", "value": "1"}, {"name": "x-b", "type": "Exact", "value": "2"}]
    match = {"path": {"value": "/if"}, "headers": texts, "query": texts, "apiVersion": "v2"}
    return [
        {"name": "text", "matches": [match], "respond": {"body": "text"}},
        {
            "name": "caller",
            "matches": [{"path": {"value": "/who"}, "roles": ["admin"], "region": "eu", "flag": "beta"}],
            "respond": {"body": "caller"},
        },
        {"name": "tenant", "matches": [{"path": {"value": "/own"}, "tenants": ["acme"]}], "respond": {"body": "own"}},
    ]


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
    monthly = {"targets": says, "budget": {"requests": 3}, "period": "Month", "enforcement": "Exact"}
    listed = {"targets": [gatewayapi.at("HTTPRoute", "books", "list")], "budget": {"requests": 3}}
    return [
        resource("RateLimit", "by-tenant", by_tenant),
        resource("RateLimit", "listed", listed),
        resource("RateLimit", "monthly", monthly),
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
        config_map("keys", {"jwks": jwks("other-keys")}, **here),
        secret("keys", keys),
        secret("keys", {"jwks": jwks("other-keys")}, **here),
        secret("api", apikeys_data(AAAAAAAAAAAA="acme"), api),
        secret("api", apikeys_data(BBBBBBBBBBBB="acme"), api, **here),
        secret("users", users_data(ann="acme"), "gateway.fastforward.dev/users"),
        secret("users", users_data(bob="acme"), "gateway.fastforward.dev/users", **here),
    ]


def _resources() -> Document:
    return {"requests": {"cpu": "1", "memory": "128Mi"}, "limits": {"cpu": "3", "memory": "1Gi"}}


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
    spec = {"component": "Decision", "replicas": 3, "resources": _resources(), **stores}
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
