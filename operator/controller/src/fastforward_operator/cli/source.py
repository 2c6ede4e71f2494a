"""Where commands find what there is: the running operator, or a cluster.

In: where the user says to look. Out: a `Source`, or everything in the cluster that an operator would compile. Called by
whatever asks.
"""

# ruff: noqa: PLC0415 - whoever asks the one needs nothing of the other

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .where import Where

if TYPE_CHECKING:
    from fastforward.snapshot.v1 import snapshot_pb2
    from fastforward_operator.providers import Batch


class Source(Protocol):
    """Whoever knows what there is and what is said of it."""

    def objects(self, *, kind: str = "", namespace: str = "", name: str = "") -> list[dict[str, Any]]:
        """Objects with their conditions; `kind`, `namespace` and `name` narrow them down."""
        ...

    def proxies(self) -> list[dict[str, Any]]:
        """Connected nodes and what they acknowledged."""
        ...

    def hops(self) -> list[dict[str, Any]]:
        """Hops of EntryPoints, as they are now."""
        ...

    def messages(self, id_: str) -> list[dict[str, Any]]:
        """What EntryPoints remember of a message, or of those of a request or a trace."""
        ...

    def rendered(self) -> list[dict[str, Any]]:
        """What proxies should have: name, version and resource of each; of one Edge's with `edge`."""
        ...

    def metrics(self) -> str:
        """What the operators tell Prometheus."""
        ...

    def snapshot(self) -> snapshot_pb2.SnapshotDelta:
        """The decision snapshot."""
        ...


def connect(where: Where) -> Source:
    """The operator, or the cluster."""
    if where.is_cluster:
        from .cluster import Cluster

        return Cluster(where)
    from .client import OperatorClient

    return OperatorClient(where.api)


def read_cluster(where: Where) -> Batch:
    """Everything in a cluster that an operator would compile."""
    from .cluster import Cluster

    return Cluster(where).batch()
