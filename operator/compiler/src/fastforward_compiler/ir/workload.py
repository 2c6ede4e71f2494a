"""What runs as pods, and which stages run elsewhere. Made by translate/workload; read by emit/kubernetes and
emit/decision. Which adapters run elsewhere is said of each rule (ir.MessageDispatch, ir.AdapterDispatch).

Amounts are written as Kubernetes writes them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """How many pods, and what each is given: pairs of resource (`cpu`, `memory`) and amount."""

    replicas: int = 2
    requests: tuple[tuple[str, str], ...] = ()
    limits: tuple[tuple[str, str], ...] = ()


DEFAULT_PODS = Pods()


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """Where exact limits are counted; `password` is (Secret, key), empty for none."""

    host: str
    port: int
    tls: bool = False
    username: str = ""
    password: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One Workload."""

    name: str
    """NAMESPACE/NAME."""
    pods: Pods
    redis: Redis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStages:
    """Stages that an Upstream runs, for the messages of the Edges of its namespace."""

    name: str
    """NAMESPACE/NAME of the Workload."""
    stages: tuple[str, ...]
    upstream: str
    timeout_ms: int
    tries: int
    concurrent: int
    queue: int
