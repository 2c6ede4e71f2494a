"""Nodes that prove who they are: folders of certificates as pods have them, Envoys and decision services with them.

In: an authority that signs. Out: running programs. Called by the tests of mutual TLS.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fastforward_compiler.emit.envoy import Peer, Trust, documents
from fastforward_compiler.emit.kubernetes import edge_names
from fastforward_operator.certificates import Certified
from fastforward_operator.kubernetes import rbac
from fastforward_operator.kubernetes.client import Client

from support.envoy import Envoy, launch_envoy
from support.operator import until

OPERATOR = "localhost"
"""The name in the operator's certificate."""


def fill(folder: Path, certificate: Certified, authorities: str) -> Path:
    """Writes what a Secret for a node holds."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"tls.crt": certificate.certificate, "tls.key": certificate.key, "ca.crt": authorities}
    for name, text in {**files, **documents(str(folder))}.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    return folder


async def certified(api: Client, edge: str) -> tuple[Certified, str]:
    """What the operator's Secret for the pods of an Edge holds, once it is there, and whom they trust."""
    secret = f"/api/v1/namespaces/{rbac.NAMESPACE}/secrets/{edge_names(edge).secret}"
    found = await until(lambda: api.read(secret), bool)
    assert found is not None
    texts = {name: base64.b64decode(value).decode() for name, value in found["data"].items()}
    return Certified(certificate=texts["tls.crt"], key=texts["tls.key"]), texts["ca.crt"]


def trust_of(tls: Path) -> Trust:
    """Of an Envoy with the certificate in `tls`; the decision service must be one of a workload `shop/decision`."""
    uri = "spiffe://fastforward/ns/shop/workload/decision"
    return Trust(folder=str(tls), operator=Peer(dns=OPERATOR), decisions=Peer(uri=uri))


def envoy_of(folder: Path, tls: Path, *, port: int, xds: int, decision: tuple[str, int] = ("localhost", 1)) -> Envoy:
    """An Envoy that proves who it is."""
    found = ("127.0.0.1", xds)
    return launch_envoy(folder.name, folder, port=port, xds=found, decisions=(decision,), trust=trust_of(tls))


@contextmanager
def decision_service(folder: Path, tls: Path, *, port: int, xds: int) -> Generator[subprocess.Popen[bytes]]:
    """A decision service that listens on a port."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "FF_ENTRYPOINT_NODE": folder.name,
        "FF_ENTRYPOINT_LISTEN": f"127.0.0.1:{port}",
        "FF_ENTRYPOINT_OPERATOR": f"{OPERATOR}:{xds}",
        "FF_ENTRYPOINT_TLS_DIR": str(tls),
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fastforward_entrypoint"],
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
