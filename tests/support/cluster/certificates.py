"""The cluster's own certificate authority: who may speak to whom, for as long as the cluster is there.

In: a cluster. Out: keys and certificates below `pki/`, and a kubeconfig for each client. Called once, by `up`.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.cluster.definition import NODE_NAME, Cluster

LIFETIME = dt.timedelta(days=365)
CLOCK_SKEW = dt.timedelta(minutes=5)
# What the API server calls itself to kubelets and to webhooks.
API_SERVER = "kube-apiserver"
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs for everyone in one cluster."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def issue(self, pki: Path, file: str, name: x509.Name, hosts: tuple[str, ...] = ()) -> None:
        """Writes `file.key` and `file.crt`: for a server when there are hosts, for a client in either case."""
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        builder = _builder(name, self.certificate.subject, key).add_extension(x509.ExtendedKeyUsage(usages), False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), False)
        write_key(pki / f"{file}.key", key)
        write_certificate(pki / f"{file}.crt", builder.sign(self.key, hashes.SHA256()))


def make_certificates(cluster: Cluster) -> None:
    """Everything that the components and the administrator present to each other."""
    cluster.pki("").mkdir(mode=0o700)
    authority = make_authority()
    write_key(cluster.pki("ca.key"), authority.key)
    write_certificate(cluster.pki("ca.crt"), authority.certificate)
    service_accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    write_key(cluster.pki("service-accounts.key"), service_accounts)

    servers: dict[str, tuple[x509.Name, tuple[str, ...]]] = {
        "apiserver": (name(API_SERVER, "system:masters"), api_server_hosts(cluster)),
        "kubelet": (node_name(), (NODE_NAME, cluster.network.node)),
    }
    clients: dict[str, x509.Name] = {
        "admin": name("administrator", "system:masters"),
        "controllers": name("system:kube-controller-manager"),
        "scheduler": name("system:kube-scheduler"),
        "proxy": name("system:kube-proxy"),
        "node": node_name(),
        "front-proxy": name("front-proxy"),
        "webhooks": name(API_SERVER),
    }
    for file, (subject, hosts) in servers.items():
        authority.issue(cluster.pki(""), file, subject, hosts)
    for file, subject in clients.items():
        authority.issue(cluster.pki(""), file, subject)
        write_kubeconfig(cluster, file, cluster.pki(f"{file}.kubeconfig"))
    write_kubeconfig(cluster, "admin", cluster.kubeconfig)


def api_server_hosts(cluster: Cluster) -> tuple[str, ...]:
    """Every name and address that clients call the API server by."""
    services = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    return ("localhost", "127.0.0.1", cluster.network.node, cluster.network.api_service, *services)


def name(user: str, group: str = "") -> x509.Name:
    """Kubernetes takes the common name for the user and the organisation for a group."""
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def node_name() -> x509.Name:
    """The one identity that the Node authorizer knows."""
    return name(f"system:node:{NODE_NAME}", "system:nodes")


def make_authority() -> Authority:
    """A new one; what it signs is worth nothing elsewhere."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = name("fastforward-cluster")
    usage = x509.KeyUsage(True, False, True, False, False, True, True, False, False)
    builder = (
        _builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    return Authority(key, builder.sign(key, hashes.SHA256()))


def write_kubeconfig(cluster: Cluster, client: str, path: Path) -> None:
    """A kubeconfig that holds the client's key and certificate itself, so that it can be copied."""
    embedded = {
        field: _base64(cluster.pki(file))
        for field, file in (
            ("certificate-authority-data", "ca.crt"),
            ("client-certificate-data", f"{client}.crt"),
            ("client-key-data", f"{client}.key"),
        )
    }
    user = {field: data for field, data in embedded.items() if field.startswith("client")}
    server = {"server": cluster.url, "certificate-authority-data": embedded["certificate-authority-data"]}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fastforward", "cluster": server}],
        "users": [{"name": client, "user": user}],
        "contexts": [{"name": "fastforward", "context": {"cluster": "fastforward", "user": client}}],
        "current-context": "fastforward",
    }
    write_private(path, yaml.safe_dump(config, sort_keys=False).encode())


def write_key(path: Path, key: PrivateKey) -> None:
    """In PKCS #8, for the owner alone; an RSA key's public half goes beside it."""
    write_private(
        path,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    if isinstance(key, rsa.RSAPrivateKey):
        public = key.public_key()
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        path.with_suffix(".pub").write_bytes(public.public_bytes(serialization.Encoding.PEM, info))


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    """In PEM."""
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def write_private(path: Path, data: bytes) -> None:
    """A file that nobody else may read, from its first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def _builder(subject: x509.Name, issuer: x509.Name, key: PrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
