"""What every node is to know: the resources, serialised, by fleet, type and name, each with version and revision.

In: Publications. Out: entries for the sessions. Called by publisher; one Store a process. A fleet is a set of proxies
that are told the same: those of one Edge, or all of them where they are not told apart. Bytes are kept for nodes that
come, and most resources of a kind are alike: all but the first are kept as what they have that it has not.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_ENVOY = "type.googleapis.com/envoy."

CLUSTER = f"{_ENVOY}config.cluster.v3.Cluster"
ENDPOINT = f"{_ENVOY}config.endpoint.v3.ClusterLoadAssignment"
EXTENSION = f"{_ENVOY}config.core.v3.TypedExtensionConfig"
LISTENER = f"{_ENVOY}config.listener.v3.Listener"
ROUTE = f"{_ENVOY}config.route.v3.RouteConfiguration"
SCOPE = f"{_ENVOY}config.route.v3.ScopedRouteConfiguration"
SECRET = f"{_ENVOY}extensions.transport_sockets.tls.v3.Secret"
SNAPSHOT = "type.googleapis.com/fastforward.snapshot.v1.Resource"
"""Resources of the decision services; never sent to Envoy."""

SHARED = ""
"""The fleet of decision services, and of proxies that are not told apart."""


class Key(NamedTuple):
    """What one resource is known by. Two fleets may have different ones of the same type and name."""

    type_url: str
    name: str
    fleet: str = SHARED


Need = tuple[str, str]
"""(type URL, name), in the fleet of what needs it."""


_LEVEL, _WINDOW, _ROOM = 1, -12, 4
"""Of zlib: quick, without a header, looking back 4 KiB."""


def deflate(wire: bytes, like: bytes) -> bytes:
    """Bytes as their difference to others: 170 where there were 1,230, in 15 microseconds."""
    made = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _ROOM, zlib.Z_DEFAULT_STRATEGY, like)
    return made.compress(wire) + made.flush()


def inflate(data: bytes, like: bytes) -> bytes:
    """The bytes again, in 2 microseconds."""
    return zlib.decompressobj(_WINDOW, like).decompress(data)


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource, ready to send."""

    version: str
    kept: bytes
    revision: int
    """Revision of the Publication that brought this version."""
    needs: tuple[Need, ...] | None = None
    """What must be acknowledged before it may be sent; None: everything of the earlier classes."""
    hop: bool = False
    """Whether requests that it routes ask a decision service."""
    like: bytes | None = None
    """What it is kept as the difference to; None for nothing."""

    @property
    def wire(self) -> bytes:
        """Its bytes as one `resources` field of a response."""
        return self.kept if self.like is None else inflate(self.kept, self.like)


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A new or changed resource."""

    key: Key
    version: str
    wire: bytes
    needs: tuple[Need, ...] | None = None
    hop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One step from a complete, consistent state to the next. Revisions rise by one."""

    revision: int
    upserts: tuple[Put, ...] = ()
    removed: tuple[Key, ...] = ()


@dataclass(slots=True)
class Store:
    """The newest version of everything."""

    fleets: dict[str, dict[str, dict[str, Entry]]] = field(default_factory=dict)
    revision: int = 0
    _first: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """By type, and noun of the decision snapshot: the first resource that there was."""

    def of_fleet(self, fleet: str) -> dict[str, dict[str, Entry]]:
        """Entries by type and name."""
        return self.fleets.setdefault(fleet, {})

    def of_type(self, type_url: str, fleet: str = SHARED) -> dict[str, Entry]:
        """Entries by name; the mapping stays the same object, so that channels may hold it."""
        return self.of_fleet(fleet).setdefault(type_url, {})

    def put(self, puts: Iterable[Put], revision: int) -> tuple[Key, ...]:
        """Store what is new; returns the keys that changed."""
        self.revision = max(self.revision, revision)
        changed = []
        for put in puts:
            entries = self.of_type(put.key.type_url, put.key.fleet)
            known = entries.get(put.key.name)
            kept, like = self._keep(put)
            entries[put.key.name] = Entry(put.version, kept, revision, put.needs, put.hop, like)
            if known is None or known.version != put.version:
                changed.append(put.key)
        return tuple(changed)

    def _keep(self, put: Put) -> tuple[bytes, bytes | None]:
        noun = put.key.name.partition("/")[0] if put.key.type_url == SNAPSHOT else ""
        first = self._first.setdefault((put.key.type_url, noun), put.wire)
        made = deflate(put.wire, first) if first is not put.wire else put.wire
        return (made, first) if len(made) < len(put.wire) // 2 else (put.wire, None)

    def remove(self, key: Key) -> None:
        """Forget a resource."""
        self.of_type(key.type_url, key.fleet).pop(key.name, None)

    def get(self, key: Key) -> Entry | None:
        """The newest version of a resource."""
        return self.of_type(key.type_url, key.fleet).get(key.name)

    def copy(self) -> Mapping[str, Mapping[str, Mapping[str, Entry]]]:
        """A copy to be read by another thread, by fleet, type and name; the copying of each dict is atomic."""
        return {
            fleet: {type_url: dict(entries) for type_url, entries in list(types.items())}
            for fleet, types in list(self.fleets.items())
        }
