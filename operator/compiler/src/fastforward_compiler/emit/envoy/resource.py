"""What the emitter hands on: named, content-versioned Envoy resources, and its settings.

Made by emitter; read by the operator's xDS server, which never looks into a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from fastforward_compiler import ir

_PREFIX = "type.googleapis.com/"

LISTENER = _PREFIX + "envoy.config.listener.v3.Listener"
SCOPE = _PREFIX + "envoy.config.route.v3.ScopedRouteConfiguration"
CLUSTER = _PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET = _PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
EXTENSION = _PREFIX + "envoy.config.core.v3.TypedExtensionConfig"

ResourceId = tuple[str, str]
"""(type URL, name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitSettings:
    """What depends on where the proxy runs, and on nothing that users write."""

    bind_address: str = "0.0.0.0"  # noqa: S104 - the edge serves the world
    """Address that listeners bind; several are parted by commas."""
    listen_everywhere: bool = False
    """Whether proxies have a network of their own, so that what an Edge's addresses are is no concern of theirs."""
    ports: Mapping[int, int] = field(default_factory=dict)
    """Ports to bind instead of those that Edges name."""
    front_addresses: tuple[str, ...] = ()
    """Networks of what stands in front here, instead of those that Edges name."""
    decision_timeout_ms: int = 500
    """How long the decision service may take; the route's fail mode decides after."""
    access_log: str = "/dev/stdout"
    """File for the access log."""
    buckets: int = 100_000
    """Token buckets kept for each limit, least recently used first to go; Envoy's own default is 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoyResource:
    """One resource as it travels: `body` is the serialised message, `version` a hash of it."""

    type_url: str
    name: str
    version: str
    body: bytes

    @property
    def id(self) -> ResourceId:
        """Its type URL and name."""
        return self.type_url, self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoyDelta:
    """One step of the Envoy configuration."""

    upserts: tuple[EnvoyResource, ...] = ()
    """A changed cluster is followed by its endpoints, even unchanged ones: Envoy waits for them."""
    removed: tuple[ResourceId, ...] = ()
    outputs: Mapping[ir.Output, tuple[ResourceId, ...]] = field(default_factory=dict)
    """For each value of the step: the resources whose acknowledgement makes it effective."""


def resource(type_url: str, name: str, body: bytes) -> EnvoyResource:
    """Returns the resource with its version."""
    return EnvoyResource(type_url=type_url, name=name, version=blake2b(body, digest_size=12).hexdigest(), body=body)
