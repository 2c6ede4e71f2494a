"""Every field that the kinds have is known to the import, and one that nobody knows is told as well."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastforward_operator.importing import Verdict, import_files
from fastforward_operator.importing.nginx import PREFIX
from fastforward_operator.importing.reading import UNKNOWN

from support import traefik
from support.conformance.preparation import module
from support.foreign_schemas import Document, full_documents, mappings

SERVICE = {"name": "web", "port": {"number": 80, "name": "http"}}
BACKEND = {"service": SERVICE, "resource": {"apiGroup": "x", "kind": "Bucket", "name": "y"}}
INGRESS: Document = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {
        "name": "full",
        "namespace": "shop",
        "labels": {"a": "b"},
        "annotations": {"kubernetes.io/ingress.class": "nginx", "kubectl.kubernetes.io/last": "{}"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "uid": "x",
    },
    "spec": {
        "ingressClassName": "nginx",
        "defaultBackend": BACKEND,
        "tls": [{"hosts": ["a.test"], "secretName": "tls"}],
        "rules": [{"host": "a.test", "http": {"paths": [{"path": "/a", "pathType": "Prefix", "backend": BACKEND}]}}],
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
}
OF_BOTH = {"service.port.name", "resource.apiGroup", "resource.kind", "resource.name"}
"""Of a backend only one of the two is there, and of a port either the number or the name."""
GATEWAY_KINDS = ("gateways", "httproutes", "grpcroutes", "listenersets", "referencegrants", "backendtlspolicies")
FILTERS = {
    "requestHeaderModifier": "RequestHeaderModifier",
    "responseHeaderModifier": "ResponseHeaderModifier",
    "requestMirror": "RequestMirror",
    "requestRedirect": "RequestRedirect",
    "urlRewrite": "URLRewrite",
    "cors": "CORS",
    "extensionRef": "ExtensionRef",
    "externalAuth": "ExternalAuth",
}
PARENT: Document = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "text", "namespace": "text"},
    "spec": {
        "listeners": [
            {"name": "text", "port": 1, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
        ],
        "allowedListeners": {"namespaces": {"from": "All"}},
    },
}
"""What a schema's full document refers to."""
FOREIGN = "neverHeardOf"
FREE = ("customRequestHeaders", "customResponseHeaders")


def kinds() -> Iterator[Document]:
    yield INGRESS
    yield from full_documents(traefik.definitions())
    folder = module("sigs.k8s.io/gateway-api") / "config/crd/experimental"
    for plural in GATEWAY_KINDS:
        yield from full_documents(folder / f"gateway.networking.k8s.io_{plural}.yaml")
    yield from full_documents(folder / "gateway.networking.x-k8s.io_xbackendtrafficpolicies.yaml")


DOCUMENTS = [
    document
    for found in kinds()
    for document in (
        # A middleware has one of its parts, and so has a TraefikService.
        [{**found, "spec": {part: value}} for part, value in found["spec"].items()]
        if found["kind"] in ("Middleware", "TraefikService")
        else [found]
    )
]
NAMES = [f"{each['kind']}-{next(iter(each['spec']))}" for each in DOCUMENTS]


def read(tmp_path: Path, *documents: Document) -> dict[str, tuple[Verdict, str]]:
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents))
    return {note.field: (note.verdict, note.message) for note in import_files([tmp_path / "all.yaml"]).notes}


