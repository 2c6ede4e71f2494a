"""One JSON Schema (draft-07) of all kinds, by which editors complete documents and mark what is wrong.

In: the registry. Out: the schema as JSON. Called by the generator's command. It says what the CRDs say, but their CEL
rules, and that a field which is not known is wrong: the API server would drop it.
"""

from __future__ import annotations

import json
from typing import Any

from fastforward_crds.meta import API_VERSION
from fastforward_crds.registry import KINDS

from .crd import document_schema
from .schema import Schema

_KEYWORDS = frozenset(
    {
        "description",
        "type",
        "enum",
        "default",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
        "minItems",
        "maxItems",
        "required",
        "properties",
        "items",
    }
)


def write_editor_schema() -> str:
    """The schema as JSON."""
    return json.dumps(editor_schema(), indent=1, ensure_ascii=False) + "\n"


def editor_schema() -> dict[str, Any]:
    """The schema; documents of other groups are let pass, for files mix them."""
    ours = {"properties": {"apiVersion": {"const": API_VERSION}}, "required": ["apiVersion"]}
    names = [kind.name for kind in KINDS]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "FastForward",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}},
        "allOf": [
            {"if": ours, "then": {"properties": {"kind": {"enum": names}}}},
            *(
                {
                    "if": {
                        "properties": {"apiVersion": {"const": API_VERSION}, "kind": {"const": name}},
                        "required": ["apiVersion", "kind"],
                    },
                    "then": {"$ref": f"#/definitions/{name}"},
                }
                for name in names
            ),
        ],
        "definitions": {kind.name: _document(document_schema(kind)) for kind in KINDS},
    }


def _document(schema: Schema) -> Schema:
    strict = _strict(schema)
    # Labels, annotations and the rest are Kubernetes' own business.
    strict["properties"]["metadata"].pop("additionalProperties")
    strict["properties"]["metadata"]["required"] = ["name"]
    strict["properties"]["status"] = {"type": "object"}
    return strict


def _strict(schema: Schema) -> Schema:
    """The schema in words of draft-07, with no place for unknown fields."""
    written = {key: value for key, value in schema.items() if key in _KEYWORDS}
    if "properties" in written:
        written["properties"] = {name: _strict(inner) for name, inner in written["properties"].items()}
        written["additionalProperties"] = False
    if "items" in written:
        written["items"] = _strict(written["items"])
    if schema.get("x-kubernetes-list-type") == "set":
        written["uniqueItems"] = True
    return written
