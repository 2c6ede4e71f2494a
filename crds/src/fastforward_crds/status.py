"""Status: what the operator says about an object. The same for every kind.

In: nothing; a status in a document is not read. Out: models from which the CRD generator makes the status schema.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, WithJsonSchema

from .lists import Items
from .meta import Model


class StatusCondition(Model):
    """One aspect of the object's state (Kubernetes API conventions)."""

    type: Annotated[str, StringConstraints(max_length=316)]
    """Accepted, ResolvedRefs or Programmed; Reconciling or Stalled while it is on its way or stuck."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds; True is good, but for Reconciling and Stalled, which are there only while they hold."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """Generation of the object that this speaks of."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """One word for a machine, out of a closed list."""
    message: Annotated[str, StringConstraints(max_length=32768)]
    """Sentences for people: what is wrong, in which field, and how to mend it."""
    last_transition_time: Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
    """When `status` last changed (RFC 3339)."""


class Status(Model):
    """What the operator says."""

    observed_generation: Annotated[int, Field(ge=-1)] | None = None
    """Newest generation of the object that the operator has dealt with; -1 before it has seen the object."""
    conditions: Annotated[tuple[StatusCondition, ...], Items(most=8, key="type")] | None = None
    """Accepted: the object is valid and takes part. ResolvedRefs: all that it refers to is there and permitted.
    Programmed: every live proxy has acknowledged the configuration that contains it. For tools that know no kind of
    ours (kstatus), Reconciling: it is on its way, and Stalled: only its author can mend it.
    """
    proxies: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Proxies that have acknowledged it, of those that are live: `3/3`."""
    effective_policies: Annotated[tuple[str, ...], Items(most=256)] | None = None
    """Policies that act on it, in the order in which they are combined."""
