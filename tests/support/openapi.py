"""What an API server says its kinds look like, as the files that kubeconform reads.

In: a running API server. Out: a JSON schema a kind, complete in itself and strict: a field that the kind has not is an
error. Called by the test of the charts. Why: kubeconform's own schemas are fetched from the internet.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.cluster.kubectl import Kubectl

KIND = "x-kubernetes-group-version-kind"
REFERENCE = "#/components/schemas/"
LOCATION = "{{.Group}}-{{.ResourceAPIVersion}}-{{.ResourceKind}}.json"
"""How kubeconform finds the file of a kind; it takes the version of the core group for its name, too."""

Schema = dict[str, Any]


def write_schemas(kubectl: Kubectl, folder: Path) -> None:
    """Writes the schemas of all kinds that the API server serves."""
    paths = json.loads(kubectl("get", "--raw", "/openapi/v3"))["paths"]
    for path, told in paths.items():
        if path.count("/") >= (1 if path.startswith("api/") else 2):
            document = json.loads(kubectl("get", "--raw", told["serverRelativeURL"]))
            write_group(document.get("components", {}).get("schemas", {}), folder)


def write_group(schemas: dict[str, Schema], folder: Path) -> None:
    """Writes those of one group and version."""
    definitions = {name: strict(schema) for name, schema in schemas.items()}
    for name, schema in schemas.items():
        for kind in schema.get(KIND, ()):
            path = folder / f"{kind['group'] or kind['version']}-{kind['version']}-{kind['kind'].lower()}.json"
            whole = {"$ref": f"#/definitions/{name}", "definitions": definitions}
            path.write_text(json.dumps(whole))


def strict(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """The schema, or a part of it, that takes no field but its own."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items() if key not in {"default", "properties"}}
    if isinstance(made.get("$ref"), str):
        made["$ref"] = made["$ref"].replace(REFERENCE, "#/definitions/")
    if "properties" in schema:
        # Names of fields are no keywords, whatever they are.
        made["properties"] = {name: strict(inner) for name, inner in schema["properties"].items()}
        is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
        if not is_open:
            made["additionalProperties"] = False
    return made
