"""JSON Schema 2020-12: sound, complete in itself, and of bounded cost for any content.

In: JSON. Out: a Document, or what is wrong. Called by translate/document. Nothing is ever fetched: references lead
within the document. Patterns are regular, so that they take time linear in the text. A schema that would judge one
place of the content many times over, more the deeper it lies, gets a bound on that depth.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import jsonschema_rs
import re2

from . import Document
from .schematree import Schema, Tree, TreeError, pointer_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_DEPTH = 64
"""Of documents, and of content."""
MOST_TIMES = 1000
"""How often one place of the content may be judged."""
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def read_json_schema(text: str) -> Document | str:
    """Returns the document, or what is wrong with it."""
    try:
        schema = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant)
    except json.JSONDecodeError as error:
        return f"The document is no JSON at line {error.lineno}, column {error.colno}: {error.msg}."
    except (ValueError, RecursionError) as error:
        return f"The document is no JSON that can be read: {error}."
    try:
        return _check(schema, text)
    except TreeError as error:
        return str(error)


def _check(schema: Any, text: str) -> Document | str:  # noqa: ANN401 - JSON
    if isinstance(schema, dict) and schema.get("$schema", DIALECT).rstrip("#") != DIALECT:
        return f"At /$schema: only {DIALECT} is known here."
    if _is_deeper(schema):
        return f"The document is nested deeper than {MAX_DEPTH}."
    try:
        jsonschema_rs.meta.validate(schema)
        tree = Tree(schema)
        jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=True,
            retriever=_fetch_nothing,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except jsonschema_rs.ValidationError as error:
        return f"At {pointer_of(error.instance_path) or 'the top'}: {error.message[:300]}."
    for at, each in tree.schemas():
        _check_patterns(at, each)
    max_depth = _bounded_depth(tree)
    if max_depth is None:
        return f"The schema judges one place of the content more than {MOST_TIMES} times: use fewer alternatives."
    return Document(text.encode(), tree, max_depth)


def _check_patterns(at: str, schema: Schema) -> None:
    for text in schema.get("patternProperties", ()):
        try:
            re2.compile(text, _OPTIONS)
        except re2.error as error:
            raise TreeError(
                f"{at}/patternProperties", f"the regular expression {text[:100]!r} is refused: {error}"
            ) from error


def _bounded_depth(tree: Tree) -> int | None:
    """How deep content may lie; 0 for as deep as content may be at all; None when the top is too much already."""
    order = tree.inner_first()
    times: dict[int, int] = {}
    for depth in range(MAX_DEPTH + 1):
        now: dict[int, int] = {}
        for node in order:
            beside = sum(now[id(each)] for each in tree.beside(node))
            below = (
                1
                if not depth
                else sum(max((times[id(each)] for each in group), default=0) for group in tree.below(node))
            )
            now[id(node)] = beside + below
        if now[id(tree.root)] > MOST_TIMES:
            return depth - 1 if depth > 1 else None
        times = {node: min(count, MOST_TIMES + 1) for node, count in now.items()}
    return 0


def _is_deeper(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [each for each in level if isinstance(each, (dict, list))]
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return bool(level)


def _unique(pairs: list[tuple[str, Any]]) -> Schema:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is given twice")
    return made


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON value")


def _fetch_nothing(uri: str) -> NoReturn:
    raise ValueError(f"{uri[:100]} is not in the document, and nothing is fetched")
