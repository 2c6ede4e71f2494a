"""SDL: a GraphQL schema that is sound.

In: SDL. Out: a Document, or what is wrong. Called by translate/document. The directive `@http`, which binds a field to
an operation, may be used without being defined.
"""

from __future__ import annotations

from graphql import (
    DirectiveDefinitionNode,
    DocumentNode,
    GraphQLError,
    build_ast_schema,
    parse,
    validate_schema,
)
from graphql.validation.validate import validate_sdl

from . import Document

HTTP = "directive @http(method: String!, path: String!) on FIELD_DEFINITION"
MOST_TOKENS = 100_000


def read_sdl(text: str) -> Document | str:
    """Returns the document, or what is wrong with it."""
    try:
        document = _parse(text)
        wrong = validate_sdl(document)
        if not wrong:
            schema = build_ast_schema(document, assume_valid_sdl=True)
            wrong = validate_schema(schema)
            if not wrong:
                return Document(text.encode(), schema)
    except GraphQLError as error:
        wrong = [error]
    except RecursionError:
        return "The document is nested too deep."
    return _told(wrong[0])


def _parse(text: str) -> DocumentNode:
    document = parse(text, max_tokens=MOST_TOKENS)
    if any(isinstance(each, DirectiveDefinitionNode) and each.name.value == "http" for each in document.definitions):
        return document
    return DocumentNode(definitions=(*document.definitions, *parse(HTTP, no_location=True).definitions))


def _told(error: GraphQLError) -> str:
    places = error.locations or []
    where = f"At line {places[0].line}, column {places[0].column}: " if len(places) else ""
    return f"{where}{error.message[:300]}"
