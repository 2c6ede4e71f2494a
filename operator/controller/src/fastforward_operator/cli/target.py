"""Whose configuration `ff render` prints. A module of its own, so that `ff --help` imports nothing else."""

from __future__ import annotations

from enum import StrEnum


class Target(StrEnum):
    """Whose configuration."""

    ENVOY = "envoy"
    DECISION = "decision"
    TRAEFIK = "traefik"
