"""Objects of other groups for Hypothesis: Secrets, ConfigMaps, Services with their endpoints, ReferenceGrants.

Out: what stands beside `metadata` in such documents, and the pools and builders that `worlds` shares. Used by worlds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import fastforward_crds as crds
from hypothesis import strategies as st

from .credentials import apikeys_data, jwks, tls_data

Strategy = st.SearchStrategy[Any]

NAMES = st.sampled_from(["x"] * 3 + ["y", "z"])


def lists(items: Strategy, least: int = 0, most: int = 2) -> Strategy:
    """Short lists without repetition."""
    return st.lists(items, min_size=least, max_size=most, unique_by=json.dumps)


def record(required: Mapping[str, Strategy] | None = None, **optional: Strategy) -> Strategy:
    """Mappings with all of `required` and some of `optional`; `_` at the end of a name is dropped."""
    return st.fixed_dictionaries(
        dict(required or {}), optional={name.rstrip("_"): value for name, value in optional.items()}
    )


def secrets() -> Strategy:
    """What stands beside `metadata` in a Secret."""
    tls = st.sampled_from([("example.com", "*.example.com"), ("api.example.com",)]).map(lambda hosts: tls_data(*hosts))
    keys = st.just({"AAAAAAAAAAAA": "x"}).map(lambda keys: apikeys_data(**keys))
    return st.one_of(
        tls.map(lambda data: {"type": "kubernetes.io/tls", "stringData": data}),
        keys.map(lambda data: {"type": "gateway.fastforward.dev/api-keys", "stringData": data}),
        st.just({"stringData": {"jwks": jwks(), "tls.crt": "nonsense", "tls.key": "nonsense"}}),
        st.just({"stringData": {}}),
    )


def config_maps() -> Strategy:
    made = (
        *({"jwks": jwks()}, {"jwks": "{}"}, {}, {"replicas": "3"}, {"replicas": "many"}),
        *(
            {"bots": "10.0.0.0/8\nnone", "office": "::/0", "countries": "10.0.0.0/8,DE\n::/1,FR"},
            {"bots": "10.1.0.0/16"},
        ),
    )
    return st.sampled_from(made).map(lambda data: {"data": data})


def services() -> Strategy:
    """What stands beside `metadata` in a Service."""
    protocols = st.sampled_from(["kubernetes.io/h2c", "kubernetes.io/ws", "other"])
    port = record({"name": st.just("http"), "port": st.just(80)}, appProtocol=protocols)
    spec = record({"ports": st.lists(port, max_size=1)}, clusterIP=st.just("None"))
    away = st.just({"type": "ExternalName", "externalName": "inner.example.com"})
    return (spec | away).map(lambda spec: {"spec": spec})


def endpoint_slices() -> Strategy:
    """The same of an EndpointSlice; whose it is, a label in its `metadata` says."""
    conditions = record(ready=st.booleans(), serving=st.booleans(), terminating=st.booleans())
    addresses = st.sampled_from(["192.0.2.1", "192.0.2.2", "::1", "nonsense"]).map(lambda one: [one])
    return st.fixed_dictionaries(
        {
            "addressType": st.sampled_from(["IPv4", "IPv6", "FQDN"]),
            "endpoints": lists(record({"addresses": addresses}, conditions=conditions)),
            "ports": lists(record({"port": st.sampled_from([80, 8080])}, name=st.just("http"))),
        }
    )


def reference_grants() -> Strategy:
    kinds = st.sampled_from(["Route", "Shard", "Edge", "AuthPolicy", "Upstream"])
    origin = record({"group": st.just(crds.GROUP), "kind": kinds})
    to = st.one_of(
        record({"group": st.just(crds.GROUP), "kind": st.just("Upstream")}, name=NAMES),
        record({"group": st.just(""), "kind": st.sampled_from(["Secret", "ConfigMap", "Service"])}, name=NAMES),
    )
    origins = origin.map(lambda one: [{**one, "namespace": namespace} for namespace in ("a", "b")])
    return st.fixed_dictionaries({"from": origins, "to": st.lists(to, min_size=1, max_size=2)})


BODIES: Mapping[str, Strategy] = {
    "Secret": secrets(),
    "ConfigMap": config_maps(),
    "Service": services(),
    "EndpointSlice": endpoint_slices(),
    "ReferenceGrant": reference_grants().map(lambda spec: {"spec": spec}),
}
