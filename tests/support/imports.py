"""Manifests of others to import, and what `ff import` makes of them. Called by tests of the import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from support.credentials import tls_data
from support.ff import Said, ff
from support.resources import endpoint_slice, secret, service

NGINX = "nginx.ingress.kubernetes.io"
Document = dict[str, Any]


def ingress(*paths: Document, name: str = "web", host: str = "a.test", **annotations: str) -> Document:
    noted = {f"{NGINX}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    rule: Document = {"http": {"paths": list(paths)}, **({"host": host} if host else {})}
    metadata: Document = {"name": name, "annotations": noted}
    spec: Document = {"ingressClassName": "nginx", "rules": [rule]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def path(value: str = "/", kind: str = "Prefix", to: str = "web") -> Document:
    return {"path": value, "pathType": kind, "backend": {"service": {"name": to, "port": {"number": 80}}}}


def ingress_route(match: str, name: str = "web", **route: object) -> Document:
    services = [{"name": "web", "port": 80}]
    spec = {"entryPoints": ["web"], "routes": [{"match": match, "kind": "Rule", "services": services, **route}]}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": {"name": name}, "spec": spec}


def middleware(name: str, **spec: object) -> Document:
    return {"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "metadata": {"name": name}, "spec": spec}


def run(tmp_path: Path, *documents: Document, options: tuple[str, ...] = ()) -> tuple[dict[str, list[Document]], Said]:
    """The resources by kind; they have to be valid beside Services and certificates."""
    (tmp_path / "in.yaml").write_text(yaml.safe_dump_all(documents))
    said = ff("import", tmp_path / "in.yaml", *options)
    assert said.code == 0, said.err
    out = tmp_path / "out"
    out.mkdir()
    (out / "all.yaml").write_text(said.out)
    found = [each for each in yaml.safe_load_all(said.out) if each]
    names = ("web", "other")
    besides = [service(name, {"port": 80}) for name in names]
    besides += [endpoint_slice(name, {"addresses": ["127.0.0.1"]}, ports=({"port": 80},)) for name in names]
    besides += [secret("tls", tls_data("a.test"), "kubernetes.io/tls")]
    (out / "besides.yaml").write_text(yaml.safe_dump_all(besides))
    checked = ff("validate", out)
    assert checked.code == 0, checked.out + said.out
    by_kind: dict[str, list[Document]] = {}
    for each in found:
        by_kind.setdefault(each["kind"], []).append(each["spec"])
    return by_kind, said


def rules(found: dict[str, list[Document]]) -> list[Document]:
    return [rule for route in found["Route"] for rule in route["rules"]]
