"""Certificates to secrets, which listeners name and Envoy fetches over ADS: renewing one drains no connection.

In: ir.Certificate. Out: a serialised Secret. Called by emitter.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .protos import EnvoyMessage, base_pb2, secret_pb2, tls_common_pb2
from .wire import serialise


def emit_secret(certificate: ir.Certificate) -> bytes:
    """Returns the serialised Secret."""
    return serialise(secret_pb2.Secret(name=certificate.name, tls_certificate=emit_certificate(certificate)))


def emit_certificate(certificate: ir.Certificate) -> EnvoyMessage:
    """Returns the certificate with its key."""
    return tls_common_pb2.TlsCertificate(
        certificate_chain=base_pb2.DataSource(inline_bytes=certificate.chain),
        private_key=base_pb2.DataSource(inline_bytes=certificate.key),
    )
