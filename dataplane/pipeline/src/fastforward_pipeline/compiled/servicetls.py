"""What the certificate of an endpoint that EntryPoint asks must prove: a service that judges, an issuer of tokens.

Made by `upstream` and `oidc`; whom to believe is judged by EntryPoint, which has the connections.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastforward.snapshot.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTls:
    """What the certificate of an endpoint must prove."""

    server_name: str
    """What it is asked for (SNI)."""
    authorities: str = field(default="", repr=False)
    """PEM; those of the system when empty."""
    names: tuple[str, ...] = ()
    """DNS names of which it has one."""
    pins: tuple[str, ...] = ()
    """SHA-256 of public keys in base64, of which it has one; any when empty."""


def compile_tls(wire: snapshot_pb2.ServiceTls) -> ServiceTls:
    """Returns the compiled value. Raises ValueError where nothing would have to be proven."""
    if not (wire.server_name and wire.names):
        raise ValueError("TLS without a name proves nothing")
    return ServiceTls(
        server_name=wire.server_name,
        authorities=wire.authorities.decode(),
        names=tuple(wire.names),
        pins=tuple(wire.pins),
    )
