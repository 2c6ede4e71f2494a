r"""Regular expressions (RE2) that are to stand inside others: as a path that something follows, a method in a path.

In: an expression for a whole text. Out: one that matches the same texts wherever it stands. Called by translate for
paths, by emit/envoy for query parameters. Why it exists: `^` and `$` ask for the ends of all that is looked at, which
a part of it has not; and a `\Q` goes on to the end of whatever it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

import re2

NOTHING = r"[^\x00-\xff]"
"""Matches no text at all."""

_CLASS = r"\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]"
TOKEN = re.compile(
    rf"""(?P<quoted>\\Q.*?(?:\\E|\Z))
       | (?P<several>\\[pP](?:\{{\^?\w+\}}|\w)|\\[dDwWsSC]|{_CLASS}|\.)
       | (?P<number>\\x\{{[0-9A-Fa-f]+\}}|\\x[0-9A-Fa-f]{{2}}|\\[0-7]{{1,3}})
       | (?P<begin>\\A|\^)
       | (?P<end>\\z|\$)
       | (?P<one>\\.|&)
       | (?P<flags>\(\?[A-Za-z-]+\))
       | (?P<open>\((?:\?P?<\w+>|\?[A-Za-z-]*:)?)
       | (?P<close>\))
       | (?P<choice>\|)
       | (?P<maybe>\?)
       | (?P<rest>.)""",
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=4096)
def inside(expression: str) -> str:
    """The expression to stand inside another one, if RE2 takes it; one that `fault_inside` refuses may match less."""
    return "".join(_inside(kind, text, idle) for kind, text, idle in _tokens(expression))


def fault_inside(expression: str) -> str:
    """What keeps an expression that RE2 takes from standing inside another one; empty when nothing does."""
    for kind, text, idle in _tokens(expression):
        if kind in {"begin", "end"} and not idle:
            return f"{text} stands elsewhere than at {'its beginning' if kind == 'begin' else 'its end'}"
    return ""


def _inside(kind: str, text: str, idle: bool) -> str:
    if kind == "quoted":
        return re2.escape(text.removeprefix(r"\Q").removesuffix(r"\E"))
    if kind in {"begin", "end"}:
        return "(?:)" if idle else NOTHING
    return text


def _tokens(expression: str) -> Iterable[tuple[str, str, bool]]:
    """Kind, text, and whether it is an anchor at an end of the text, which asks for nothing."""
    tokens = list(TOKEN.finditer(expression))
    texts = [token.group() for token in tokens]
    kinds = [token.lastgroup or "" for token in tokens]
    repeated = {place for place, text in enumerate([*texts[1:], ""]) if text in {"*", "+", "{"}}
    groups = _repeated_groups(kinds, repeated)
    places = range(len(kinds))
    idle = {*_at_edge(kinds, places, "begin", groups), *_at_edge(kinds, reversed(places), "end", groups)}
    idle -= {place - 1 for place, kind in enumerate(kinds) if kind == "maybe"} | repeated
    return ((kind, text, place in idle) for place, (kind, text) in enumerate(zip(kinds, texts, strict=True)))


def _repeated_groups(kinds: Sequence[str], repeated: Collection[int]) -> set[int]:
    """Places of the parentheses, both of each, of groups that may come more than once."""
    opened: list[int] = []
    found: set[int] = set()
    for place, kind in enumerate(kinds):
        if kind == "open":
            opened.append(place)
        elif kind == "close" and opened:
            began = opened.pop()
            found |= {began, place} if place in repeated else set()
    return found


def _at_edge(kinds: Sequence[str], order: Iterable[int], anchor: str, repeated: Collection[int]) -> Iterable[int]:
    """Places of the anchors between which and their edge of the text, in this order, nothing can be."""
    entering, leaving = ("open", "close") if anchor == "begin" else ("close", "open")
    at_edge = True
    outer: list[bool] = []
    for place in order:
        kind = kinds[place]
        if kind == anchor and at_edge:
            yield place
        elif kind == entering:
            at_edge = at_edge and place not in repeated
            outer.append(at_edge)
        elif kind == leaving and outer:
            outer.pop()
            at_edge = False
        elif kind == "choice":
            at_edge = outer[-1] if outer else True
        elif kind not in {"flags", "maybe"}:
            at_edge = False
