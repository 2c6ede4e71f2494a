"""Documents with every field that a schema has, for kinds that are not ours.

In: definitions of kinds (CustomResourceDefinitions). Out: documents. Called by tests of the import.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]
_DEEPEST = 24


def full_documents(definitions: Path) -> Iterator[Document]:
    """A document of each kind and version that is served."""
    for found in yaml.safe_load_all(definitions.read_text()):
        if not found or found.get("kind") != "CustomResourceDefinition":
            continue
        spec = found["spec"]
        version = next((each for each in spec["versions"] if each["name"] == "v1"), spec["versions"][-1])
        schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        yield {
            "apiVersion": f"{spec['group']}/{version['name']}",
            "kind": spec["names"]["kind"],
            "metadata": {"name": "full", "namespace": "shop"},
            "spec": full_value(schema),
        }


def full_value(schema: Document, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """A value with every field; of alternatives the first."""
    if schema.get("x-kubernetes-int-or-string"):
        return 8080
    if "enum" in schema:
        return schema["enum"][0]
    if "default" in schema and schema.get("type") not in ("object", "array"):
        return schema["default"]
    if schema.get("type") == "array":
        return [full_value(schema["items"], depth + 1)]
    scalars: Document = {"integer": max(1, int(schema.get("minimum", 1))), "boolean": True, "string": "text"}
    return scalars.get(schema.get("type", "")) or _full_mapping(schema, depth)


def _full_mapping(schema: Document, depth: int) -> Document:
    assert depth < _DEEPEST
    named = {name: full_value(inner, depth + 1) for name, inner in schema.get("properties", {}).items()}
    more = schema.get("additionalProperties")
    return named or {"key": full_value(more, depth + 1) if isinstance(more, dict) else "value"}


def mappings(value: object) -> Iterator[Document]:
    """Every mapping in a document, the document itself first."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(inner)
