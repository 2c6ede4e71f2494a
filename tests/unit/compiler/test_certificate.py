"""Which certificates a listener opens with."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from fastforward_compiler import ir
from fastforward_compiler.problem import Reason

from support import resources
from support.credentials import EPOCH, tls_data
from support.resources import resource

from .conftest import Bench

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def signed(key: PrivateKey, common_name: str = "", names: tuple[str, ...] | None = None) -> dict[str, str]:
    """A certificate signed by its own key; with `names`, subject alternative names."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(EPOCH).not_valid_after(EPOCH + dt.timedelta(days=1))
    if names is not None:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(text) for text in names])
        builder = builder.add_extension(alternatives, critical=False)
    made = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"tls.crt": made.public_bytes(serialization.Encoding.PEM).decode(), "tls.key": private.decode()}


def opened(bench: Bench, data: dict[str, str]) -> list[ir.Certificate]:
    """The certificates of an Edge that refers to a Secret with `data`."""
    tls = {"certificates": [{"name": "tls"}]}
    listener = {"name": "https", "port": 8443, "protocol": "HTTPS", "tls": tls}
    bench.apply(resources.edge(0, listeners=[listener]), resources.secret("tls", data))
    (edge,) = bench.compiler.snapshot().edges
    return [certificate for listener in edge.listeners for certificate in listener.certificates]


def test_names_are_taken_in_lower_case_and_sorted(bench: Bench) -> None:
    (certificate,) = opened(bench, tls_data("B.example.com", "a.example.com", "*.example.com"))
    assert certificate.hosts == ("*.example.com", "a.example.com", "b.example.com")


def test_a_certificate_without_alternative_names_has_its_common_name(bench: Bench) -> None:
    (certificate,) = opened(bench, signed(ec.generate_private_key(ec.SECP384R1()), "old.example.com"))
    assert certificate.hosts == ("old.example.com",)


def test_an_rsa_key_of_2048_bits_is_enough(bench: Bench) -> None:
    assert len(opened(bench, signed(rsa.generate_private_key(65537, 2048), names=("a.example.com",)))) == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, "has no tls.crt."),
        ({"tls.crt": "x"}, "has no tls.key."),
        ({"tls.crt": "x", "tls.key": "y"}, "holds no PEM certificate with its private key."),
        ({**tls_data("a.example.com"), "tls.key": "y"}, "holds no PEM certificate with its private key."),
        (signed(ec.generate_private_key(ec.SECP256R1())), "the certificate names no host."),
        (signed(ec.generate_private_key(ec.SECP256R1()), names=("bad name",)), "the certificate names no host."),
        (signed(rsa.generate_private_key(65537, 1024), "a.example.com"), "RSA keys have at least 2048 bits."),
        (signed(ec.generate_private_key(ec.SECP256K1()), "a.example.com"), "the key is neither RSA nor on one of"),
        (signed(ed25519.Ed25519PrivateKey.generate(), "a.example.com"), "the key is neither RSA nor on one of"),
    ],
    ids=range(9),
)
def test_a_certificate_that_the_proxy_would_refuse_is_left_out(bench: Bench, data: dict[str, str], why: str) -> None:
    assert opened(bench, data) == []
    assert bench.reasons("Edge", "public") == ["SecretInvalid"]
    assert why in bench.report("Edge", "public").problems[0].message


def test_a_secret_that_goes_takes_no_port_away(bench: Bench) -> None:
    tls = {"certificates": [{"name": "gone"}]}
    spec = {
        "hosts": ["example.com"],
        "listeners": [
            {"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls, "http3": True},
            {"name": "http", "port": 80},
        ],
    }
    bench.apply(resource("Edge", "public", spec))
    (edge,) = bench.compiler.snapshot().edges
    assert bench.reasons("Edge", "public") == [Reason.SECRET_NOT_FOUND]
    assert [listener.port for listener in edge.listeners] == [80]
    assert edge.held_ports == ((443, "TCP"), (443, "UDP"), (80, "TCP"))


@pytest.mark.parametrize(
    ("listener", "fine"), [("", True), ("http", True), ("https", False)], ids=["any", "served", "not served"]
)
def test_a_route_on_listeners_none_of_which_can_be_served_is_not_programmed(
    bench: Bench, listener: str, *, fine: bool
) -> None:
    tls = {"certificates": [{"name": "gone"}]}
    https = {"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls}
    http = {"name": "http", "port": 80}
    on = [{"name": "public", **({"listener": listener} if listener else {})}]
    bench.apply(resource("Edge", "public", {"hosts": ["example.com"], "listeners": [https, http]}))
    bench.apply(resources.route("shop", resources.rule(says="hello"), hosts="example.com", edges=on))
    assert [verdict.type for verdict in bench.report("Route", "shop").verdicts] == ([] if fine else ["Programmed"])
    bench.apply(resource("Edge", "public", {"hosts": ["example.com"], "listeners": [https]}))
    if listener != "http":
        (said,) = bench.report("Route", "shop").verdicts
        assert (said.holds, said.reason) == (False, Reason.LISTENERS_NOT_RESOLVED)
        assert "None of its listeners of Edge default/public can be served" in said.message
    bench.apply(resources.secret("gone", tls_data("example.com")))
    assert bench.report("Route", "shop").verdicts == ()
