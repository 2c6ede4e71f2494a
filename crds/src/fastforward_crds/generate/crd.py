"""From a kind to its CustomResourceDefinition (apiextensions.k8s.io/v1).

In: a row of the registry. Out: the definition as a document, and as YAML. Called by the generator's command.
"""

from __future__ import annotations

import inspect
from typing import Any

import yaml
from pydantic import BaseModel

from fastforward_crds.durations import BOUNDS_KEY
from fastforward_crds.formats import FORMAT_KEY, NAME
from fastforward_crds.meta import BUNDLE, GROUP, VERSION
from fastforward_crds.registry import Kind
from fastforward_crds.status import Status

from . import NOTICE
from .schema import Schema, structural_schema

UNSEEN = -1
"""What tools read as an object that nobody has dealt with yet. Without a status they would take it for done."""
_PROGRAMMED = '.status.conditions[?(@.type=="Programmed")]'


def write_definition(kind: Kind) -> str:
    """The definition as YAML."""
    return f"# {NOTICE}\n" + yaml.safe_dump(definition(kind), sort_keys=False, width=120, allow_unicode=True)


def definition(kind: Kind) -> dict[str, Any]:
    """The definition as a document."""
    names = {
        "categories": ["fastforward"],
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "shortNames": list(kind.short),
        "singular": kind.noun,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "annotations": {f"{GROUP}/bundle-version": BUNDLE}},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [_version(kind)]},
    }


def document_schema(kind: Kind) -> Schema:
    """The schema of whole documents, with the name of each text's format."""
    spec = kind.model.model_fields["spec"]
    if not (isinstance(spec.annotation, type) and issubclass(spec.annotation, BaseModel)):
        raise TypeError(f"The spec of {kind.name} is no model.")
    return {
        "description": inspect.cleandoc(kind.model.__doc__ or ""),
        "type": "object",
        "required": ["metadata", "spec"] if spec.is_required() else ["metadata"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": NAME.max_length, "pattern": NAME.pattern}},
            },
            "spec": structural_schema(spec.annotation),
            "status": {**structural_schema(Status), "default": {"observedGeneration": UNSEEN}},
        },
    }


def _version(kind: Kind) -> dict[str, Any]:
    schema = document_schema(kind)
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": _columns(kind, schema),
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": _without_own_keywords(schema)},
    }


def _columns(kind: Kind, schema: Schema) -> list[dict[str, str]]:
    own = [{"name": title, "type": _type_at(path, schema), "jsonPath": path} for title, path in kind.columns]
    return [
        *own,
        {"name": "Programmed", "type": "string", "jsonPath": f"{_PROGRAMMED}.status"},
        {"name": "Reason", "type": "string", "jsonPath": f"{_PROGRAMMED}.reason"},
        {"name": "Proxies", "type": "string", "jsonPath": ".status.proxies"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


def _type_at(path: str, schema: Schema) -> str:
    """The column type at a path; lists are shown as text. Raises KeyError for a path that leads nowhere."""
    for part in path.strip(".").split("."):
        schema = schema["properties"][part]
    return schema["type"] if schema["type"] in ("integer", "boolean", "number") else "string"


def _without_own_keywords(schema: Schema) -> Schema:
    """The schema without what only the reference reads, and the API server refuses."""
    bare = {key: value for key, value in schema.items() if key not in (FORMAT_KEY, BOUNDS_KEY)}
    if "properties" in bare:
        bare["properties"] = {name: _without_own_keywords(inner) for name, inner in bare["properties"].items()}
    if "items" in bare:
        bare["items"] = _without_own_keywords(bare["items"])
    return bare
