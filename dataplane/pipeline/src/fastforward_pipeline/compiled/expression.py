"""CEL conditions of grants: compiled once, judged without ever raising, bounded in what they can cost.

Made by compiled/authpolicy. An expression that can't be compiled, errs, or yields anything but true grants nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastforward_pipeline.facts import Facts

from .engine import load_engine

if TYPE_CHECKING:
    from cel import cel

    from .authpolicy import Identity

_ENGINE = load_engine()
MAX_LENGTH = 1024
"""Longest source, in characters, as the resource's schema has it."""

_REQUEST = ("method", "path", "host", "headers", "query", "address")
_IDENTITY = ("subject", "tenant", "roles", "permissions", "claims")
# Strings first, so that what looks like a call inside one is none. Raw and triple-quoted ones are CEL's as well.
_TOKEN = re.compile(
    r"""[rRbB]{0,2}(?:'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"""|(?P<loop>\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\()|(?P<open>[(\[{])|(?P<close>[)\]}])"""
)


class Expression:
    """A CEL condition over `request` and `identity`."""

    __slots__ = ("_identity", "_program", "_request", "fault", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.fault = _find_fault(source)
        self._program: cel.Program | None = None
        self._request: tuple[str, ...] = ()
        self._identity: tuple[str, ...] = ()
        if self.fault:
            return
        try:
            self._program = _ENGINE.compile(source)
        except ValueError as error:
            self.fault = f"it does not compile: {str(error)[:200]}"
            return
        # Values cost more to hand over than the expression to judge: only those are handed over that it can name.
        self._request = _named(source, "request", _REQUEST)
        self._identity = _named(source, "identity", _IDENTITY)

    def judge(self, facts: Facts, identity: Identity, tenant: str) -> str:
        """Returns why the expression does not hold; empty when it does."""
        if self._program is None:
            return self.fault
        values = {
            "request": {field: _request_value(facts, field) for field in self._request},
            "identity": {field: _identity_value(identity, tenant, field) for field in self._identity},
        }
        try:
            result = self._program.execute(values)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a user's expression, it grants nothing
            return f"it fails: {str(error)[:200]}"
        return "" if result is True else f"it yields {str(result)[:50]}"


def _named(source: str, root: str, fields: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the fields of `root` that `source` may read: those it selects by name; all if it does more than that."""
    selected = re.findall(rf"\b{root}\s*\.\s*(\w+)", source)
    if len(selected) < len(re.findall(rf"\b{root}\b", source)):
        return fields
    return tuple(field for field in fields if field in selected)


def _find_fault(source: str) -> str:
    """Returns what makes `source` too costly: it is long, or has loops in loops, whose cost multiplies."""
    if len(source) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    loops: list[bool] = []
    for token in _TOKEN.finditer(source):
        if token["loop"] is not None:
            if any(loops):
                return "it has a loop within a loop"
            loops.append(True)
        elif token["open"] is not None:
            loops.append(False)
        elif token["close"] is not None and loops:
            loops.pop()
    return ""


def _request_value(facts: Facts, field: str) -> object:
    request = facts.request
    if field == "headers":
        return {name: request.header(name) for name in request.headers}
    if field == "query":
        return dict(facts.query)
    if field == "path":
        return facts.path
    if field == "host":
        return request.host.lower()
    return request.method if field == "method" else request.address


def _identity_value(identity: Identity, tenant: str, field: str) -> object:
    if field == "claims":
        return dict(identity.claims)
    if field == "tenant":
        return tenant
    if field == "subject":
        return identity.subject
    return sorted(identity.roles if field == "roles" else identity.permissions)
