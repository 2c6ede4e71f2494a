"""Who a node is, where nodes prove it: by the URI in its certificate.

In: the certificate that gRPC verified. Out: what it may be told. Called by server. The names follow SPIFFE
(spiffe.io, "SPIFFE ID"): `spiffe://fastforward/ns/NAMESPACE/edge/NAME` is a proxy of that Edge,
`.../gateway/NAME` one of that Gateway, `.../workload/NAME` a decision service, and `.../operator/NAME` another replica.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import grpc
from fastforward_compiler import ir

TRUST_DOMAIN = "fastforward"
_ID = re.compile(
    rf"spiffe://{TRUST_DOMAIN}/ns/([a-z0-9.-]{{1,253}})/(edge|gateway|workload|operator)/([a-z0-9.-]{{1,253}})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A node's."""

    kind: str
    """`edge`, `gateway`, `workload` or `operator`."""
    namespace: str
    name: str

    @property
    def fleet(self) -> str:
        """Those who are told the same: the name of the Edge in ir."""
        return f"{self.namespace}/{self.name}{ir.GATEWAY if self.kind == 'gateway' else ''}"

    @property
    def uri(self) -> str:
        """As it stands in a certificate."""
        return f"spiffe://{TRUST_DOMAIN}/ns/{self.namespace}/{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsMaterial:
    """What the server shows, and whose certificates it takes: all PEM."""

    chain: bytes
    key: bytes = field(repr=False)
    authorities: bytes


def identity_of(context: Mapping[str, Iterable[bytes]]) -> Identity | None:
    """The identity in gRPC's authentication context; None when there is none, or more than one."""
    names = [name.decode(errors="replace") for name in context.get("x509_subject_alternative_name", ())]
    found = [match for name in names if (match := _ID.fullmatch(name)) is not None]
    if len(found) != 1:
        return None
    namespace, kind, name = found[0].groups()
    return Identity(kind=kind, namespace=namespace, name=name)


def credentials(material: Callable[[], TlsMaterial]) -> grpc.ServerCredentials:
    """Mutual TLS. `material` is asked at each handshake, so that certificates change without a restart."""
    last: list[TlsMaterial] = [material()]

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        newest = material()
        if newest == last[0]:
            return None
        last[0] = newest
        return _configuration(newest)

    first = _configuration(last[0])
    # None means that nothing changed, which the type stubs do not know.
    return grpc.dynamic_ssl_server_credentials(first, fetch, require_client_authentication=True)  # ty: ignore[invalid-argument-type]


def _configuration(material: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.chain)], root_certificates=material.authorities
    )
