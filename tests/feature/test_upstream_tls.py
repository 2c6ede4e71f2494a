"""TLS towards endpoints: whom the proxy believes, and what it shows of itself.

A second Edge that ends TLS stands for the endpoint.
"""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives import serialization

from support.credentials import certificate_pem, private_key, tls_data
from support.gateway import Gateway
from support.processes import free_port
from support.resources import Document, config_map, edge, resource, route, rule, secret, upstream

INNER, OTHER = "inner.example.com", "other.example.com"


def pin(host: str) -> str:
    spki = (
        private_key(host)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


@pytest.fixture
def port(gateway: Gateway) -> int:
    """Of an endpoint that speaks TLS as `inner.example.com`."""
    port = free_port()
    listener = {"name": "https", "port": port, "protocol": "HTTPS", "tls": {"certificates": [{"name": "inner"}]}}
    gateway.apply(
        secret("inner", tls_data(INNER), "kubernetes.io/tls"),
        edge(gateway.port, hosts=["example.com"]),
        edge(port, name="inner", hosts=[INNER], listeners=[listener]),
        resource("Route", "inner", {"edges": [{"name": "inner"}], "rules": [{"respond": {"body": "by TLS"}}]}),
        config_map("right", {"ca.crt": certificate_pem(INNER)}),
        config_map("wrong", {"ca.crt": certificate_pem("somebody.else")}),
        route("books", rule(to="books", rewrite={"host": INNER}), hosts="example.com"),
        upstream("books", port),
    )
    return port


def ask(gateway: Gateway, port: int, **tls: object) -> tuple[int, bytes]:
    gateway.apply(upstream("books", port, tls=tls))
    answer = gateway.get()
    return answer.status, answer.content if answer.status == 200 else b""


RIGHT: Document = {"authorities": [{"name": "right"}]}


@pytest.mark.parametrize(
    ("tls", "status"),
    [
        ({"serverName": INNER, **RIGHT}, 200),
        ({"serverName": INNER, "names": [OTHER, INNER], **RIGHT}, 200),
        ({"serverName": INNER, "authorities": [{"name": "wrong"}, {"name": "right"}]}, 200),
        ({"serverName": INNER, "pins": [pin(OTHER), pin(INNER)], **RIGHT}, 200),
        ({"serverName": INNER, "names": [OTHER], **RIGHT}, 503),
        ({"serverName": INNER, "authorities": [{"name": "wrong"}]}, 503),
        ({"serverName": INNER, "pins": [pin(OTHER)], **RIGHT}, 503),
        ({"serverName": INNER, "pins": [pin(INNER)]}, 503),
        ({"serverName": INNER}, 503),
    ],
)
def test_only_who_proves_to_be_it_is_believed(gateway: Gateway, port: int, tls: Document, status: int) -> None:
    assert ask(gateway, port, **tls) == (status, b"by TLS" if status == 200 else b"")


def test_what_it_names_must_be_there_and_nothing_goes_in_clear_text(gateway: Gateway) -> None:
    books = gateway.origin("books")
    for tls, field, reason in (
        ({"authorities": [{"name": "nobody"}]}, "spec.tls.authorities[0]", "SecretNotFound"),
        ({"certificate": {"name": "nobody"}}, "spec.tls.certificate", "SecretNotFound"),
        ({"certificate": {"name": "keys", "namespace": "elsewhere"}}, "spec.tls.certificate", "RefNotPermitted"),
    ):
        gateway.apply(
            upstream("books", books.port, tls={"serverName": INNER, **tls}),
            route("books", rule(to="books")),
            expect={("Upstream", "books"): reason},
        )
        assert list(gateway.problems("Upstream", "books")) == [field]
        assert (gateway.get().status, books.received) == (503, [])
