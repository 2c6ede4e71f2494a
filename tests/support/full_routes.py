"""Routes in which every field of theirs is written; see full_world."""

from __future__ import annotations

from support import full_messages as messages
from support.full_edges import admission
from support.resources import Document, resource


def routes() -> list[Document]:
    rules = [*_proxied_rules(), *_answering_rules(), *_conditional_rules()]
    spec = {
        "edges": [{"name": "public", "listener": "http"}],
        "hosts": ["x.example.com"],
        "priority": 1,
        "admission": {**admission(), "shadow": True},
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
            "upstreams": [{"name": "origin"}, {"name": "kept"}, {"name": "kept-by-header"}],
            "rewrite": {"replacePath": "/w"},
            "body": {"schema": {"name": "order", "namespace": "shop", "version": "1"}, "maxBytes": 99, "shadow": True},
        },
        {
            "matches": [{"path": {"type": "Regex", "value": "/r.*"}}],
            "upstreams": [{"name": "origin"}],
            "responseBody": {
                "schema": {"name": "order", "namespace": "shop", "version": "1"},
                "maxBytes": 98,
                "shadow": True,
            },
            "rewrite": {"regex": {"pattern": "r(.*)", "substitution": r"s\1"}},
        },
        {
            "matches": [{"path": {"type": "Template", "value": "/users/{user}/{rest...}"}}],
            "upstreams": [{"name": "origin"}],
            "rewrite": {"template": "/{rest}/of/{user}"},
        },
        {
            "name": "called",
            "matches": [{"path": {"value": "/called"}}],
            "upstreams": [{"name": "taker"}],
            "transcode": {
                "schema": {"name": "services", "namespace": "shop", "version": "1"},
                "services": ["shop.v1.Shop"],
                "allMethods": True,
                "unknownQuery": "Ignore",
                "ignoredQuery": ["key"],
                "maxBytes": 4096,
                "printing": {"names": "Proto", "defaults": True, "enums": "Numbers", "stream": "Lines"},
            },
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
            "schedule": {
                "from": "2025-01-01T00:00:00Z",
                "until": "2035-01-01T00:00:00Z",
                "weekly": [{"days": ["Mon", "Tue"], "from": "00:30", "until": "23:30"}],
                "zone": "Europe/Berlin",
            },
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
