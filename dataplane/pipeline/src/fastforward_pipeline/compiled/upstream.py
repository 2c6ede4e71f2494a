"""An Upstream that takes messages, as EntryPoint calls it. Made by `snapshot`."""

from __future__ import annotations

from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2

from .servicetls import ServiceTls, compile_tls

_REFRESH_S = 5.0
_POLICIES = {
    snapshot_pb2.LOAD_BALANCING_UNSPECIFIED: "round robin",
    snapshot_pb2.LOAD_BALANCING_ROUND_ROBIN: "round robin",
    snapshot_pb2.LOAD_BALANCING_LEAST_REQUEST: "least request",
    snapshot_pb2.LOAD_BALANCING_RANDOM: "random",
    snapshot_pb2.LOAD_BALANCING_RING_HASH: "ring hash",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """When an endpoint is left alone: so many bad answers in a row, for so long times how often it was."""

    errors: int
    ejection_s: float
    most: float
    """Share of the endpoints that may be left alone, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where messages go, and how an endpoint is chosen: `round robin`, `least request`, `random` or `ring hash`."""

    name: str
    endpoints: tuple[tuple[str, int], ...] = ()
    """(HOST:PORT, weight)."""
    dns: tuple[str, int] | None = None
    """Name and port to look up instead."""
    refresh_s: float = _REFRESH_S
    """How often it is looked up."""
    policy: str = "round robin"
    hash_on: str = ""
    """With ring hash: `header:NAME` or `address`."""
    outliers: Outliers | None = None
    proven: bool = False
    """Whether both ends prove who they are by the certificates of nodes: these are pods of the operator."""
    tls: ServiceTls | None = None
    """Of those that are asked whether requests may pass; None for clear text."""


def compile_upstream(name: str, wire: snapshot_pb2.Upstream) -> Upstream:
    """Returns the compiled Upstream. Raises ValueError on a policy that is not known here."""
    policy = _POLICIES.get(wire.load_balancing)
    if policy is None:
        raise ValueError(f"upstream {name} chooses endpoints in a way that is not known here")
    outliers = wire.outlier_detection
    return Upstream(
        name=name,
        endpoints=tuple((join(each.address, each.port), each.weight or 1) for each in wire.endpoints),
        dns=(wire.dns_host, wire.dns_port) if wire.dns_host else None,
        refresh_s=wire.dns_refresh_ms / 1e3 or _REFRESH_S,
        policy=policy,
        hash_on=wire.hash_on,
        proven=wire.proven,
        tls=compile_tls(wire.tls) if wire.HasField("tls") else None,
        outliers=Outliers(
            errors=outliers.consecutive_errors,
            ejection_s=outliers.ejection_time_ms / 1e3,
            most=outliers.max_ejected_percent / 100,
        )
        if wire.HasField("outlier_detection")
        else None,
    )


def join(address: str, port: int) -> str:
    """Returns HOST:PORT; an IPv6 address has brackets there."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
