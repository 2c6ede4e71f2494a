"""Workload: a part of the data plane that the operator runs as pods: how many, how large, what it leans on.

In: a Workload document. Out: `Workload`. Called by parse and by the compiler's translate/workload.
"""

from __future__ import annotations

from typing import Annotated, Literal

from .formats import KEY, Address, Label, Name
from .meta import Model, Port, Resource
from .pods import Replicas, Resources


class SecretKey(Model):
    """One key of a Secret of the namespace in which the pods run, which is the operator's."""

    name: Name
    """Name of the Secret."""
    key: Annotated[str, KEY]
    """Key in its data."""


class Redis(Model):
    """A Redis that counts for all replicas."""

    host: Address
    """Host name or address."""
    port: Port = 6379
    """TCP port."""
    tls: bool = False
    """Whether it is reached over TLS."""
    username: Label | None = None
    """User, where it has several."""
    password: SecretKey | None = None
    """Where the password is."""


class WorkloadSpec(Model):
    """What a Workload says."""

    component: Literal["Decision"] = "Decision"
    """Decision: the service that proxies ask about requests that they can't judge by themselves."""
    replicas: Replicas = 2
    """Pods."""
    resources: Resources = Resources()
    """What each pod is given."""
    redis: Redis | None = None
    """Counters of exact limits; without it each pod counts what it sees, so that several let through more."""


class Workload(Resource):
    """A part of the data plane that the operator runs as pods."""

    kind: Literal["Workload"] = "Workload"
    spec: WorkloadSpec
