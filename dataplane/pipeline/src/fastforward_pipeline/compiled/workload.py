"""Stages that run elsewhere, and how messages go to Upstreams. Made by `snapshot`; read by EntryPoint."""

from __future__ import annotations

from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Whom to ask for which stages of the messages of a namespace's Edges, and how; without stages, how messages go to
    an Upstream.
    """

    name: str
    stages: tuple[str, ...]
    upstream: str
    timeout_s: float
    tries: int
    """0 where calls go as they would anyway."""
    concurrent: int
    queue: int
    json: bool
    """Whether calls are in JSON, for people to read."""

    @property
    def namespace(self) -> str:
        """Of its Edges."""
        return self.name.partition("/")[0]


def compile_workload(name: str, wire: snapshot_pb2.Workload) -> Workload:
    """Returns the compiled Workload. Raises ValueError on one that can't be asked."""
    if (wire.tries and not (wire.timeout_ms and wire.concurrent)) or (wire.stages and not wire.tries):
        raise ValueError("a workload without time, tries or calls does nothing")
    return Workload(
        name=name,
        stages=tuple(wire.stages),
        upstream=wire.upstream,
        timeout_s=wire.timeout_ms / 1e3,
        tries=wire.tries,
        concurrent=wire.concurrent,
        queue=wire.queue,
        json=wire.json,
    )
