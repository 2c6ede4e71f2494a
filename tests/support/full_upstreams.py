"""Upstreams with every field. Called by full_world."""

from __future__ import annotations

from .credentials import certificate_pem
from .documents import Document
from .resources import config_map, resource, secret


def upstreams() -> list[Document]:
    check: Document = {
        "type": "HTTP",
        "path": "/health",
        "interval": "2s",
        "timeout": "3s",
        "unhealthyThreshold": 4,
        "healthyThreshold": 2,
    }
    endpoints = [{"address": "127.0.0.1", "port": 8001, "weight": 3}]
    tight: Document = {
        "endpoints": endpoints,
        "protocol": "HTTP2",
        "connectTimeout": "1s",
        "loadBalancing": {"policy": "RingHash", "hashOn": {"header": "x-key"}},
        "healthCheck": check,
        "outlierDetection": {
            "consecutiveErrors": 3,
            "interval": "4s",
            "ejectionTime": "5s",
            "maxEjectedPercent": 40,
        },
        "circuitBreaker": {"maxConnections": 10, "maxPendingRequests": 11, "maxRequests": 12},
        "retryBudget": {"percent": 30, "minConcurrent": 4},
    }
    by_name = {"dns": {"host": "origin.example.com", "port": 8002, "refresh": "9s"}}
    hashing = [{"cookie": "session"}, {"address": True}]
    hashed = [{"endpoints": endpoints, "loadBalancing": {"policy": "RingHash", "hashOn": on_}} for on_ in hashing]
    zoned = [{"address": "127.0.0.1", "port": 8001, "zone": "a"}, {"address": "127.0.0.1", "port": 8002, "zone": "b"}]
    eager = {"slowStart": "20s", "panicThreshold": 40}
    cookie = {"name": "session", "path": "/shop", "maxAge": "1h", "sameSite": "Strict"}
    return [
        resource("Upstream", "eager", {"endpoints": endpoints, "loadBalancing": {"policy": "LeastRequest", **eager}}),
        resource("Upstream", "close", {"endpoints": zoned, "loadBalancing": {"zoneAware": {"minimumEndpoints": 2}}}),
        resource("Upstream", "kept", {"endpoints": endpoints, "sessionAffinity": {"cookie": cookie}}),
        resource("Upstream", "kept-by-header", {"endpoints": endpoints, "sessionAffinity": {"header": "x-session"}}),
        resource("Upstream", "secured", {"endpoints": endpoints, "tls": _tls(), "proxyProtocol": "V2"}),
        resource("Upstream", "origin", tight),
        resource("Upstream", "named", by_name),
        resource("Upstream", "far", hashed[0], namespace="other"),
        resource("Upstream", "near", hashed[1]),
        resource("Upstream", "taker", {"endpoints": endpoints, "protocol": "GRPC"}),
        resource("Upstream", "asked", {"endpoints": endpoints}),
        resource("Upstream", "frames", {"endpoints": endpoints}),
        resource("Upstream", "pods", {"service": {"name": "pods", "port": 80}}),
        resource("Upstream", "pods-there", {"service": {"name": "pods", "namespace": "other", "portName": "http"}}),
    ]


def _tls() -> Document:
    return {
        "serverName": "inner.example.com",
        "names": ["one.example.com", "two.example.com"],
        "authorities": named_authorities(),
        "pins": ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="],
        "certificate": {"name": "there", "namespace": "other"},
    }


def named_authorities() -> list[Document]:
    """One of each kind, here and there."""
    return [{"kind": "Secret", "name": "roots"}, {"kind": "ConfigMap", "name": "roots", "namespace": "other"}]


def authorities() -> list[Document]:
    """What `_tls` names, and the same elsewhere."""
    places: tuple[Document, ...] = ({}, {"namespace": "other"})
    return [
        make("roots", {"ca.crt": certificate_pem(f"{number}{make.__name__}.roots")}, **where)
        for number, where in enumerate(places)
        for make in (secret, config_map)
    ]
