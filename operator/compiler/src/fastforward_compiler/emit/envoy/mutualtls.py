"""Mutual TLS from an Envoy to the operator and to decision services, by certificates in a folder.

In: where the folder is for Envoy, and who must be at the other end. Out: transport sockets for the bootstrap, and the
documents that belong into the folder. Called by bootstrap, and by whoever fills the folder. Envoy follows the folder:
a new certificate is used for the next connection, without a restart. A folder of a Kubernetes Secret is changed as a
whole, by one symbolic link; that is what Envoy watches for ("watched_directory" in its documentation of SDS by files).
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import json_format

from .protos import (
    EnvoyMessage,
    base_pb2,
    config_source_pb2,
    discovery_pb2,
    secret_pb2,
    tls_common_pb2,
    tls_pb2,
)
from .wire import exact, pack

TLS_FOLDER = "/etc/fastforward/tls"
"""Where pods find their certificate."""
CHAIN, KEY, AUTHORITIES = "tls.crt", "tls.key", "ca.crt"
_NODE, _TRUST = "node", "authorities"
_FILES = {_NODE: "node.json", _TRUST: "authorities.json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who must be at the other end: by a DNS name or a URI in the certificate, one of both."""

    dns: str = ""
    uri: str = ""


def documents(folder: str) -> dict[str, str]:
    """Returns, by file name, what tells Envoy which files beside it are the certificate and the authorities."""
    node = secret_pb2.Secret(
        name=_NODE,
        tls_certificate=tls_common_pb2.TlsCertificate(
            certificate_chain=_file(folder, CHAIN), private_key=_file(folder, KEY), watched_directory=_watched(folder)
        ),
    )
    trust = secret_pb2.Secret(
        name=_TRUST,
        validation_context=tls_common_pb2.CertificateValidationContext(
            trusted_ca=_file(folder, AUTHORITIES), watched_directory=_watched(folder)
        ),
    )
    return {_FILES[secret.name]: _discovered(secret) for secret in (node, trust)}


def transport_socket(folder: str, peer: Peer, *, http2: bool) -> EnvoyMessage:
    """Returns a socket that shows the node's certificate, and takes nobody but the peer."""
    san = tls_common_pb2.SubjectAltNameMatcher
    matcher = (
        san(san_type=san.URI, matcher=exact(peer.uri)) if peer.uri else san(san_type=san.DNS, matcher=exact(peer.dns))
    )
    combined = tls_pb2.CommonTlsContext.CombinedCertificateValidationContext(
        default_validation_context=tls_common_pb2.CertificateValidationContext(match_typed_subject_alt_names=[matcher]),
        validation_context_sds_secret_config=_secret(folder, _TRUST),
    )
    common = tls_pb2.CommonTlsContext(
        # As a client, Envoy speaks TLS 1.2 at most unless told otherwise.
        tls_params=tls_common_pb2.TlsParameters(
            tls_minimum_protocol_version=tls_common_pb2.TlsParameters.TLSv1_3,
            tls_maximum_protocol_version=tls_common_pb2.TlsParameters.TLSv1_3,
        ),
        tls_certificate_sds_secret_configs=[_secret(folder, _NODE)],
        combined_validation_context=combined,
        alpn_protocols=["h2"] if http2 else ["http/1.1"],
    )
    context = tls_pb2.UpstreamTlsContext(common_tls_context=common, sni=peer.dns)
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def _secret(folder: str, name: str) -> EnvoyMessage:
    path = config_source_pb2.PathConfigSource(path=f"{folder}/{_FILES[name]}", watched_directory=_watched(folder))
    source = config_source_pb2.ConfigSource(
        path_config_source=path, resource_api_version=config_source_pb2.ApiVersion.V3
    )
    return secret_pb2.SdsSecretConfig(name=name, sds_config=source)


def _file(folder: str, name: str) -> EnvoyMessage:
    return base_pb2.DataSource(filename=f"{folder}/{name}")


def _watched(folder: str) -> EnvoyMessage:
    return base_pb2.WatchedDirectory(path=folder)


def _discovered(secret: EnvoyMessage) -> str:
    return json_format.MessageToJson(discovery_pb2.DiscoveryResponse(resources=[pack(secret)]))
