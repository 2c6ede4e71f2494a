"""What every node is to know: the resources, serialised, by type and name, each with version and revision.

In: Publications. Out: entries for the sessions. Called by publisher; one Store a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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

Key = tuple[str, str]
"""(type URL, name)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource, ready to send."""

    version: str
    wire: bytes
    """Its bytes as one `resources` field of a response."""
    revision: int
    """Revision of the Publication that brought this version."""
    needs: tuple[Key, ...] | None = None
    """What must be acknowledged before it may be sent; None: everything of the earlier classes."""
    hop: bool = False
    """Whether requests that it routes ask a decision service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A new or changed resource."""

    key: Key
    version: str
    wire: bytes
    needs: tuple[Key, ...] | None = None
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

    resources: dict[str, dict[str, Entry]] = field(default_factory=dict)
    revision: int = 0

    def of_type(self, type_url: str) -> dict[str, Entry]:
        """Entries by name; the mapping stays the same object, so that channels may hold it."""
        return self.resources.setdefault(type_url, {})

    def put(self, puts: Iterable[Put], revision: int) -> tuple[Key, ...]:
        """Store what is new; returns the keys that changed."""
        self.revision = max(self.revision, revision)
        changed = []
        for put in puts:
            type_url, name = put.key
            entries = self.of_type(type_url)
            known = entries.get(name)
            entries[name] = Entry(put.version, put.wire, revision, put.needs, put.hop)
            if known is None or known.version != put.version:
                changed.append(put.key)
        return tuple(changed)

    def remove(self, key: Key) -> None:
        """Forget a resource."""
        self.of_type(key[0]).pop(key[1], None)

    def get(self, key: Key) -> Entry | None:
        """The newest version of a resource."""
        return self.of_type(key[0]).get(key[1])

    def copy(self) -> Mapping[str, Mapping[str, Entry]]:
        """A copy to be read by another thread; the copying of each dict is atomic."""
        return {type_url: dict(entries) for type_url, entries in list(self.resources.items())}
