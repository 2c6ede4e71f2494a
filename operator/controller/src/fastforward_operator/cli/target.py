"""Whose configuration `ff render` prints, and what `ff up` puts in front.

A module of its own, so that `ff --help` imports nothing else.
"""

from __future__ import annotations

from enum import StrEnum


class Front(StrEnum):
    """What stands before the Envoy."""

    TRAEFIK = "traefik"


class Target(StrEnum):
    """Whose configuration."""

    ENVOY = "envoy"
    DECISION = "decision"
    TRAEFIK = "traefik"
