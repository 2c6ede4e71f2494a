"""Documents: bounded, parsed, validated and measured once for each text.

In: a document's text. Out: a Document, or the errors in it. Called by execution. What parsing and validation may cost
is bounded before they begin, by size, tokens, brackets and repetition; nothing here looks at variables.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from fastforward_pipeline.reason import Reason
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    parse,
    validate,
)

from .binding import MAX_NESTING
from .errors import refusal
from .measure import Cost, Measure, count_same

MAX_CHARACTERS = 32_768
MAX_TOKENS = 2_000
MAX_DIRECTIVES = 50
MAX_SAME = 50
"""Fields with one name, or fragments, in one selection set: validation compares them with each other."""
_KEPT_CHARACTERS = 4_000_000
_KEPT = 1000
_LARGE = 2_000
"""Characters from which on a document is read in a thread."""
_LEXEMES = re.compile(r'"""(?:\\"""|[^"]|"(?!""))*+(?:"""|\Z)|"(?:\\.|[^"\\\n])*+"?|#[^\n\r]*+|[{}\[\]()@]|[0-9]{300,}')
_STEPS = {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """Fits the schema; `costs` are those of its operations."""

    node: DocumentNode
    operations: dict[str, OperationDefinitionNode]
    costs: dict[str, Cost]

    def operation(self, name: str) -> OperationDefinitionNode | None:
        """Returns the operation of that name, or with an empty one the only one."""
        if name:
            return self.operations.get(name)
        return next(iter(self.operations.values())) if len(self.operations) == 1 else None


class DocumentError(Exception):
    """A document that is not executed; `errors` say why, `reason` in one word."""

    def __init__(self, errors: Sequence[GraphQLError], reason: Reason) -> None:
        super().__init__(str(errors))
        self.errors = tuple(errors)
        self.reason = reason


class Documents:
    """Those of one schema; the longest unused are forgotten."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0
        self._texts: dict[str, str] = {}

    async def get(self, text: str, *, hide: bool) -> Document:
        """Returns the document. Raises DocumentError. `hide` leaves the schema's names out of errors."""
        found = self._kept.get(text)
        if found is not None:
            self._kept.move_to_end(text)
            return found
        if len(text) <= _LARGE:
            made = read_document(self._schema, text, hide=hide)
        else:
            made = await asyncio.to_thread(read_document, self._schema, text, hide=hide)
        self._keep(text, made)
        return made

    def find(self, digest: str) -> str | None:
        """Returns the text with this SHA-256, in hexadecimal digits, if it has been persisted and is still known."""
        return self._texts.get(digest)

    def persist(self, text: str, digest: str) -> None:
        """Remembers a known document by its digest."""
        if text in self._kept:
            self._texts[digest] = text

    def _keep(self, text: str, made: Document) -> None:
        if text not in self._kept:
            self._characters += len(text)
        self._kept[text] = made
        while len(self._kept) > _KEPT or self._characters > _KEPT_CHARACTERS:
            gone, _ = self._kept.popitem(last=False)
            self._characters -= len(gone)
            if self._texts:
                self._texts.pop(digest_of(gone), None)


def digest_of(text: str) -> str:
    """Returns the SHA-256 of a document, as clients that persist it say it."""
    return sha256(text.encode()).hexdigest()


def read_document(schema: GraphQLSchema, text: str, *, hide: bool = False) -> Document:
    """Returns the document of a text. Raises DocumentError."""
    _bound(text)
    try:
        node = parse(text, max_tokens=MAX_TOKENS)
        if count_same(node) > MAX_SAME:
            raise _too_large(f"A name is selected more than {MAX_SAME} times")
        errors = validate(schema, node, max_errors=10, hide_suggestions=hide)
    except GraphQLSyntaxError as error:
        raise DocumentError([error], Reason.QUERY_MALFORMED) from error
    except RecursionError as error:
        raise _too_large("The document is nested too deeply") from error
    if errors:
        raise DocumentError(errors, Reason.QUERY_INVALID)
    try:
        costs = Measure(schema, node).costs
    except RecursionError as error:
        raise _too_large("The document is nested too deeply") from error
    operations = {
        each.name.value if each.name else "": each
        for each in node.definitions
        if isinstance(each, OperationDefinitionNode)
    }
    return Document(node, operations, costs)


def _bound(text: str) -> None:
    """What is told without parsing: the parser calls itself for each bracket."""
    if len(text) > MAX_CHARACTERS:
        raise _too_large(f"The document has more than {MAX_CHARACTERS} characters")
    depth = directives = 0
    for found in _LEXEMES.finditer(text):
        lexeme = found[0]
        depth += _STEPS.get(lexeme, 0)
        directives += lexeme == "@"
        if depth > 2 * MAX_NESTING:
            raise _too_large("The document is nested too deeply")
        if lexeme[0].isdigit():
            raise _too_large("A number has too many digits")
    if directives > MAX_DIRECTIVES:
        raise _too_large(f"The document has more than {MAX_DIRECTIVES} directives")


def _too_large(detail: str) -> DocumentError:
    return DocumentError([refusal(Reason.DOCUMENT_TOO_LARGE, detail)], Reason.DOCUMENT_TOO_LARGE)
