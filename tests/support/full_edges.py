"""Edges in which every field of theirs is written; see full_world."""

from __future__ import annotations

from support import full_upstreams
from support.resources import Document, resource


def edges() -> list[Document]:
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
                        "tls": {
                            "certificates": [{"name": "here"}, {"name": "there", "namespace": "other"}],
                            "minVersion": "1.3",
                            "clients": {"authorities": full_upstreams.named_authorities(), "mode": "Optional"},
                        },
                    },
                    {
                        "name": "quic",
                        "port": 8445,
                        "protocol": "HTTPS",
                        "http3": True,
                        "tls": {"certificates": [{"name": "here"}]},
                    },
                ],
                "routeNamespaces": {"from": "Selected", "names": ["shop", "other"]},
                "region": "eu",
                "trustedHops": {"count": 1, "addresses": ["10.0.0.0/8"], "tenantHeader": "x-tenant"},
                "apiVersions": {"header": "x-version", "default": "v1"},
                "addressLists": [
                    {"name": "bots", "configMaps": [{"name": "lists", "key": "bots"}]},
                    {"name": "office", "configMaps": [{"name": "lists", "key": "office", "namespace": "other"}]},
                ],
                "countries": {"configMaps": [{"name": "countries", "key": "all.csv", "namespace": "other"}]},
                "admission": {**admission(), "shadow": False},
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
                    "resources": resources(),
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
                "grpc": {"web": True, "transcoding": True},
                "adaptiveConcurrency": {"least": 4, "most": 500, "percentile": 60, "measureEvery": "30s"},
                "compression": {"algorithms": ["zstd", "gzip"], "minBytes": 100, "contentTypes": ["text/plain"]},
                "securityHeaders": {"preset": "Web", "hstsDays": 7, "contentSecurityPolicy": "img-src *"},
            },
        ),
        resource(
            "Edge",
            "balanced",
            {
                "hosts": ["api.example.info"],
                "listeners": [{"name": "http", "port": 8083, "proxyProtocol": True}],
                "trustedHops": {"addresses": ["10.9.0.0/16"]},
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


def admission() -> Document:
    return {
        "allowAddresses": ["127.0.0.0/8"],
        "denyAddresses": ["127.0.0.7"],
        "allowLists": ["office"],
        "denyLists": ["bots"],
        "allowCountries": ["DE"],
        "denyCountries": ["FR"],
        "maxBodyBytes": 1000,
        "contentTypes": ["application/json"],
    }


def resources() -> Document:
    return {"requests": {"cpu": "1", "memory": "128Mi"}, "limits": {"cpu": "3", "memory": "1Gi"}}
