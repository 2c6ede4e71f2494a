"""Emitted resources as one static bootstrap, for the real Envoy: to validate, or to serve without a control plane.

In: EnvoyResources of any kind. Out: the bootstrap, and Envoy's verdict on it. Used by unit, property and golden tests.
One Envoy start takes about a second, so callers put many resources into one call.
"""

from __future__ import annotations

import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path

from fastforward_compiler.emit.envoy import EnvoyResource, bootstrap
from fastforward_compiler.emit.envoy import resource as kinds
from fastforward_compiler.emit.envoy.protos import (
    EnvoyMessage,
    bootstrap_pb2,
    cluster_pb2,
    endpoint_pb2,
    extension_pb2,
    http_connection_manager_pb2,
    listener_pb2,
    quic_transport_pb2,
    scoped_route_pb2,
    secret_pb2,
    tls_pb2,
)
from google.protobuf import json_format

ENVOY = Path(sysconfig.get_path("purelib"), "envoy", "_bin", "envoy")
NOWHERE = "unix:/nowhere.sock"


def static_bootstrap(
    resources: Iterable[EnvoyResource], *, decision_socket: str = NOWHERE, admin_socket: str = NOWHERE
) -> EnvoyMessage:
    """Returns a Bootstrap that holds everything inline: tables, filters, endpoints, secrets."""
    by_kind: dict[str, list[bytes]] = {}
    for made in resources:
        by_kind.setdefault(made.type_url, []).append(made.body)
    base = bootstrap_pb2.Bootstrap()
    json_format.Parse(
        bootstrap(
            node_id="test",
            node_cluster="test",
            xds=NOWHERE,
            admin=f"unix:{admin_socket.removeprefix('unix:')}",
            decisions=(decision_socket,),
        ),
        base,
    )
    base.ClearField("dynamic_resources")
    static = base.static_resources
    static.secrets.extend(map(secret_pb2.Secret.FromString, by_kind.get(kinds.SECRET, [])))
    static.clusters.extend(_clusters(by_kind))
    static.listeners.extend(_listeners(by_kind))
    return base


def validate(resources: Iterable[EnvoyResource]) -> str:
    """Returns what Envoy has against the resources; empty when it accepts them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bootstrap.pb")
        file.write_bytes(static_bootstrap(resources).SerializeToString(deterministic=True))
        return validate_file(file)


def validate_file(file: Path) -> str:
    """Returns what Envoy has against a bootstrap file; empty when it accepts it."""
    done = subprocess.run(
        [ENVOY, "-c", file, "--mode", "validate", "-l", "error", "--use-dynamic-base-id", "--concurrency", "1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr + done.stdout


def _clusters(by_kind: dict[str, list[bytes]]) -> list[EnvoyMessage]:
    assignments = {}
    for body in by_kind.get(kinds.ENDPOINTS, []):
        assignment = endpoint_pb2.ClusterLoadAssignment.FromString(body)
        assignments[assignment.cluster_name] = assignment
    clusters = [cluster_pb2.Cluster.FromString(body) for body in by_kind.get(kinds.CLUSTER, [])]
    for cluster in clusters:
        if cluster.type == cluster_pb2.Cluster.EDS:
            cluster.ClearField("eds_cluster_config")
            cluster.type = cluster_pb2.Cluster.STATIC
            if cluster.name in assignments:
                cluster.load_assignment.CopyFrom(assignments[cluster.name])
    return clusters


def _listeners(by_kind: dict[str, list[bytes]]) -> list[EnvoyMessage]:
    scopes = [scoped_route_pb2.ScopedRouteConfiguration.FromString(body) for body in by_kind.get(kinds.SCOPE, [])]
    extensions = {}
    for body in by_kind.get(kinds.EXTENSION, []):
        extension = extension_pb2.TypedExtensionConfig.FromString(body)
        extensions[extension.name] = extension.typed_config
    listeners = [listener_pb2.Listener.FromString(body) for body in by_kind.get(kinds.LISTENER, [])]
    for listener in listeners:
        for chain in listener.filter_chains:
            last = chain.filters[-1].typed_config
            if last.Is(http_connection_manager_pb2.HttpConnectionManager.DESCRIPTOR):
                _inline_http(last, scopes, extensions)
            if chain.HasField("transport_socket"):
                _inline_secrets(chain.transport_socket.typed_config)
    return listeners


def _inline_http(packed: EnvoyMessage, scopes: list[EnvoyMessage], extensions: dict[str, EnvoyMessage]) -> None:
    manager = http_connection_manager_pb2.HttpConnectionManager()
    packed.Unpack(manager)
    for http_filter in manager.http_filters:
        if http_filter.HasField("config_discovery"):
            config = extensions[http_filter.name]
            http_filter.typed_config.CopyFrom(config)
    if scopes:
        inline = manager.scoped_routes.scoped_route_configurations_list
        inline.scoped_route_configurations.extend(scopes)
    else:
        # A static list must not be empty; the one that comes over the wire may.
        manager.route_config.SetInParent()
    packed.Pack(manager)


def _inline_secrets(packed: EnvoyMessage) -> None:
    quic = packed.Is(quic_transport_pb2.QuicDownstreamTransport.DESCRIPTOR)
    socket = quic_transport_pb2.QuicDownstreamTransport() if quic else tls_pb2.DownstreamTlsContext()
    packed.Unpack(socket)
    context = socket.downstream_tls_context if quic else socket
    for secret in context.common_tls_context.tls_certificate_sds_secret_configs:
        secret.ClearField("sds_config")
    packed.Pack(socket)
