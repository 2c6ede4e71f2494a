"""Which pages may send what changes something, as the proxy tells them apart. Made by compiled/route; asked by csrf."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2

from .pattern import Pattern

_LABELS = "[a-zA-Z0-9.-]+"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Csrf:
    """Hosts of pages, with or without a port."""

    pages: tuple[Pattern, ...]
    shadow: bool

    def allows(self, source: str, host: str) -> bool:
        """Whether the page at `source`, HOST or HOST:PORT, may send such requests to `host`."""
        return source == host or any(page.matches(source) for page in self.pages)


def compile_csrf(wire: snapshot_pb2.Csrf, host: str) -> Csrf:
    """Returns the compiled settings of a rule on a scope's host, which is known unless it is a wildcard."""
    own = () if "*" in host else (host,)
    patterns = (_LABELS.join(map(re.escape, each.split("*"))) for each in (*own, *wire.hosts))
    return Csrf(pages=tuple(Pattern(f"{pattern}(?::[0-9]+)?") for pattern in patterns), shadow=wire.shadow)
