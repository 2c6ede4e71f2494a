"""Services that are asked by TLS: who proves less than the Upstream says is not asked, over real connections."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from fastforward_entrypoint.external import ServiceAsker
from fastforward_entrypoint.trust import fault_of, trust
from fastforward_pipeline import AskService, ServiceAnswer, Unavailable
from fastforward_pipeline.compiled.servicetls import ServiceTls
from fastforward_pipeline.compiled.upstream import Upstream, compile_upstream

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.credentials import certificate_pem, pin, private_key_pem
from support.webhooks import receiving

HOST, OTHER = "guard.example.com", "other.example.com"
ASKED = AskService("shop/p", "shop/guard", "POST", "/authz?q=1", (("host", "shop.example"),), 5.0, b"{}")


RIGHT = ServiceTls(server_name=HOST, authorities=certificate_pem(HOST), names=(HOST,))


@pytest.mark.parametrize(
    ("tls", "asked"),
    [
        (RIGHT, True),
        (replace(RIGHT, server_name=OTHER), True),
        (replace(RIGHT, names=(OTHER, HOST)), True),
        (replace(RIGHT, pins=(pin(OTHER), pin(HOST))), True),
        (replace(RIGHT, names=(OTHER,)), False),
        (replace(RIGHT, pins=(pin(OTHER),)), False),
        (replace(RIGHT, authorities=certificate_pem(HOST, "again.example.com")), False),
        (replace(RIGHT, authorities=""), False),
        (replace(RIGHT, authorities="no certificate"), False),
        (None, False),
    ],
    ids=["right", "asked for another", "one name", "one key", "names", "keys", "authority", "system", "none", "clear"],
)
async def test_who_proves_what_is_asked_is_asked(tmp_path: Path, tls: ServiceTls | None, *, asked: bool) -> None:
    (tmp_path / "pair.pem").write_text(certificate_pem(HOST) + private_key_pem(HOST))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    async with receiving(tls=context) as service:
        upstream = Upstream(name="shop/guard", endpoints=((f"127.0.0.1:{service.port}", 1),), tls=tls)
        asker = ServiceAsker({"shop/guard": upstream}.get)
        try:
            answer = await asker.ask(ASKED)
        finally:
            await asker.close()
        assert isinstance(answer, ServiceAnswer if asked else Unavailable)
        assert len(service.received) == asked
        if asked:
            assert service.received[0].headers["host"] == "shop.example"


async def test_who_speaks_no_tls_is_told_nothing() -> None:
    async with receiving() as service:
        upstream = Upstream(name="shop/guard", endpoints=((f"127.0.0.1:{service.port}", 1),), tls=RIGHT)
        asker = ServiceAsker({"shop/guard": upstream}.get)
        try:
            assert isinstance(await asker.ask(ASKED), Unavailable)
        finally:
            await asker.close()
        assert service.received == []


def test_stars_of_certificates_stand_for_one_label() -> None:
    der = ssl.PEM_cert_to_DER_cert(certificate_pem("*.example.com"))
    for name, proven in (("a.example.com", True), ("a.b.example.com", False), ("example.com", False)):
        assert (fault_of(replace(RIGHT, names=(name,)), der) == "") is proven
    assert fault_of(RIGHT, None) == "there is no certificate"


def test_nothing_is_believed_that_proves_nothing() -> None:
    assert trust(RIGHT).verify_mode == ssl.CERT_REQUIRED
    wire = pb.Upstream(load_balancing=pb.LOAD_BALANCING_RANDOM, tls=pb.ServiceTls(server_name=HOST))
    with pytest.raises(ValueError, match="proves nothing"):
        compile_upstream("shop/guard", wire)
