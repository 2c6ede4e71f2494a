"""Where the endpoints of an Upstream are that keeps requests in the proxies' own zones. Made by `snapshot`.

Read by stages/dispatch for the Trail alone: proxies choose endpoints by themselves, each by its own zone and by what it
finds healthy. Neither is known here, so what is told is what depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2

from .upstream import join


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Endpoints (HOST:PORT) of one zone; of none when it has no name."""

    zone: str
    endpoints: tuple[str, ...]
    keeps: bool
    """Whether they get all requests of proxies in the zone, as long as `minimum` of them are healthy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """Of one Upstream. Proxies that keep to no zone send requests to all of them alike."""

    minimum: int
    zones: tuple[Zone, ...]


def compile_zones(wire: snapshot_pb2.Zones) -> Zones:
    """Returns the compiled Zones."""
    return Zones(
        minimum=wire.minimum,
        zones=tuple(
            Zone(
                zone=each.name,
                endpoints=tuple(join(endpoint.address, endpoint.port) for endpoint in each.endpoints),
                keeps=bool(each.name) and len(each.endpoints) >= wire.minimum,
            )
            for each in wire.zones
        ),
    )
