"""Where the API server is and how we prove who we are: a kubeconfig, or the service account of the pod.

In: a path, or nothing. Out: `Access`. Called by bootstrap. Sources: "Organizing Cluster Access Using kubeconfig Files"
and "Accessing the Kubernetes API from a Pod" in Kubernetes' documentation. Plug-ins that run programs are not for us:
the operator is told a file that is complete in itself.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SERVICE = "https://kubernetes.default.svc"


class AccessError(Exception):
    """A sentence that says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One API server and one identity."""

    server: str
    tls: ssl.SSLContext
    token: str = ""
    token_file: Path | None = None
    """Read again for each request: tokens of service accounts are renewed there."""

    def headers(self) -> dict[str, str]:
        """What a request carries."""
        token = self.token_file.read_text().strip() if self.token_file is not None else self.token
        return {"authorization": f"Bearer {token}"} if token else {}


def find_access(kubeconfig: Path | None) -> Access:
    """The service account of the pod where no kubeconfig is named. Raises AccessError."""
    if kubeconfig is None:
        return _of_pod()
    try:
        config = yaml.safe_load(kubeconfig.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise AccessError(f"The kubeconfig {kubeconfig} can't be read: {error}.") from None
    return _of_config(config, kubeconfig)


def _of_pod() -> Access:
    if not (_POD / "token").exists():
        raise AccessError("There is no kubeconfig (FF_KUBECONFIG), and this is no pod with a service account.")
    tls = ssl.create_default_context(cafile=str(_POD / "ca.crt"))
    return Access(server=_SERVICE, tls=tls, token_file=_POD / "token")


def _of_config(config: Any, path: Path) -> Access:  # noqa: ANN401 - YAML may be anything
    try:
        context = _named(config, "context", config["current-context"])
        cluster = _named(config, "cluster", context["cluster"])
        user = _named(config, "user", context["user"])
        server = str(cluster["server"]).rstrip("/")
    except (KeyError, TypeError, StopIteration):
        raise AccessError(f"The kubeconfig {path} lacks a current context with a cluster and a user.") from None
    return Access(server=server, tls=_tls(cluster, user, path.parent), token=str(user.get("token", "")))


def _named(config: Mapping[str, Any], noun: str, name: str) -> Mapping[str, Any]:
    return next(each[noun] for each in config[f"{noun}s"] if each["name"] == name)


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority", folder)
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    certificate, key = (_content(user, name, folder) for name in ("client-certificate", "client-key"))
    if certificate and key:
        # OpenSSL takes them from files only.
        with _in_file(certificate + b"\n" + key) as both:
            tls.load_cert_chain(both)
    return tls


def _content(entry: Mapping[str, Any], name: str, folder: Path) -> bytes:
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"])
    return (folder / entry[name]).read_bytes() if name in entry else b""


@contextmanager
def _in_file(content: bytes) -> Generator[str]:
    descriptor, name = tempfile.mkstemp()
    try:
        os.write(descriptor, content)
        os.close(descriptor)
        yield name
    finally:
        Path(name).unlink()
