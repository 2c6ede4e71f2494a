"""gRPC-Web on a rule: what pages of other origins may send and read.

In: ir.Cors. Out: the same with the headers of the protocol. Called by route. Source: gRPC-Web, "Protocol differences vs
gRPC over HTTP2"; Fetch standard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fastforward_compiler import ir

_SENT = ("content-type", "x-grpc-web", "x-user-agent", "grpc-timeout")
_READ = ("grpc-status", "grpc-message", "grpc-status-details-bin")
_ALL = "*"


def open_to_grpc_web(cors: ir.Cors) -> ir.Cors:
    """Grants what clients of gRPC-Web send and read; origins and methods are the rule's own."""
    return replace(
        cors, allow_headers=_with(cors.allow_headers, _SENT), expose_headers=_with(cors.expose_headers, _READ)
    )


def _with(names: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    """A `*` grants them already."""
    return names if _ALL in names else tuple(dict.fromkeys((*names, *more)))
