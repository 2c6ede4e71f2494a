"""Traefik's rule language: conditions joined by &&, ||, ! and brackets.

In: the text of a rule. Out: `Case`s, any of which suffices, each with conditions that all hold; or RuleError. Called by
ingressroute. Source: https://doc.traefik.io/traefik/reference/routing-configuration/http/routing/rules-and-priority/
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

_GRAMMAR = r"""
?start: either
?either: both ("||" both)*
?both: one ("&&" one)*
?one: "!" one -> negated
    | "(" either ")"
    | NAME "(" [TEXT ("," TEXT)*] ")" -> matcher
NAME: /[A-Za-z]+/
TEXT: /`[^`]*`/ | /"(\\.|[^"\\])*"/
%import common.WS
%ignore WS
"""
_MOST_CASES = 64
_NAMES = {
    name.lower(): name
    for name in (
        *("Host", "HostRegexp", "Path", "PathPrefix", "PathRegexp", "Method", "Header", "HeaderRegexp"),
        *("Query", "QueryRegexp", "ClientIP", "HostSNI", "HostSNIRegexp", "ALPN", "Headers", "HeadersRegexp"),
    )
}


class RuleError(ValueError):
    """The text is no rule; the message says where."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a request."""

    name: str
    values: tuple[str, ...]
    negated: bool = False

    def __str__(self) -> str:
        listed = ", ".join(f"`{value}`" for value in self.values)
        return f"{'!' if self.negated else ''}{self.name}({listed})"


Case = tuple[Condition, ...]
"""Conditions that all hold."""


def parse_rule(text: str) -> list[Case]:
    """The cases of a rule, without doubles; raises RuleError."""
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        column = error.column if error.column > 0 else len(text) + 1
        raise RuleError(f"The rule can't be read at character {column}.") from None
    try:
        return list(dict.fromkeys(_Cases().transform(tree)))
    except VisitError as error:
        raise RuleError(str(error.orig_exc)) from None


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


class _Cases(Transformer[Token, list[Case]]):
    """Disjunctive normal form, from the leaves up."""

    def matcher(self, parts: list[Token | None]) -> list[Case]:
        head, *texts = [part for part in parts if part is not None]
        name = _NAMES.get(head.lower())
        if name is None:
            raise RuleError(f"The matcher {head} is not known.")
        return [(Condition(name, tuple(_unquoted(text) for text in texts)),)]

    def negated(self, parts: list[list[Case]]) -> list[Case]:
        """Of each case one condition fails."""
        found: list[Case] = [()]
        for case in parts[0]:
            found = _crossed(found, [(Condition(each.name, each.values, not each.negated),) for each in case])
        return found

    def either(self, parts: list[list[Case]]) -> list[Case]:
        return _bounded([case for cases in parts for case in cases])

    def both(self, parts: list[list[Case]]) -> list[Case]:
        found: list[Case] = [()]
        for cases in parts:
            found = _crossed(found, cases)
        return found


def _crossed(some: list[Case], others: list[Case]) -> list[Case]:
    return _bounded([tuple(dict.fromkeys((*one, *other))) for one in some for other in others])


def _bounded(cases: list[Case]) -> list[Case]:
    if len(cases) > _MOST_CASES:
        raise RuleError(f"The rule has more than {_MOST_CASES} cases.")
    return cases


def _unquoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
