"""What runs as pods: how many, how large, what they lean on. Made by translate/workload; read by emit/kubernetes.

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
