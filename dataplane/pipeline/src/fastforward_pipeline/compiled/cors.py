"""Cross-origin settings (Fetch standard), as the proxy applies them. Made by compiled/route; asked by ingress."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2

from .pattern import Pattern

_LABELS = "[a-zA-Z0-9.-]+"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cors:
    """Which origins may, and what they are told."""

    every: bool
    exact: frozenset[str]
    patterns: tuple[Pattern, ...]
    preflight: tuple[tuple[str, str], ...]
    """Headers of the answer to a preflight, besides the origin."""
    answer: tuple[tuple[str, str], ...]
    """Headers of other answers, besides the origin."""

    def allows(self, origin: str) -> bool:
        """Whether scripts of `origin` may ask."""
        return self.every or origin in self.exact or any(pattern.matches(origin) for pattern in self.patterns)


def compile_cors(wire: snapshot_pb2.Cors) -> Cors:
    """Returns the compiled settings; a `*` within a host stands for one or more labels."""
    wild = [origin for origin in wire.allow_origins if "*" in origin and origin != "*"]
    credentials = [("access-control-allow-credentials", "true")] if wire.allow_credentials else []
    return Cors(
        every="*" in wire.allow_origins,
        exact=frozenset(wire.allow_origins),
        patterns=tuple(Pattern(_LABELS.join(map(re.escape, origin.split("*")))) for origin in wild),
        preflight=(
            *credentials,
            *_listed("access-control-allow-methods", wire.allow_methods),
            *_listed("access-control-allow-headers", wire.allow_headers),
            ("access-control-max-age", str(wire.max_age_seconds)),
            *_listed("access-control-expose-headers", wire.expose_headers),
        ),
        answer=(*credentials, *_listed("access-control-expose-headers", wire.expose_headers)),
    )


def _listed(name: str, values: Iterable[str]) -> Iterable[tuple[str, str]]:
    text = ", ".join(values)
    return [(name, text)] if text else []
