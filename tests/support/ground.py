"""What most references of generated worlds resolve to. Called by worlds."""

from __future__ import annotations

from typing import Any

import fastforward_crds as crds

from .credentials import apikeys_data, jwks


def ground() -> tuple[crds.Resource | crds.Invalid, ...]:
    """What most references can resolve to: without it most Worlds would be full of holes and of little else."""
    specs = (
        ("Edge", "x", {"hosts": ["*.example.com", "other.org"], "listeners": [{"name": "x", "port": 8080}]}),
        ("Upstream", "x", {"endpoints": [{"address": "127.0.0.1", "port": 80}]}),
        ("Upstream", "y", {"dns": {"host": "inner.example.com", "port": 80}, "protocol": "GRPC"}),
        ("Tenant", "x", {"plan": "pro"}),
        ("Tenant", "y", {"parent": "x"}),
        ("Shard", "x", {"upstreams": [{"purpose": "x", "name": "x"}]}),
    )
    ours = tuple(
        {"apiVersion": crds.API_VERSION, "kind": kind, "metadata": {"name": name, "namespace": "a"}, "spec": spec}
        for kind, name, spec in specs
    )
    meta = {"name": "x", "namespace": "a"}
    keys = {"type": "gateway.fastforward.dev/api-keys", "stringData": apikeys_data(AAAAAAAAAAAA="x")}
    theirs: tuple[dict[str, Any], ...] = (
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"jwks": jwks()}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, **keys},
    )
    return tuple(crds.parse_resource(document) for document in (*ours, *theirs))
