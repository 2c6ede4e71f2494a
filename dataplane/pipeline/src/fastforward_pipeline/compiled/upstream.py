"""An Upstream that takes messages, as EntryPoint calls it. Made by `snapshot`."""

from __future__ import annotations

from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """`target` is a gRPC target (https://grpc.github.io/grpc/core/md_doc_naming.html); empty for no endpoint."""

    name: str
    target: str


def compile_upstream(name: str, wire: snapshot_pb2.Upstream) -> Upstream:
    """Returns the compiled Upstream. Endpoints of both families are of one kind there: IPv6 ones are left out."""
    if wire.dns_host:
        return Upstream(name=name, target=f"dns:///{wire.dns_host}:{wire.dns_port}")
    fourth = [f"{each.address}:{each.port}" for each in wire.endpoints if ":" not in each.address]
    sixth = [f"[{each.address}]:{each.port}" for each in wire.endpoints if ":" in each.address]
    if fourth:
        return Upstream(name=name, target=f"ipv4:{','.join(fourth)}")
    return Upstream(name=name, target=f"ipv6:{','.join(sixth)}" if sixth else "")
