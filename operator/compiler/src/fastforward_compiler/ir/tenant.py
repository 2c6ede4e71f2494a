"""Whose request it is, with everything inherited filled in. Made by translate/tenant; read by emit/decision."""

from __future__ import annotations

from dataclasses import dataclass


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
