"""From a model to a structural schema, the kind of OpenAPI schema that CRDs need.

In: a pydantic model. Out: a schema without $ref, anyOf, null and title, with descriptions, defaults, bounds, list types
and CEL rules. Called by crd and reference.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, to_jsonable_python

from fastforward_crds.meta import Model, Rule

Schema = dict[str, Any]

_ORDER = (
    "description",
    "type",
    "format",
    "x-format",
    "x-bounds",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "required",
    "properties",
    "items",
    "x-kubernetes-validations",
)
"""The only keywords that a schema here may have, in the order in which they are written."""


def structural_schema(model: type[BaseModel]) -> Schema:
    """The schema of what the model accepts; raises ValueError for a keyword that structural schemas lack."""
    schema = model.model_json_schema(by_alias=True, schema_generator=_Structural)
    return _inline(schema, schema.get("$defs", {}))


class _Structural(GenerateJsonSchema):
    """Pydantic's generator, with the models' rules and without null: a field that is null is an absent field."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        written = super().model_schema(schema)
        model = schema["cls"]
        if issubclass(model, Model) and model.rules_cel:
            written["x-kubernetes-validations"] = [_validation(rule) for rule in model.rules_cel]
        return written

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        written = super().default_schema(schema)
        # The API server stores what it fills in: an empty list or text would only swell every object.
        if written.get("default", ...) in (None, "", [], {}):
            del written["default"]
        return written

    def encode_default(self, dft: object) -> object:
        return _without_empty(to_jsonable_python(dft, by_alias=True, exclude_none=True))


def _without_empty(value: object) -> object:
    if isinstance(value, dict):
        inner = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ("", [], {})}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _validation(rule: Rule) -> Schema:
    written = {"rule": rule.expression, "message": rule.message}
    return written | {"fieldPath": f".{rule.field}"} if rule.field else written


def _inline(schema: Schema, models: dict[str, Schema]) -> Schema:
    """The schema with every reference replaced by what it refers to; what stands beside a reference wins."""
    if "$ref" in schema:
        target = models[schema["$ref"].removeprefix("#/$defs/")]
        schema = target | {key: value for key, value in schema.items() if key != "$ref"}
    whole = dict(schema)
    if "properties" in whole:
        whole["properties"] = {name: _inline(inner, models) for name, inner in whole["properties"].items()}
    if "items" in whole:
        whole["items"] = _inline(whole["items"], models)
    if "const" in whole:
        # A choice that has one value so far.
        whole["enum"] = [whole.pop("const")]
    for key in ("title", "additionalProperties", "$defs"):
        whole.pop(key, None)
    if "description" in whole:
        whole["description"] = _prose(whole["description"])
    return {key: whole[key] for key in sorted(whole, key=_ORDER.index)}


def _prose(text: str) -> str:
    """The docstring with each paragraph on one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
