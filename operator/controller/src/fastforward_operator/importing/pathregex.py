r"""Paths as regular expressions: what ingress-nginx takes by them, and what those begin with that are written.

In: paths of Ingresses. Out: expressions on the whole path, in RE2's syntax, without `^` and `$` in their midst, which
no path of a Route may have. Called by ingress; ordering asks what an expression begins with. Source:
https://kubernetes.github.io/ingress-nginx/user-guide/ingress-path-matching/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from fastforward_compiler.regex import TOKEN
from fastforward_compiler.translate.expression import fault_of_regex, fault_of_substitution

from .reading import Field, Item

_ANY_CASE = "(?i)"
_LITERAL = re.compile(r"(?:(?:\\\W|[^\\.+*?()|\[\]{}^$])(?![?*+{]))*")
_OR_END = re.compile(r"(?P<head>.*)(?P<open>\((?:\?:)?)(?P<others>[^()]*\$[^()]*)\)(?P<rest>.*)", re.DOTALL)
_DOLLAR = re.compile(r"\$(\d)")
PREFIX = "nginx.ingress.kubernetes.io/"


@dataclass(slots=True)
class RegexHost:
    """A host of which ingress-nginx takes every path, of whatever Ingress, as an expression, the longest first."""

    texts: set[str] = field(default_factory=set)
    exact: set[str] = field(default_factory=set)

    def locations(self, written: str, kind: str, *, own: bool) -> list[str]:
        """The expressions that it makes of one path; `own` when the path's Ingress itself asks for expressions.

        A prefix of another Ingress is two, with a slash at its end and without: one, where nothing comes between them.
        """
        if own or kind != "Prefix" or written.endswith("/"):
            return [written]
        below = f"{written}/"
        if written in self.exact:
            return [below]
        apart = any(location_order(written) < location_order(text) < location_order(below) for text in self.texts)
        return [below, written] if apart else [written]


def find_regex_hosts(ingresses: Iterable[Item]) -> dict[str, RegexHost]:
    """One Ingress that asks for expressions, or rewrites paths, is enough for all Ingresses of a host."""
    hosts: dict[str, RegexHost] = {}
    asking: set[str] = set()
    for item in ingresses:
        annotations = dict(item.annotations(PREFIX))
        if _is_set(annotations, "canary"):
            continue
        for host, written, kind in paths_of(item):
            found = hosts.setdefault(host, RegexHost())
            own = asks_for_regex(annotations, written)
            if own:
                asking.add(host)
            if kind == "Exact":
                found.exact.add(written)
            split = kind == "Prefix" and not own and not written.endswith("/")
            found.texts |= {written, f"{written}/"} if split else {written}
    return {host: found for host, found in hosts.items() if host in asking}


def asks_for_regex(annotations: dict[str, Field], written: str) -> bool:
    """Whether a path of an Ingress is an expression by its own annotations; its own path as target rewrites nothing."""
    target = annotations.get("rewrite-target")
    return _is_set(annotations, "use-regex") or (target is not None and str(target.raw) not in ("", written))


def _is_set(annotations: dict[str, Field], name: str) -> bool:
    """Without a note."""
    return name in annotations and annotations[name].raw in (True, "true", "True")


def paths_of(item: Item) -> Iterator[tuple[str, str, str]]:
    """Host, path and type of each, without a note."""
    for rule in items_of(item.spec["rules"]):
        for path in items_of(rule["http"]["paths"]):
            yield str(rule["host"].raw or "").lower(), str(path["path"].raw or "/"), str(path["pathType"].raw)


def items_of(found: Field) -> Iterator[Field]:
    """Of a list, without a note if it is none."""
    if isinstance(found.raw, list):
        yield from found.each()


def location_order(text: str) -> tuple[int, ...]:
    """Greater comes first: the longer, and of the same length the one that sorts last."""
    written = text.encode()
    return (len(written), *written)


def location_regex(written: str) -> str:
    """What nginx takes by `location ~* "^WRITTEN"`, as an expression on the whole path.

    It begins the path, and ends anywhere; but of alternatives only the first has to begin it.
    """
    made = [_alternative(text, anchored=not place) for place, text in enumerate(alternatives(written))]
    return f"{_ANY_CASE}{made[0]}" if len(made) == 1 else f"{_ANY_CASE}(?:{'|'.join(made)})"


def search_regex(written: str) -> str:
    """What an expression takes that may fit anywhere, as an expression on the whole path."""
    made = [_alternative(text, anchored=False) for text in alternatives(written)]
    return made[0] if len(made) == 1 else f"(?:{'|'.join(made)})"


def rewrite_regex(written: str) -> str:
    """The whole of a path that the location takes, with the groups that the text has."""
    several = len(alternatives(written)) > 1
    return f"^{_ANY_CASE}.*?(?:{written}).*$" if several else f"^{_ANY_CASE}{written.removeprefix('^')}.*$"


def substitute_groups(expression: str, target: str) -> str:
    r"""What takes a path's place: `$1` as `\1`; a group that the expression has not is empty, as nginx has it."""

    def group(found: re.Match[str]) -> str:
        asked = f"\\{found[1]}"
        return "" if fault_of_regex(expression) or fault_of_substitution(expression, asked) else asked

    return _DOLLAR.sub(group, target.replace("\\", r"\\"))


def has_anchor(expression: str) -> bool:
    """Whether it asks for a beginning or an end in its midst."""
    return any(token.lastgroup in ("begin", "end") for token in TOKEN.finditer(expression))


def alternatives(expression: str) -> list[str]:
    """Its parts between the `|` that stand in no group."""
    found, depth = [""], 0
    for token in TOKEN.finditer(expression):
        depth += {"open": 1, "close": -1}.get(token.lastgroup or "", 0)
        if token.lastgroup == "choice" and not depth:
            found.append("")
        else:
            found[-1] += token.group()
    return found


@lru_cache(maxsize=4096)
def literal_head(expression: str) -> str:
    """What all that it matches begins with, in small letters; empty where that is not plain to see."""
    text = expression.removeprefix(_ANY_CASE)
    found = _LITERAL.match(text) if len(alternatives(text)) == 1 else None
    return re.sub(r"\\(.)", r"\1", found[0]).lower() if found is not None else ""


def _alternative(text: str, *, anchored: bool) -> str:
    begin = "" if anchored or text.startswith("^") else ".*"
    text = text.removeprefix("^")
    *_, last = ("", *(token.group() for token in TOKEN.finditer(text)))
    if last == "$":
        return f"{begin}{text[:-1]}"
    return begin + (_or_end(text) or f"{text}.*")


def _or_end(text: str) -> str:
    """Of `/a(/|$)(.*)`, whose `$` can be no part of a path: `/a`, or what goes on with one of the others."""
    found = _OR_END.fullmatch(text)
    others = found["others"].split("|") if found is not None else []
    if (
        found is None
        or "$" not in others
        or has_anchor(found["head"] + found["rest"])
        or not _may_be_empty(found["rest"])
    ):
        return ""
    others.remove("$")
    if not others or has_anchor("|".join(others)):
        return ""
    end = "" if found["rest"].endswith((".*", "(.*)")) else ".*"
    return f"{found['head']}(?:{found['open']}{'|'.join(others)}){found['rest']}{end})?"


def _may_be_empty(rest: str) -> bool:
    return rest in ("", ".*", "(.*)", "(.*)?", "?(.*)", "(?:.*)")
