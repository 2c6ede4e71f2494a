"""Variants of a document: the same with one place changed.

In: a document, a place in it, the schema of what stands there. Out: what the kind's rules admit with something else
there, or nothing. Called by the test that no field does nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import fastforward_crds as crds
from fastforward_crds.formats import FORMAT_KEY
from fastforward_crds.generate.schema import Schema

from support.resources import Document

Place = tuple[str | int, ...]
"""Where something stands in a document: `("spec", "rules", 0, "name")`."""

OTHER_TEXTS = {
    "a host": "y.example.com",
    "a network": "192.0.2.0/24",
    "a path": "/other",
    "a cookie's path": "/other",
    "a duration": "7s",
    "an instant": "2025-02-03T04:05:06Z",
    "a time of day": "23:00",
    "a time zone": "Asia/Tokyo",
    "a topology zone": "other",
    "a URL": "https://other.example.com/jwks.json",
    "an IP address": "127.0.0.9",
    "a site": "https://other.example.com",
    "a path of a page": "/other",
    "a method": "PATCH",
    "a country": "GB",
    "a media type": "text/csv",
    "an origin": "https://other.example.com",
    "a digest of a public key": "A" * 43 + "=",
    "a substitution": "/other",
    "a message type": "shop.orders.cancel",
    "an amount of cores": "5",
    "an amount of memory": "2Gi",
}
"""Another text of that format; of the others `other` is one."""
CONDITIONS = ("request.method == 'PUT'", "/other.*")
STORE: Document = {
    "host": "store.data.svc",
    "port": 5000,
    "username": "gateway",
    "password": {"name": "store", "key": "password"},
}
"""As in the full world, but without TLS."""
TIED: dict[str, Document] = {
    "spec.listeners[].protocol": {
        "name": "http",
        "port": 8080,
        "protocol": "HTTPS",
        "tls": {"certificates": [{"name": "here"}]},
    },
    "spec.routeNamespaces.from": {"from": "Same"},
    "spec.rules[].shards.key": {"upstream": "orders", "key": "Subject"},
    "spec.rules[].adapter.protocol": {"protocol": "WebSocket"},
    "spec.rules[].message.gather.require": {
        "upstreams": [{"name": "taker", "namespace": "shop", "as": "stock"}],
        "require": "Any",
    },
    "spec.component": {"component": "Decision"},
    "spec.loadBalancing.policy": {"policy": "Random"},
    "spec.sessionAffinity.header": {"header": "x-other"},
    "spec.listeners[].tls.clients.authorities[].kind": {"kind": "ConfigMap", "name": "roots"},
    "spec.tls.authorities[].kind": {"kind": "ConfigMap", "name": "roots"},
    "spec.loadBalancing.hashOn.address": {"cookie": "other"},
    "spec.key[].type": {"type": "Address"},
    "spec.postgresql.tls": {**STORE, "database": "messages"},
    "spec.rabbitmq.tls": {**STORE, "virtualHost": "shop"},
    "spec.targets[].kind": {"kind": "Edge", "name": "public"},
    "spec.targets[].group": {"group": "gateway.fastforward.dev", "kind": "Edge", "name": "public"},
}
"""Fields that can't change alone: what the mapping around each becomes."""


def variants(document: Document, place: Place, schema: Schema) -> Iterator[Document]:
    """The document with something else at the place, or nothing, as far as the kind's rules admit that."""
    key = place[-1]
    changed = [_with(document, place, other) for other in _others(schema, _parent(document, place)[key])]
    if field_of(place) in TIED:
        changed.append(_with(document, place[:-1], TIED[field_of(place)]))
    without = copy.deepcopy(document)
    del _parent(without, place)[key]
    for variant in (*changed, without):
        if not isinstance(crds.parse_resource(variant), crds.Invalid):
            yield variant


def _others(schema: Schema, value: Any) -> list[Any]:  # noqa: ANN401 - whatever stands in a document
    if "enum" in schema:
        return [other for other in schema["enum"] if other != value]
    match schema["type"]:
        case "boolean":
            return [not value]
        case "integer":
            return [other for other in (value + 1, value - 1) if schema["minimum"] <= other <= schema["maximum"]]
        case _:
            texts = (OTHER_TEXTS.get(schema.get(FORMAT_KEY, ""), "other"), *CONDITIONS)
            return [other for other in texts if other != value]


def _with(document: Document, place: Place, value: Any) -> Document:  # noqa: ANN401 - as above
    changed = copy.deepcopy(document)
    _parent(changed, place)[place[-1]] = value
    return changed


def _parent(document: Document, place: Place) -> Any:  # noqa: ANN401 - a mapping or a list
    here: Any = document
    for part in place[:-1]:
        here = here[part]
    return here


def leaves(value: Any, schema: Schema, place: Place = ()) -> Iterator[tuple[Place, Schema]]:  # noqa: ANN401
    """Every place below the value that holds no mapping or list, with the schema of what stands there."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, schema["properties"][name], (*place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, schema["items"], (*place, index))
    else:
        yield place, schema


def fields(schema: Schema, place: Place = ()) -> Iterator[str]:
    """Every field that the schema has for something other than a mapping, as people write it: `spec.rules[].name`."""
    if "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from fields(inner, (*place, name))
    elif schema["type"] == "array":
        yield from fields(schema["items"], (*place, 0))
    else:
        yield field_of(place)


def field_of(place: Place) -> str:
    """The field at a place, whatever the positions in lists."""
    text = "".join("[]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")
