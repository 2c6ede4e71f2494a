"""Stages that run elsewhere, and calls of targets, as EntryPoint sees them.

In: ir.RemoteStages. Out: snapshot_pb2.Workload. Called by emitter.
"""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir


def emit_workload(stages: ir.RemoteStages) -> snapshot_pb2.Workload:
    """Returns the wire form."""
    return snapshot_pb2.Workload(
        stages=stages.stages,
        upstream=stages.upstream,
        timeout_ms=stages.timeout_ms,
        tries=stages.tries,
        concurrent=stages.concurrent,
        queue=stages.queue,
        json=stages.json,
    )
