"""Schema to `ir.Schema`, and the little of it that rules depend on.

In: a Schema. Out: its IR value and Problems. Called by compile through SCHEMA; Routes read TRAITS, which an edit of a
document leaves as they are.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .reference import is_permitted, target
from .world import SCHEMAS, ref_of


class SchemaTranslation(NamedTuple):
    """A Schema and what is wrong with it; None for one of which no version can be read."""

    schema: ir.Schema | None
    problems: tuple[Problem, ...]


class SchemaTraits(NamedTuple):
    """What a rule that names it must know."""

    format: str
    versions: tuple[str, ...]


def _translate_schema(cells: Cells, name: str) -> SchemaTranslation | None:
    schema = cells.read(SCHEMAS, name)
    if schema is None:
        return None
    spec, on = schema.spec, ref_of("Schema", name)
    versions: list[ir.SchemaVersion] = []
    problems: list[Problem] = []
    for place, version in enumerate(spec.versions):
        field = f"spec.versions[{place}].document"
        document = _read_document(spec.format, version.document)
        if isinstance(document, str):
            problems.append(problem(on, Reason.SCHEMA_INVALID, field, document))
        else:
            versions.append(ir.SchemaVersion(name=version.name, document=document))
    made = ir.Schema(name=name, format=spec.format, versions=tuple(versions)) if versions else None
    return SchemaTranslation(made, tuple(problems))


def _read_document(format_: str, text: str) -> bytes | str:
    """The document as it travels, or what is wrong with it."""
    if format_ != "Protobuf":
        return text.encode()
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        return f"The descriptors are not in base64: {error}."


def _read_traits(cells: Cells, name: str) -> SchemaTraits | None:
    translation = cells.read(SCHEMA, name)
    if translation is None:
        return None
    made = translation.schema
    return SchemaTraits(made.format, tuple(each.name for each in made.versions)) if made else SchemaTraits("", ())


def resolve_schema(
    cells: Cells, on: ObjectRef, field: str, ref: crds.SchemaRef, format_: str, problems: list[Problem]
) -> ir.SchemaRef | None:
    """The version that a rule asks for; None, with a Problem, when there is none of this format."""
    name = target(ref, on.namespace)
    if not is_permitted(cells, kind=on.kind, namespace=on.namespace, to_kind="Schema", to=name):
        message = f"Schema {name} is in another namespace, and no ReferenceGrant there permits it."
        problems.append(problem(on, Reason.REF_NOT_PERMITTED, field, message))
        return None
    traits = cells.read(TRAITS, name)
    if traits is None or not traits.versions:
        problems.append(problem(on, Reason.SCHEMA_NOT_FOUND, field, f"Schema {name} was not found, or is broken."))
        return None
    if traits.format != format_:
        message = f"Schema {name} has the format {traits.format}, and {format_} is needed here."
        problems.append(problem(on, Reason.INVALID, field, message))
        return None
    if ref.version is not None and ref.version not in traits.versions:
        message = f"Schema {name} has no version {ref.version}, only {', '.join(traits.versions)}."
        problems.append(problem(on, Reason.SCHEMA_NOT_FOUND, f"{field}.version", message))
        return None
    return ir.SchemaRef(schema=name, version=ref.version or traits.versions[-1])


SCHEMA: Rule[SchemaTranslation | None] = Rule("schema", _translate_schema, root=True, counted=True)
TRAITS: Rule[SchemaTraits | None] = Rule("schema traits", _read_traits)
