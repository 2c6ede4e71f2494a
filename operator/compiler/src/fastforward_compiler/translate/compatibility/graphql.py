"""Whether operations written for one GraphQL schema hold by another. Called by translate/compatibility."""

from __future__ import annotations

from graphql import GraphQLSchema, find_breaking_changes


def compare_sdl(reader: GraphQLSchema, writer: GraphQLSchema) -> list[str]:
    """Returns what operations that the writer's schema allows do not find in the reader's."""
    return [f"{change.description.rstrip('.')}." for change in find_breaking_changes(writer, reader)]
