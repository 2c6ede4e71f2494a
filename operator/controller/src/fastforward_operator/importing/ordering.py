"""Rules in the order that they had: by `priority`, where the paths and conditions alone would say otherwise.

In: rules, with what came first elsewhere. Out: the same with priorities, spread over hosts, without those that nothing
reaches. Called by conversion. Traefik asks the longest rule first, whatever it says; a host of ours belongs to the
routes that name it, so what came by a wildcard before has to name it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fastforward_compiler.translate.template import SEGMENT

from .draft import Document, EdgeKey, Rule, key_of
from .pathregex import literal_head

_MOST, _LEAST = 10, -10
_RANK = {"Exact": 0, "Regex": 1, "Prefix": 2}


def arrange(rules: Iterable[Rule]) -> list[Rule]:
    """Every rule with its priority."""
    by_edge: dict[EdgeKey, list[Rule]] = {}
    for rule in rules:
        by_edge.setdefault(rule.edge, []).append(rule)
    return [rule for found in by_edge.values() for rule in _arrange_edge(found)]


def _arrange_edge(rules: list[Rule]) -> list[Rule]:
    hosts = tuple(dict.fromkeys(host for rule in rules for host in rule.hosts))
    spread = [each for rule in rules for each in _spread(rule, hosts)]
    ranked = sorted(spread, key=lambda rule: rule.order, reverse=True)
    kept = list(_leveled(_reached(ranked)))
    # As they were written, and of one that is parted its own hosts first.
    places = {rule.place.path + rule.item.label: place for place, rule in reversed(list(enumerate(spread)))}
    return sorted(kept, key=lambda rule: places[rule.place.path + rule.item.label])


def covers(wildcard: str, host: str) -> bool:
    """Whether a wildcard takes a host's requests: any number of labels."""
    if wildcard == "*":
        return host != "*"
    return wildcard.startswith("*.") and host != wildcard and host.removeprefix("*").endswith(wildcard[1:])


def _spread(rule: Rule, hosts: tuple[str, ...]) -> Iterator[Rule]:
    """The rule on its own hosts, and on those that its wildcards cover.

    An order with three parts is Gateway API's: there who names a host comes before who has it by a wildcard.
    """
    yield rule
    if not rule.falls_through:
        return
    further: dict[str, str] = {}
    for host in hosts:
        found = [own for own in rule.hosts if covers(own, host)]
        kept = any(host == other or covers(other, host) for other in rule.kept_from)
        if found and host not in rule.hosts and not kept:
            further[host] = max(found, key=len)
    by_wildcard: dict[str, list[str]] = {}
    for host, wildcard in further.items():
        by_wildcard.setdefault(wildcard, []).append(host)
    for wildcard, covered in by_wildcard.items():
        yield rule.on(tuple(covered), (0, len(wildcard), 0) if len(rule.order) == 3 else rule.order)


def _reached(ranked: list[Rule]) -> list[Rule]:
    """The rules without matches that stand before already, for the same requests."""
    seen: dict[tuple[str, str, str], Rule] = {}
    found: list[Rule] = []
    for rule in ranked:
        by_hosts: dict[tuple[str, ...], list[Document]] = {}
        for match in rule.matches:
            left, winner = _left(seen, rule, key_of(match))
            if winner is not None and winner.body != rule.body:
                rule.place.changed(f"A match of it is left out: {winner.item.label} has the same and comes first.")
            if left is not None:
                by_hosts.setdefault(left, []).append(match)
        for hosts, matches in by_hosts.items():
            made = rule.on(hosts, rule.order)
            made.matches = matches
            found.append(made)
    return found


def _left(seen: dict[tuple[str, str, str], Rule], rule: Rule, match: str) -> tuple[tuple[str, ...] | None, Rule | None]:
    """The hosts on which nothing has the match yet, and who has it on another; it is the rule's from now on."""
    left, winner = [], None
    for host in rule.hosts or ("",):
        holders = [
            next((seen[key] for key in ((listener, host, match), ("", host, match)) if key in seen), None)
            for listener in rule.listeners or ("",)
        ]
        if all(holder is not None for holder in holders):
            winner = holders[0]
            continue
        left.append(host)
        for listener in rule.listeners or ("",):
            seen.setdefault((listener, host, match), rule)
    if not left:
        return None, winner
    return (tuple(left) if rule.hosts else ()), winner


