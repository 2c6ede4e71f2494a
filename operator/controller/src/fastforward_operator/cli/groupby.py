"""By what `ff top` tells requests apart. A module of its own, so that `ff --help` imports nothing else."""

from __future__ import annotations

from enum import StrEnum


class GroupBy(StrEnum):
    """Fields of the access log."""

    ROUTE = "route"
    TENANT = "tenant"
    UPSTREAM = "upstream"
    REASON = "reason"
