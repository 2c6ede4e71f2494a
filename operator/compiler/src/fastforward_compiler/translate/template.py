"""Path templates: `/users/{user}/orders/{order}` as regular expressions, and paths that are made of what they caught.

In: their text. Out: expressions and substitutions, or what is wrong with the text. Called by rule. Why by expression:
tables, proxies and the decision service know those already, and judge them alike. The words are those of Go's ServeMux:
`{name}` is a part of a segment, `{name...}` is the rest of the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .expression import MAX_REWRITE_PROGRAM, fault_of_regex

SEGMENT = "[^/]+"
REST = ".*"
MOST_CAUGHT = 9
"""A substitution has one digit for a group."""

_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}")


class Template(NamedTuple):
    """What a text says: literals and names by turns."""

    names: tuple[str, ...]
    pattern: str
    """Matches the whole path."""
    catching: str
    """The same, with one group for each name."""


@lru_cache(maxsize=8192)
def parse_template(text: str) -> Template:
    """Reads a template whose syntax is right."""
    names, pattern, catching = [], [], []
    for literal, name, rest in _parts(text):
        pattern.append(re.escape(literal))
        catching.append(re.escape(literal))
        if name:
            names.append(name)
            wanted = REST if rest else SEGMENT
            pattern.append(wanted)
            catching.append(f"({wanted})")
    return Template(tuple(names), "".join(pattern), f"^{''.join(catching)}$")


def fault_of_template(text: str) -> str:
    """What is wrong with a template; empty when nothing is."""
    template = parse_template(text)
    twice = sorted({name for name in template.names if template.names.count(name) > 1})
    if twice:
        return f"it catches {twice[0]} twice"
    return fault_of_regex(template.pattern)


def fault_of_path(template: str, path: str) -> str:
    """What is wrong with a path made of what a template caught; empty when nothing is."""
    caught = parse_template(template)
    unknown = sorted(set(parse_template(path).names) - set(caught.names))
    if unknown:
        known = ", ".join(caught.names) or "nothing"
        return f"the match does not catch {unknown[0]}; it catches {known}"
    if len(caught.names) > MOST_CAUGHT:
        return f"the match catches {len(caught.names)} texts; a rewrite has room for {MOST_CAUGHT}"
    return fault_of_regex(caught.catching, MAX_REWRITE_PROGRAM)


def path_rewrite(template: str, path: str) -> tuple[str, str]:
    r"""The expression and the substitution, with `\1` for the first name of the template."""
    caught = parse_template(template)
    written = []
    for literal, name, _ in _parts(path):
        written.append(literal.replace("\\", r"\\"))
        if name:
            written.append(f"\\{caught.names.index(name) + 1}")
    return caught.catching, "".join(written)


def _parts(text: str) -> Iterator[tuple[str, str, bool]]:
    """Literal, the name that follows (empty at the end), and whether it is the rest of the path."""
    at = 0
    for found in _VARIABLE.finditer(text):
        yield text[at : found.start()], str(found[1]), bool(found[2])
        at = found.end()
    yield text[at:], "", False
