"""Schema to `ir.Schema`, and the little of it that rules depend on.

In: a Schema. Out: its IR value and Problems. Called by compile through SCHEMA; Routes read TRAITS, which an edit of a
document leaves as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .compatibility import find_breaks, tell
from .document import Document, read_document
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
    newest: tuple[str, Document] | None = None
    for place, version in enumerate(spec.versions):
        field = f"spec.versions[{place}].document"
        document = read_document(spec.format, version.document)
        if isinstance(document, str):
            problems.append(problem(on, Reason.SCHEMA_INVALID, field, document))
            continue
        breaks = find_breaks(spec.format, spec.compatibility, newest[1].parsed, document.parsed) if newest else []
        if newest and breaks:
            message = f"Version {version.name} does not fit version {newest[0]}. {tell(breaks)}"
            problems.append(problem(on, Reason.SCHEMA_INCOMPATIBLE, field, message))
            continue
        newest = version.name, document
        made = ir.SchemaVersion(name=version.name, document=document.wire, max_depth=document.max_depth)
        versions.append(made)
    whole = ir.Schema(name=name, format=spec.format, versions=tuple(versions)) if versions else None
    return SchemaTranslation(whole, tuple(problems))


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
