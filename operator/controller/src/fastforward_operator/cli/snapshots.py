"""The decision snapshot, from the running operator or from directories.

In: directories and a state folder, or else the address of the operator's API. Out: the resources of snapshot.proto.
Called by explain and explain_route.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastforward_compiler.emit.decision import DecisionEmitter

from fastforward.snapshot.v1 import snapshot_pb2

from .client import OperatorClient
from .offline import load

Resources = Sequence[snapshot_pb2.Resource]


def read_snapshot(directories: Sequence[Path], state: Path, api: str) -> Resources:
    """Compiled from the directories when there are any, with the credentials of `ff up`; else as it is published."""
    if directories:
        return DecisionEmitter().apply(load(directories, state / "dev").delta).upserts
    return snapshot_pb2.SnapshotDelta.FromString(OperatorClient(api).snapshot()).resources
