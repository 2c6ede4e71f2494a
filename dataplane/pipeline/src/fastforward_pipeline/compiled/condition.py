"""A match's conditions, path apart, as objects that judge Facts. Made by compiled/route; judged by compiled/table.

Each says which field it comes from, what it expects and what it saw, so that near misses can be told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.facts import Facts

from .pattern import Pattern

ABSENT = "absent"


class Condition(Protocol):
    """One condition of a match."""

    @property
    def field(self) -> str:
        """The field of the match that it comes from."""

    @property
    def expected(self) -> str:
        """What it asks for."""

    def got(self, facts: Facts) -> str:
        """What the request has."""

    def holds(self, facts: Facts) -> bool:
        """Whether the request fulfils it."""


class MethodIs:
    """The method is one of some."""

    __slots__ = ("_methods", "expected")
    field = "methods"

    def __init__(self, methods: frozenset[str]) -> None:
        self._methods = methods
        self.expected = " or ".join(sorted(methods))

    def holds(self, facts: Facts) -> bool:
        """Whether the request's method is among them."""
        return facts.request.method in self._methods

    def got(self, facts: Facts) -> str:
        """The request's method."""
        return facts.request.method


class ListenerIs:
    """The request came in by this listener."""

    __slots__ = ("expected",)
    field = "listener"

    def __init__(self, listener: str) -> None:
        self.expected = listener

    def holds(self, facts: Facts) -> bool:
        """Whether it did."""
        return facts.request.listener == self.expected

    def got(self, facts: Facts) -> str:
        """The request's listener."""
        return facts.request.listener or "unknown"


class HeaderIs:
    """A header's value fits; repeated headers are joined first."""

    __slots__ = ("_fits", "_name", "expected", "field")

    def __init__(self, match: snapshot_pb2.TextMatch) -> None:
        self._name = match.name
        self._fits, self.expected = _compile_text(match)
        self.field = f"headers[{match.name}]"

    def holds(self, facts: Facts) -> bool:
        """Whether the header is there and fits."""
        value = _header(facts, self._name)
        return value is not None and self._fits(value)

    def got(self, facts: Facts) -> str:
        """The header's value."""
        value = _header(facts, self._name)
        return ABSENT if value is None else value


class QueryIs:
    """A query parameter's first value fits."""

    __slots__ = ("_fits", "_name", "expected", "field")

    def __init__(self, match: snapshot_pb2.TextMatch) -> None:
        self._name = match.name
        self._fits, self.expected = _compile_text(match)
        self.field = f"query[{match.name}]"

    def holds(self, facts: Facts) -> bool:
        """Whether the parameter is there and fits."""
        value = facts.query.get(self._name)
        return value is not None and self._fits(value)

    def got(self, facts: Facts) -> str:
        """The parameter's first value."""
        return facts.query.get(self._name, ABSENT)


class ApiVersionIs:
    """The request asks for this version; one that asks for none gets the Edge's default."""

    __slots__ = ("expected",)
    field = "apiVersion"

    def __init__(self, version: str) -> None:
        self.expected = version

    def holds(self, facts: Facts) -> bool:
        """Whether it does."""
        return self.got(facts) == self.expected

    def got(self, facts: Facts) -> str:
        """The version asked for."""
        value = facts.request.header(facts.api_version_header)
        return facts.api_version_default if value is None else value


class RolesAny:
    """The caller has one of some roles."""

    __slots__ = ("_roles", "expected")
    field = "roles"

    def __init__(self, roles: frozenset[str]) -> None:
        self._roles = roles
        self.expected = " or ".join(sorted(roles))

    def holds(self, facts: Facts) -> bool:
        """Whether the caller has one."""
        return not self._roles.isdisjoint(facts.roles)

    def got(self, facts: Facts) -> str:
        """The caller's roles."""
        return ", ".join(sorted(facts.roles)) or "none"


class RegionIs:
    """The request is of this region."""

    __slots__ = ("expected",)
    field = "region"

    def __init__(self, region: str) -> None:
        self.expected = region

    def holds(self, facts: Facts) -> bool:
        """Whether it is."""
        return facts.region == self.expected

    def got(self, facts: Facts) -> str:
        """The request's region."""
        return facts.region or "none"


class FlagOn:
    """A feature flag is on for the request's tenant."""

    __slots__ = ("expected",)
    field = "flag"

    def __init__(self, flag: str) -> None:
        self.expected = flag

    def holds(self, facts: Facts) -> bool:
        """Whether it is on."""
        return self.expected in facts.flags

    def got(self, facts: Facts) -> str:
        """The flags that are on."""
        return ", ".join(sorted(facts.flags)) or "none"


def compile_conditions(match: snapshot_pb2.Match) -> tuple[Condition, ...]:
    """Returns the conditions that the proxy judges as well."""
    conditions: list[Condition] = []
    if match.methods:
        conditions.append(MethodIs(frozenset(match.methods)))
    if match.listener:
        conditions.append(ListenerIs(match.listener))
    conditions.extend(HeaderIs(header) for header in match.headers)
    conditions.extend(QueryIs(parameter) for parameter in match.query)
    if match.api_version:
        conditions.append(ApiVersionIs(match.api_version))
    return tuple(conditions)


def compile_hop_conditions(match: snapshot_pb2.Match) -> tuple[Condition, ...]:
    """Returns the conditions that only the decision service judges."""
    conditions: list[Condition] = []
    if match.roles:
        conditions.append(RolesAny(frozenset(match.roles)))
    if match.region:
        conditions.append(RegionIs(match.region))
    if match.flag:
        conditions.append(FlagOn(match.flag))
    return tuple(conditions)


def _header(facts: Facts, name: str) -> str | None:
    # The proxy keeps the Host header as the authority.
    return facts.request.host if name == "host" else facts.request.header(name)


def _compile_text(match: snapshot_pb2.TextMatch) -> tuple[Callable[[str], bool], str]:
    """Returns a test of a value, and what it expects in words."""
    value = match.value
    if match.type == snapshot_pb2.TEXT_MATCH_TYPE_EXACT:
        return value.__eq__, repr(value)
    if match.type == snapshot_pb2.TEXT_MATCH_TYPE_PREFIX:
        return lambda text: text.startswith(value), f"{value!r} at the beginning"
    if match.type == snapshot_pb2.TEXT_MATCH_TYPE_REGEX:
        return Pattern(value).matches, f"the pattern {value!r}"
    if match.type == snapshot_pb2.TEXT_MATCH_TYPE_PRESENT:
        return lambda _: True, "any value"
    raise ValueError(f"a match on {match.name} has no type that is known here")
