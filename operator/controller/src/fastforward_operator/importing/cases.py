"""One case of a Traefik rule to hosts and a match.

In: conditions that all hold. Out: `Asked`. Called by ingressroute. Every condition either becomes part of the match, or
the case is told to have no equivalent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from .draft import Document, methods_but
from .pathregex import has_anchor, search_regex
from .traefikrule import Case, Condition
from .wishes import prefix_paths, regex_fault

_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_ANY_BELOW = re.compile(
    r"\^?(?:\.[+*]|\.\+\?|\[\^\.\]\+|\[a-z0-9-\]\+|\[a-zA-Z0-9-\]\+|\(\.\+\))((?:\\\.[-a-z0-9\\]+)+)\$?"
)
_ANY_HOST = frozenset({".+", ".*", "^.+$", "^.*$"})
_METHODS = frozenset(methods_but(()))
_TCP = frozenset({"HostSNI", "HostSNIRegexp", "ALPN"})


@dataclass(slots=True)
class Asked:
    """What a case asks."""

    hosts: tuple[str, ...] = ()
    paths: list[Document] = field(default_factory=lambda: [{"type": "Prefix", "value": "/"}])
    methods: list[str] | None = None
    headers: list[Document] = field(default_factory=list)
    query: list[Document] = field(default_factory=list)
    problem: str = ""
    changes: list[str] = field(default_factory=list)
    never: bool = False
    """Whether no request can meet it."""
    by_segments: bool = False

    def matches(self) -> list[Document]:
        """As they are written in a Route."""
        rest: Document = {}
        if self.methods is not None:
            rest["methods"] = self.methods
        if self.headers:
            rest["headers"] = self.headers
        if self.query:
            rest["query"] = self.query
        return [{"path": path, **rest} for path in self.paths]


def translate_case(case: Case, *, literal: bool) -> Asked:
    """What the conditions ask together."""
    asked = Asked()
    _take_paths(asked, [each for each in case if each.name in _PATHS], literal=literal)
    for condition in case:
        if condition.name in _PATHS or asked.problem:
            continue
        take = _TAKES.get(condition.name)
        if take is None:
            _refuse(asked, condition)
        else:
            take(asked, condition)
    return asked


def _refuse(asked: Asked, condition: Condition) -> None:
    if condition.name in _TCP:
        asked.problem = f"{condition} is about connections."
    elif condition.name == "ClientIP":
        asked.problem = f"{condition} is no match; the Route's admission lets addresses in or keeps them out."
    else:
        asked.problem = f"No match can say {condition}."


def _take_paths(asked: Asked, conditions: list[Condition], *, literal: bool) -> None:
    wanted = [each for each in conditions if not each.negated]
    if len(wanted) < len(conditions):
        asked.problem = "No match can exclude a path."
        return
    chosen = _narrowest(wanted)
    if chosen is None:
        asked.problem = "Several conditions on the path hold together."
        return
    if not wanted:
        return
    paths = [path for value in chosen.values for path in _paths(asked, chosen.name, value, literal=literal)]
    asked.paths = paths


def _narrowest(conditions: list[Condition]) -> Condition | None:
    """Of prefixes and exact paths the one that implies the others; None when there is none."""
    if len(conditions) < 2:
        return conditions[0] if conditions else Condition("PathPrefix", ("/",))
    if any(each.name == "PathRegexp" or len(each.values) != 1 for each in conditions):
        return None
    longest = max(conditions, key=lambda each: (each.name == "Path", len(each.values[0])))
    fits = all(
        each == longest or (each.name == "PathPrefix" and longest.values[0].startswith(each.values[0]))
        for each in conditions
    )
    return longest if fits else None


def _paths(asked: Asked, name: str, value: str, *, literal: bool) -> list[Document]:
    if name == "PathRegexp":
        path = _checked(asked, search_regex(value))
        if has_anchor(path):
            asked.problem = "The expression is refused: `^` and `$` are for its ends."
        return [{"type": "Regex", "value": path}]
    if not value.startswith("/") or not re.fullmatch("[!-~]+", value) or "{" in value:
        asked.problem = f"`{value}` is no path."
        return []
    if name == "Path":
        return [{"type": "Exact", "value": value}]
    asked.by_segments = value != "/"
    return prefix_paths(value, literal=literal)


def unanchored(pattern: str) -> str:
    """An expression that may match anywhere, as one that matches the whole."""
    if "|" in pattern or pattern.endswith(r"\$"):
        return f".*(?:{pattern}).*"
    begin = "" if pattern.startswith("^") else ".*"
    end = "" if pattern.endswith("$") else ".*"
    return f"{begin}{pattern.removeprefix('^').removesuffix('$')}{end}"


def _checked(asked: Asked, pattern: str) -> str:
    fault = regex_fault(pattern)
    if fault:
        asked.problem = f"The expression is refused: {fault}."
    return pattern


def _host(asked: Asked, condition: Condition) -> None:
    hosts = tuple(value.lower() for value in condition.values)
    wrong = [host for host in hosts if _HOST.fullmatch(host) is None]
    if condition.negated or wrong:
        asked.problem = "No Route can exclude a host." if condition.negated else f"`{wrong[0]}` is no host."
        return
    _restrict(asked, hosts)


def _restrict(asked: Asked, hosts: tuple[str, ...]) -> None:
    if not asked.hosts:
        asked.hosts = hosts
        return
    both = tuple(
        one
        for one in (*asked.hosts, *hosts)
        if any(_within(one, other) for other in asked.hosts) and any(_within(one, other) for other in hosts)
    )
    asked.hosts, asked.never = tuple(dict.fromkeys(both)), asked.never or not both


def _within(host: str, wider: str) -> bool:
    return wider in {host, "*"} or (wider.startswith("*.") and host.removeprefix("*").endswith(wider[1:]))


def _host_regex(asked: Asked, condition: Condition) -> None:
    if condition.negated or len(condition.values) != 1:
        asked.problem = f"No Route can say {condition}."
        return
    pattern = condition.values[0]
    if pattern in _ANY_HOST:
        return
    found = _ANY_BELOW.fullmatch(pattern)
    if found is None or not pattern.endswith("$"):
        asked.problem = f"{condition} is neither a host nor a wildcard."
        return
    _restrict(asked, (f"*{found[1].replace(chr(92), '')}",))
    if "[^.]" in pattern or "[a-z" in pattern:
        asked.changes.append("The wildcard takes any number of labels here, and took one.")


def _method(asked: Asked, condition: Condition) -> None:
    named = {value.upper() for value in condition.values}
    if named - _METHODS:
        asked.problem = f"{', '.join(sorted(named - _METHODS))} is no method that a match can name."
        return
    if condition.negated:
        asked.changes.append("Methods that are not of HTTP itself are not taken.")
    wanted = methods_but(named) if condition.negated else methods_but(_METHODS - named)
    both = wanted if asked.methods is None else [method for method in asked.methods if method in wanted]
    asked.methods, asked.never = both, asked.never or not both


def _header(asked: Asked, condition: Condition) -> None:
    _text(asked, condition, asked.headers, regex="Regexp" in condition.name)


def _query(asked: Asked, condition: Condition) -> None:
    _text(asked, condition, asked.query, regex="Regexp" in condition.name)


def _text(asked: Asked, condition: Condition, listed: list[Document], *, regex: bool) -> None:
    values = condition.values
    if len(values) == 1 and "=" in values[0]:
        values = tuple(values[0].split("=", 1))
    if condition.negated or not values or len(values) > 2:
        asked.problem = f"No match can say {condition}."
        return
    name = values[0]
    if re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^`|~-]{1,128}", name) is None:
        asked.problem = f"`{name}` can't be the name of what a match compares."
        return
    if any(each["name"].lower() == name.lower() for each in listed):
        asked.problem = f"Two conditions on {name} hold together."
        return
    if len(values) == 1:
        listed.append({"name": name, "type": "Present"})
    elif regex:
        listed.append({"name": name, "type": "Regex", "value": _checked(asked, unanchored(values[1]))})
    else:
        listed.append({"name": name, "value": values[1]})


_PATHS = frozenset({"Path", "PathPrefix", "PathRegexp"})
_TAKES: dict[str, Callable[[Asked, Condition], None]] = {
    "Host": _host,
    "HostRegexp": _host_regex,
    "Method": _method,
    "Header": _header,
    "Headers": _header,
    "HeaderRegexp": _header,
    "HeadersRegexp": _header,
    "Query": _query,
    "QueryRegexp": _query,
}
