"""What runs as pods, and which stages run elsewhere. Made by translate/workload; read by emit/kubernetes and
emit/decision. Which adapters run elsewhere is said of each rule (ir.MessageDispatch, ir.AdapterDispatch).

Amounts are written as Kubernetes writes them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

PODS = "~pods"
"""Ends the name of the Upstream that is the pods of a Workload; what users name has no such sign."""
REQUESTS_PORT, STAGES_PORT, EXCHANGE_PORT = 9443, 9444, 9445
"""Where pods take questions and requests of proxies, stages of messages, and messages of adapters elsewhere."""
PROBE_PORT = 9081
"""Where pods answer probes, those of proxies as well."""
_MAX_NAME = 52
"""Pods add eleven characters, and their name is a label."""


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
class Store:
    """A PostgreSQL, or a RabbitMQ; `password` and `authority` are (Secret, key), empty for none."""

    host: str
    port: int
    part: str = ""
    """Database, or virtual host; empty for the one that it has by itself."""
    tls: bool = False
    authority: tuple[str, str] = ("", "")
    username: str = ""
    password: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One Workload that runs as pods."""

    name: str
    """NAMESPACE/NAME."""
    pods: Pods
    redis: Redis | None = None
    component: str = "Decision"
    """Decision, Stages or Ingress."""
    decision: str = ""
    """Of Ingress: the Workload that takes the messages."""
    postgresql: Store | None = None
    rabbitmq: Store | None = None
    seal: tuple[str, str] = ("", "")
    """Secret and key of what messages are signed with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStages:
    """Stages that an Upstream runs, for the messages of the Edges of its namespace; without stages, how messages go to
    the Upstream.
    """

    name: str
    """NAMESPACE/NAME of the Workload."""
    stages: tuple[str, ...]
    upstream: str
    timeout_ms: int = 0
    tries: int = 0
    """0 for calls as they are anyway."""
    concurrent: int = 0
    queue: int = 0
    json: bool = False


def pods_name(component: str, owner: str) -> str:
    """The name of the Deployment, the Service and so on that are made for an Edge or a Workload: a label, as that of a
    Service has to be, whatever the object's own name has.
    """
    return shortened(re.sub(r"[/~.]", "-", f"{component.lower()}-{owner}"), owner)


def shortened(name: str, unique: str, most: int = _MAX_NAME) -> str:
    """The name, cut and made unique again where it is too long; also where `-` and `.` could mean either part."""
    digest = hashlib.blake2b(unique.encode(), digest_size=4).hexdigest()
    return f"{name[: most - 9].rstrip('-.')}-{digest}"
