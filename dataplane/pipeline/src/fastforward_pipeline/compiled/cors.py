"""Cross-origin settings (Fetch standard), as the proxy applies them. Made by compiled/route; asked by ingress."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.request import Request

from .origin import Origins, compile_origins

_METHODS, _HEADERS = "access-control-allow-methods", "access-control-allow-headers"
_EXPOSED = "access-control-expose-headers"
_ASKED = {_METHODS: "access-control-request-method", _HEADERS: "access-control-request-headers"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cors:
    """Which origins may, and what they are told."""

    origins: Origins
    preflight: tuple[tuple[str, str], ...]
    """Headers of the answer to a preflight, besides the origin."""
    answer: tuple[tuple[str, str], ...]
    """Headers of other answers, besides the origin."""
    answers_all: bool = False
    """Whether preflights from other origins are answered, too."""

    def allows(self, origin: str) -> bool:
        """Whether scripts of `origin` may ask."""
        return self.origins.holds(origin)

    def granted(self, request: Request, *, allowed: bool) -> Iterable[tuple[str, str]]:
        """Headers of the answer to a preflight, besides the origin; a `*` grants what is asked for, word by word."""
        for name, value in self.preflight:
            if value == "*" and name in _ASKED:
                yield name, request.text(_ASKED[name])
            elif allowed or name != _EXPOSED:
                yield name, value


def compile_cors(wire: snapshot_pb2.Cors) -> Cors:
    """Returns the compiled settings."""
    credentials = [("access-control-allow-credentials", "true")] if wire.allow_credentials else []
    return Cors(
        origins=compile_origins(wire.allow_origins),
        preflight=(
            *credentials,
            *_listed(_METHODS, wire.allow_methods),
            *_listed(_HEADERS, wire.allow_headers),
            ("access-control-max-age", str(wire.max_age_seconds)),
            *_listed(_EXPOSED, wire.expose_headers),
        ),
        answers_all=wire.answers_all,
        answer=(*credentials, *_listed(_EXPOSED, wire.expose_headers)),
    )


def _listed(name: str, values: Iterable[str]) -> Iterable[tuple[str, str]]:
    text = ", ".join(values)
    return [(name, text)] if text else []
