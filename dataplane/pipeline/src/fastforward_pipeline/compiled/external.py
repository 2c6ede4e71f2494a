"""A service that is asked whether a request may pass. Made by `authpolicy`; asked by stages/external."""

from __future__ import annotations

from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class External:
    """What is asked of whom, and what becomes of the answer."""

    upstream: str
    """NAMESPACE/NAME."""
    path: str
    append_path: bool
    """Whether the request's path and query follow `path`."""
    request_headers: tuple[str, ...]
    answer_headers: tuple[str, ...]
    timeout_s: float
    fail_open: bool
    opa: bool = False
    """Whether it is asked by the Data API of Open Policy Agent."""


def compile_external(wire: snapshot_pb2.ExternalAuthorization) -> External:
    """Returns the compiled service. Raises ValueError on one that can't be asked."""
    if not (wire.upstream and wire.path and wire.timeout_ms):
        raise ValueError("an external authorization without upstream, path or time asks nobody")
    return External(
        upstream=wire.upstream,
        path=wire.path,
        append_path=wire.append_path,
        request_headers=tuple(wire.request_headers),
        answer_headers=tuple(wire.answer_headers),
        timeout_s=wire.timeout_ms / 1e3,
        fail_open=wire.fail_open,
        opa=wire.opa,
    )
