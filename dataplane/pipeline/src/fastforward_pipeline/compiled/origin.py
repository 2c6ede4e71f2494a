"""Origins (RFC 6454) that a rule names: exact ones, `https://*.example.com`, or `*`. Called by cors and route."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .pattern import Pattern

_LABELS = "[a-zA-Z0-9.-]+"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Origins:
    """Some origins."""

    every: bool
    exact: frozenset[str]
    patterns: tuple[Pattern, ...]

    def holds(self, origin: str) -> bool:
        """Whether `origin` is one of them."""
        return self.every or origin in self.exact or any(pattern.matches(origin) for pattern in self.patterns)


def compile_origins(named: Iterable[str]) -> Origins:
    """Returns the compiled origins; a `*` within a host stands for one or more labels."""
    origins = tuple(named)
    wild = [origin for origin in origins if "*" in origin and origin != "*"]
    return Origins(
        every="*" in origins,
        exact=frozenset(origins),
        patterns=tuple(Pattern(_LABELS.join(map(re.escape, origin.split("*")))) for origin in wild),
    )
