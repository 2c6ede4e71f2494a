"""SDL: a GraphQL schema that is sound.

In: SDL. Out: a Document, or what is wrong. Called by translate/document. The directive `@http`, which binds a field to
an operation, may be used without being defined.
"""

from __future__ import annotations

from graphql import (
    DirectiveDefinitionNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    build_ast_schema,
    parse,
    validate_schema,
)

from . import Document

HTTP = "directive @http(method: String!, path: String!) on FIELD_DEFINITION"
MOST_TOKENS = 100_000


def read_sdl(text: str) -> Document | str:
    """Returns the document, or what is wrong with it."""
    try:
        schema = _build(text)
    except (GraphQLError, TypeError) as error:
        return _told(error)
    except RecursionError:
        return "The document is nested too deep."
    wrong = validate_schema(schema)
    return _told(wrong[0]) if wrong else Document(text.encode(), schema)


def _build(text: str) -> GraphQLSchema:
    document = parse(text, max_tokens=MOST_TOKENS)
    defined = any(
        isinstance(each, DirectiveDefinitionNode) and each.name.value == "http" for each in document.definitions
    )
    if not defined:
        document = DocumentNode(definitions=(*document.definitions, *parse(HTTP, no_location=True).definitions))
    return build_ast_schema(document)


def _told(error: Exception) -> str:
    places = error.locations if isinstance(error, GraphQLError) else None
    said = error.message if isinstance(error, GraphQLError) else str(error)
    where = f"At line {places[0].line}, column {places[0].column}: " if places is not None and len(places) else ""
    return f"{where}{said[:300]}"
