"""Whose request it is, with everything inherited filled in. Made by translate/tenant; read by emit/decision."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN_SHARD = "~"
"""The home of a tenant that may inherit one from an ancestor who is not there. No Shard has such a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One Tenant."""

    namespace: str
    name: str
    parent: str = ""
    plan: str = ""
    region: str = ""
    shard: str = ""
    flags: tuple[str, ...] = ()
