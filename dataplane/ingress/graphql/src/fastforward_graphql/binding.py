"""What a field would be in HTTP: the directive `@http`, and the check of a whole SDL.

In: SDL, of a Schema. Out: a graphql-core schema with the bindings of its fields; the sentences that say what is wrong.
Called by schema when a version is first needed. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    build_ast_schema,
    get_directive_values,
    is_leaf_type,
    is_object_type,
    parse,
    validate_schema,
)
from graphql.language import DirectiveDefinitionNode

_DIRECTIVE = parse(
    'directive @http(method: String!, path: String!, batch: String, key: String = "id") on FIELD_DEFINITION'
)
_METHODS = frozenset({"GET", "DELETE", "POST", "PUT", "PATCH"})
_IN_QUERY = frozenset({"GET", "DELETE"})
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|\{[_A-Za-z][_0-9A-Za-z]*\})*)+")
_NAME = re.compile(r"\{([_A-Za-z][_0-9A-Za-z]*)\}")
_LAST = re.compile(r"(.+)/\{([_A-Za-z][_0-9A-Za-z]*)\}")
MAX_NESTING = 100
"""Brackets within brackets, in SDL and in documents: the parser calls itself for each."""


Fields = dict[tuple[str, str], "Binding"]


class SchemaError(Exception):
    """SDL that can't be served; `problems` are sentences."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Binding:
    """A field's operation. `parts` are what the path is made of: text and names, in turn."""

    method: str
    parts: tuple[str, ...]
    batch: Batch | None = None
    in_path: frozenset[str] = frozenset()
    from_parent: frozenset[str] = frozenset()
    """Names in the path that no argument fills."""

    @property
    def in_query(self) -> bool:
        """Whether arguments go into the query, and not into a body."""
        return self.method in _IN_QUERY


@dataclass(frozen=True, slots=True)
class Batch:
    """Many keys in one request: `PATH?PARAMETER=a,b`, whose reply's elements tell their key in the field `key`."""

    path: str
    parameter: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A schema whose fields are bound, by their type's name and their own."""

    schema: GraphQLSchema
    fields: Fields


def bind(sdl: str) -> Bound:
    """Returns the schema of SDL. Raises SchemaError with everything that is wrong."""
    try:
        schema = _build(sdl)
    except (GraphQLError, TypeError, ValueError) as error:
        raise SchemaError((str(error),)) from error
    except RecursionError as error:
        raise SchemaError(("The types are nested too deeply.",)) from error
    wrong = [error.message for error in validate_schema(schema)]
    fields: Fields = {}
    for type_ in schema.type_map.values():
        if is_object_type(type_) and not type_.name.startswith("__"):
            wrong.extend(_bind_type(schema, type_, fields))
    if wrong:
        raise SchemaError(tuple(wrong))
    return Bound(schema, fields)


def _build(sdl: str) -> GraphQLSchema:
    document = parse(sdl, no_location=True)
    own = any(isinstance(each, DirectiveDefinitionNode) and each.name.value == "http" for each in document.definitions)
    definitions = document.definitions if own else (*document.definitions, *_DIRECTIVE.definitions)
    return build_ast_schema(DocumentNode(definitions=tuple(definitions)))


def _bind_type(schema: GraphQLSchema, type_: GraphQLObjectType, fields: Fields) -> list[str]:
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    root = type_ in roots
    wrong: list[str] = []
    for name, field in type_.fields.items():
        place = f"{type_.name}.{name}"
        told = _read_directive(schema, field)
        if told is not None:
            made = _bind_field(type_, field, told, root=root)
            if isinstance(made, str):
                wrong.append(f"{place}: {made}")
            else:
                fields[type_.name, name] = made
        elif root:
            wrong.append(f"{place} has no @http: nobody would answer it.")
    return wrong


def _read_directive(schema: GraphQLSchema, field: GraphQLField) -> dict[str, Any] | None:
    directive = schema.get_directive("http")
    if directive is None or field.ast_node is None:
        return None
    return get_directive_values(directive, field.ast_node)


def _bind_field(type_: GraphQLObjectType, field: GraphQLField, told: dict[str, Any], *, root: bool) -> Binding | str:
    method, path = str(told.get("method")), str(told.get("path"))
    if method not in _METHODS:
        return f"@http has the method {method}, which is none of {', '.join(sorted(_METHODS))}."
    if not _PATH.fullmatch(path):
        return f"@http has the path {path}, which is none: it begins with a slash, and names are in braces."
    parts = tuple(_NAME.split(path))
    names = parts[1::2]
    missing = [name for name in names if name not in field.args and (root or not _is_leaf(type_, name))]
    if missing:
        whence = "an argument" if root else "an argument or a plain field beside it"
        return f"@http has {{{missing[0]}}} in its path, which is not {whence}."
    made = Binding(
        method=method,
        parts=parts,
        in_path=frozenset(names),
        from_parent=frozenset(name for name in names if name not in field.args),
    )
    if told.get("batch") is None:
        return made
    return _with_batch(made, path, str(told["batch"]), str(told.get("key") or "id"))


def _with_batch(made: Binding, path: str, parameter: str, key: str) -> Binding | str:
    last = _LAST.fullmatch(path)
    if made.method != "GET" or last is None or len(made.parts) != 3:
        return "@http has a batch, so it is a GET whose path ends in the one name that it has: /books/{id}."
    batch = Batch(last[1], parameter, last[2], key)
    return Binding(
        method=made.method, parts=made.parts, in_path=made.in_path, from_parent=made.from_parent, batch=batch
    )


def _is_leaf(type_: GraphQLObjectType, name: str) -> bool:
    field = type_.fields.get(name)
    inner = None if field is None else getattr(field.type, "of_type", field.type)
    return inner is not None and is_leaf_type(inner)