@dataclass(slots=True)
class _Unit:
    """One match of a rule."""

    rule: Rule
    match: Document
    strength: tuple[int, ...]
    depth: int = 0


def _leveled(rules: list[Rule]) -> Iterator[Rule]:
    """The rules with priorities, parted where their matches need different ones."""
    units = [_Unit(rule, match, _strength(match)) for rule in rules for match in rule.matches]
    ranked = sorted(units, key=lambda unit: (tuple(-part for part in unit.rule.order), unit.strength))
    _sink(ranked)
    first = 0 if max((unit.depth for unit in units), default=0) <= -_LEAST else _MOST
    of_rule: dict[int, list[_Unit]] = {}
    for unit in units:
        of_rule.setdefault(id(unit.rule), []).append(unit)
    for rule in rules:
        by_depth: dict[int, list[Document]] = {}
        for unit in of_rule.get(id(rule), ()):
            by_depth.setdefault(unit.depth, []).append(unit.match)
        for depth, matches in by_depth.items():
            made = rule.on(rule.hosts, rule.order)
            made.matches, made.priority = matches, max(first - depth, _LEAST)
            if first - depth < _LEAST:
                message = "So many rules overlap in an order of their own that this one may come earlier than it did."
                rule.place.changed(message, "Look at `ff explain request` for requests that both it and others match.")
            yield made


def _sink(ranked: list[_Unit]) -> None:
    """How far below the highest priority each has to be: as far as whatever comes before it and overlaps it, and one
    further where its match alone would put it first.
    """
    by_host: dict[str, list[_Unit]] = {}
    for place, unit in enumerate(ranked):
        hosts = unit.rule.hosts
        before = (each for host in (*hosts, "") for each in by_host.get(host, ())) if hosts else ranked[:place]
        for each in before:
            if _meets(each, unit):
                displaced = each.rule.order != unit.rule.order and each.strength >= unit.strength
                unit.depth = max(unit.depth, each.depth + displaced)
        for host in hosts or ("",):
            by_host.setdefault(host, []).append(unit)


def _meets(one: _Unit, other: _Unit) -> bool:
    """Whether there may be a request that both take."""
    return (
        _share_hosts(one.rule, other.rule)
        and _overlap(_path(one.match), _path(other.match))
        and _share_methods(one.match, other.match)
    )


def _share_hosts(one: Rule, other: Rule) -> bool:
    hosts = not one.hosts or not other.hosts or bool(set(one.hosts) & set(other.hosts))
    listeners = not one.listeners or not other.listeners or bool(set(one.listeners) & set(other.listeners))
    return hosts and listeners


def _share_methods(one: Document, other: Document) -> bool:
    some, others = one.get("methods"), other.get("methods")
    return not some or not others or bool(set(some) & set(others))


@dataclass(frozen=True, slots=True)
class _Path:
    type: str
    value: str

    @property
    def head(self) -> str:
        """What all its paths begin with, in small letters."""
        return literal_head(self.value) if self.type == "Regex" else self.value.lower()


def _path(match: Document) -> _Path:
    path = match.get("path", {})
    kind, value = path.get("type", "Prefix"), path.get("value", "/")
    return _Path(kind, value.rstrip("/") if kind == "Prefix" else value)


def _overlap(one: _Path, other: _Path) -> bool:
    if "Regex" in (one.type, other.type):
        return one.head.startswith(other.head) or other.head.startswith(one.head)
    if one.type == other.type == "Exact":
        return one.value == other.value
    if one.type == other.type:
        return _below(one.value, other.value) or _below(other.value, one.value)
    exact, prefix = (one, other) if one.type == "Exact" else (other, one)
    return _below(exact.value, prefix.value)


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


def _strength(match: Document) -> tuple[int, ...]:
    """Sorts first what comes first in one table, as far as matches say (docs/concepts/precedence.md)."""
    path = _path(match)
    counted = path.value.replace(SEGMENT, "") if path.type == "Regex" else path.value
    return (
        _RANK[path.type],
        -len(counted or "/"),
        0 if match.get("methods") else 1,
        -len(match.get("headers", ())),
        -len(match.get("query", ())),
    )
