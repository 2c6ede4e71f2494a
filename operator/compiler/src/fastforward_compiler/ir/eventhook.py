"""Who is told of events, by signed webhooks. Made by translate/eventhook; read by emit/decision.

Durations are milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .upstream import Dns, Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHook:
    """One EventHook, with all that it refers to. Without a place or a key nobody is told yet, and events wait."""

    name: str
    """NAMESPACE/NAME; events are those of Routes of this namespace."""
    events: tuple[str, ...]
    endpoints: tuple[Endpoint, ...] = ()
    dns: Dns | None = None
    path: str
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    tls: bool = False
    server_name: str = ""
    timeout_ms: int
    tries: int
    first_wait_ms: int
    longest_wait_ms: int
    dead_letters: int
