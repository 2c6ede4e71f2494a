"""The decision snapshot as a workload holds it: streamed from the operator, kept on disk, swapped as one reference."""

from fastforward_kit.snapshot.client import SnapshotClient
from fastforward_kit.snapshot.disk import SnapshotFile
from fastforward_kit.snapshot.holder import Applicable, SnapshotHolder

__all__ = ["Applicable", "SnapshotClient", "SnapshotFile", "SnapshotHolder"]