def users(document: Document) -> list[Document]:
    """What refers to a kind that means nothing alone."""
    names = {"name": "full", "namespace": "shop"}
    route: dict[str, Any] = {"match": "Host(`a.test`)", "kind": "Rule", "services": [{"name": "web", "port": 80}]}
    spec: dict[str, Any] = {"routes": [route]}
    match document["kind"]:
        case "Middleware":
            route["middlewares"] = [names]
        case "TraefikService":
            route["services"] = [{**names, "kind": "TraefikService"}]
        case "TLSOption":
            spec["tls"] = {"options": names}
        case "HTTPRoute" | "GRPCRoute" | "ListenerSet":
            return [PARENT]
        case "BackendTLSPolicy" | "XBackendTrafficPolicy":
            refs = [{"name": "text", "namespace": "text", "port": 1}]
            attached = {"parentRefs": [{"name": "text"}], "rules": [{"backendRefs": refs[:1]}]}
            attached["rules"][0]["backendRefs"][0].pop("namespace")
            metadata = {"name": "full", "namespace": "shop"}
            made = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata}
            return [{**made, "spec": {**attached, "parentRefs": [{"name": "text", "namespace": "text"}]}}, PARENT]
        case _:
            return []
    return [{"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": names, "spec": spec}]


def fit(document: Document) -> Document:
    """The document with values that fit each other where a field else would never be looked at."""
    made = copy.deepcopy(document)
    for found in mappings(made):
        fit_mapping(found)
    if made["kind"] == "Gateway":
        made["spec"]["tls"].pop("frontend")
    if made["kind"] == "XBackendTrafficPolicy":
        made["spec"]["targetRefs"][0].update({"group": "", "kind": "Service"})
    return made


def fit_mapping(found: Document) -> None:
    if "match" in found and "services" in found:
        found["match"] = "Host(`a.test`)"
    if "protocol" in found and "allowedRoutes" in found:
        found["protocol"] = "HTTPS"
        found["tls"]["mode"] = "Terminate"
    if "kind" in found and "port" in found and "weight" in found:
        found.update({"group": "", "kind": "Service"} if "group" in found else {"kind": "Service"})
    if "requestHeaderModifier" in found.get("filters", [{}])[0]:
        full = found["filters"][0]
        found["filters"] = [{"type": kind, part: full[part]} for part, kind in FILTERS.items() if part in full]
    if isinstance(found.get("path"), dict) and "replaceFullPath" in found["path"]:
        found["path"].pop("replacePrefixMatch")


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_no_field_of_the_schema_is_unknown(tmp_path: Path, document: Document) -> None:
    notes = read(tmp_path, fit(document), *users(document))
    unknown = [field for field, (_, message) in notes.items() if message == UNKNOWN]
    assert [field for field in unknown if not field.endswith(tuple(OF_BOTH))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_a_field_that_nobody_knows_is_told_wherever_it_stands(tmp_path: Path, document: Document) -> None:
    changed = fit(document)
    for target in list(mappings(changed)):
        target[FOREIGN] = "text"
    notes = read(tmp_path, changed, *users(document))
    silent = [path for path in places(changed) if not is_told(path, notes)]
    assert silent == []


def places(value: object, path: str = "") -> Iterator[str]:
    """Where the foreign fields are."""
    if isinstance(value, dict):
        for key, inner in value.items():
            own = f"{path}.{key}" if path else key
            if key == FOREIGN:
                yield str(own)
            else:
                yield from places(inner, str(own))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, f"{path}[{index}]")


def is_told(path: str, notes: dict[str, tuple[Verdict, str]]) -> bool:
    """Whether it is told that the field is not taken; the names in some mappings are whatever users want."""
    if path.rpartition(".")[0].endswith(FREE):
        return path in notes
    above = [path[:end] for end in range(len(path)) if path[end] in ".["]
    verdicts = [notes[each][0] for each in ("", *above, path) if each in notes]
    return verdicts != [] and Verdict.TAKEN not in verdicts


def test_annotations_that_are_not_known_are_told(tmp_path: Path) -> None:
    document = copy.deepcopy(INGRESS)
    document["metadata"]["annotations"] |= {f"{PREFIX}never-heard-of": "x", "example.com/never": "y"}
    notes = read(tmp_path, document)
    assert notes[f"metadata.annotations.{PREFIX}never-heard-of"][0] is Verdict.LOST
    assert notes["metadata.annotations.example.com/never"][0] is Verdict.LOST
