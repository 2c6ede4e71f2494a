"""Mutual TLS by certificates in a folder: tls.crt, tls.key and ca.crt, as in a Kubernetes Secret that is mounted.

In: the folder, whose files change when the certificate is renewed. Out: what servers and gRPC channels need. Called by
workloads' bootstrap.
"""

import asyncio
import ssl
from pathlib import Path

import grpc
import structlog

log = structlog.get_logger(__name__)

CHAIN, KEY, AUTHORITIES = "tls.crt", "tls.key", "ca.crt"
REFRESH_SECONDS = 10.0


class NodeTls:
    """The certificate of this node. Raises OSError (ssl.SSLError is one) when the files are not there or no pair."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: tuple[bytes, ...] = ()
        self.version = 0
        """How often a certificate has been taken up: what was made with an earlier one is to be made anew."""
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.minimum_version = ssl.TLSVersion.TLSv1_3
        self._server.verify_mode = ssl.CERT_REQUIRED
        self._server.set_alpn_protocols(["h2", "http/1.1"])
        self.refresh()

    @property
    def server(self) -> ssl.SSLContext:
        """For a server that takes nobody without a certificate of the authorities."""
        return self._server

    def channel(self) -> grpc.ChannelCredentials:
        """For a channel to a server that has a certificate of the authorities for its name; made anew for each one."""
        chain, key, authorities = (self._read(name) for name in (CHAIN, KEY, AUTHORITIES))
        return grpc.ssl_channel_credentials(authorities, key, chain)

    def grpc_server(self) -> grpc.ServerCredentials:
        """For a gRPC server that takes nobody without a certificate of the authorities; it follows renewals."""
        last = self._loaded

        def configuration() -> grpc.ServerCertificateConfiguration:
            chain, key, authorities = (self._read(name) for name in (CHAIN, KEY, AUTHORITIES))
            return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authorities)

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal last
            if last == self._loaded:
                return None
            last = self._loaded
            return configuration()

        # None means that nothing changed, which the type stubs do not know.
        return grpc.dynamic_ssl_server_credentials(configuration(), fetch, require_client_authentication=True)  # ty: ignore[invalid-argument-type]

    def refresh(self) -> bool:
        """Takes up a certificate that has been renewed, for connections to come; says whether there was one."""
        newest = tuple(self._read(name) for name in (CHAIN, KEY, AUTHORITIES))
        if newest == self._loaded:
            return False
        self._server.load_verify_locations(self._folder / AUTHORITIES)
        self._server.load_cert_chain(self._folder / CHAIN, self._folder / KEY)
        self._loaded = newest
        self.version += 1
        return True

    async def follow(self) -> None:
        """Until cancelled. What can't be read is told, and the certificate in use stays."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                if self.refresh():
                    log.info("certificate renewed", folder=str(self._folder))
            except OSError as error:
                log.error("certificate can't be renewed", folder=str(self._folder), why=str(error))

    def _read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()
