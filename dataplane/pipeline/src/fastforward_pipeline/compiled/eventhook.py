"""Who is told of events, by signed webhooks. Made by `snapshot`; read by EntryPoint."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastforward.snapshot.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHook:
    """Times are seconds; `places` are hosts and ports, one of which is asked at a time."""

    name: str
    """NAMESPACE/NAME."""
    events: frozenset[str]
    places: tuple[tuple[str, int], ...]
    path: str
    secrets: tuple[bytes, ...] = field(repr=False)
    tls: bool
    server_name: str
    timeout_s: float
    tries: int
    first_wait_s: float
    longest_wait_s: float
    dead_letters: int

    @property
    def namespace(self) -> str:
        """Of the Routes whose events it wants."""
        return self.name.partition("/")[0]

    @property
    def ready(self) -> bool:
        """Whether anybody can be told; until then events wait."""
        return bool(self.places and self.secrets)


def compile_eventhook(name: str, wire: snapshot_pb2.EventHook) -> EventHook:
    """Returns the compiled EventHook. Raises ValueError on one that never could be told."""
    if not (wire.timeout_ms and wire.tries and wire.events):
        raise ValueError("an event hook without events, time or tries tells nobody")
    listed = tuple((each.address, each.port) for each in wire.endpoints)
    return EventHook(
        name=name,
        events=frozenset(wire.events),
        places=((wire.dns_host, wire.dns_port),) if wire.dns_host else listed,
        path=wire.path,
        secrets=tuple(wire.secrets),
        tls=wire.tls,
        server_name=wire.server_name,
        timeout_s=wire.timeout_ms / 1e3,
        tries=wire.tries,
        first_wait_s=wire.first_wait_ms / 1e3,
        longest_wait_s=wire.longest_wait_ms / 1e3,
        dead_letters=wire.dead_letters,
    )
