"""Documents of a Schema, checked when they are translated: what is admitted here, every data plane can use.

In: the format and the text of a version. Out: a Document, or a sentence that says what is wrong and where. Called by
translate/schema. The libraries are heavy, and imported when there is a document of their format: `ff` starts at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Document(NamedTuple):
    """A sound document: as it travels, and parsed, for comparison with others of its format."""

    wire: bytes
    parsed: Any
    max_depth: int = 0
    """Of JSON Schema: how deep content may be nested to be judged with bounded work; 0 for no bound."""


def read_document(format_: str, text: str) -> Document | str:
    """Returns the document, or what is wrong with it."""
    match format_:
        case "JSONSchema":
            from .jsonschema import read_json_schema  # noqa: PLC0415

            return read_json_schema(text)
        case "Protobuf":
            from .protobuf import read_descriptors  # noqa: PLC0415

            return read_descriptors(text)
        case _:
            from .graphql import read_sdl  # noqa: PLC0415

            return read_sdl(text)
