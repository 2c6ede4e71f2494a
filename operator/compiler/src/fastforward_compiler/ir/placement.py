"""Where the stages of an entry run.

Made by translate/placement; read by emit and by what explains routes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Placement(StrEnum):
    """Where a stage runs."""

    NONE = "none"
    NATIVE = "native"
    INLINE = "inline"


STAGES = (
    "ingress",
    "admission",
    "authentication",
    "normalization",
    "authorization",
    "routing",
    "tracking",
    "dispatch",
)
"""The eight inbound stages, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlacement:
    """Where one stage runs for an entry, and why."""

    stage: str
    placement: Placement
    why: str
