"""What pods may be told, where the operator runs them: how many, and how much of a machine each.

In: nothing. Out: models that Edge and Workload share. Called by these. Names and writing are Kubernetes'.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .formats import Cpu, Memory
from .meta import Model

Replicas = Annotated[int, Field(ge=1, le=1000)]


class Amounts(Model):
    """How much of a machine."""

    cpu: Cpu | None = None
    """Cores: `2`, or thousandths of one: `500m`."""
    memory: Memory | None = None
    """Bytes: `512Mi`."""


class Resources(Model):
    """What each pod is given (Kubernetes: resource requests and limits)."""

    requests: Amounts = Amounts()
    """What is kept free for it."""
    limits: Amounts = Amounts()
    """What it may take at most."""
