"""Services that are asked by TLS under attack: who stands in for one neither lets anybody pass nor hears anything.

Each impostor lets everybody pass, and has all but one of what the Upstream asks for.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import pytest
from fastforward_compiler.emit.decision import upstream as emitting
from fastforward_entrypoint import external, trust
from fastforward_pipeline.compiled import upstream as compiling
from fastforward_pipeline.compiled.servicetls import ServiceTls

from fastforward.snapshot.v1 import snapshot_pb2
from security.deployment import Deployment, deploying
from support.credentials import certificate_pem, pin, private_key_pem
from support.origin import Loop, Origin, Reply
from support.resources import Document, config_map, prefix, resource, route, rule, upstream

HOST, OTHER, FORGER = "guard.example.com", "other.example.com", "forger.example.com"
RIGHT, ANOTHER = certificate_pem(HOST), certificate_pem(OTHER)
FORGED = certificate_pem(FORGER, HOST)
"""It has the name; its key, which signs it, is somebody else's."""
KEY = (("x-key", "secret"),)
PROOFS: dict[str, tuple[str, str]] = {
    "right": (HOST, RIGHT),
    "authority": (FORGER, FORGED),
    "name": (OTHER, ANOTHER),
    "key": (FORGER, FORGED),
    "clear": ("", ""),
}
"""Of each service: whose key it has, and its certificate."""


def documents(port: int, who: str) -> list[Document]:
    """A Route whose callers a service at this port must let pass. Whom to believe leaves `who` one thing to prove."""
    believed = {"name": RIGHT + ANOTHER, "key": RIGHT + FORGED}.get(who, RIGHT)
    pins = {"pins": [pin(HOST)]} if who in ("right", "key") else {}
    tls = {"serverName": HOST, "authorities": [{"name": "believed"}], **pins}
    asked = {"upstream": {"name": "guard"}, "requestHeaders": ["x-key"], "timeout": "5s"}
    spec = {"targets": [{"kind": "Route", "name": "shop"}], "authorization": {"external": asked}}
    return [
        route("shop", rule(prefix("/"), to="shop")),
        config_map("believed", {"ca.crt": believed}),
        upstream("guard", port, tls=tls),
        resource("AuthPolicy", "guarded", spec),
    ]


@contextlib.contextmanager
def standing_in(folder: Path, who: str) -> Generator[tuple[Deployment, Origin]]:
    """A deployment in which this one is where the service should be, and lets everybody pass."""
    loop = Loop()
    service = Origin(name=who, loop=loop, answer=lambda _: Reply(), tls=context(folder, *PROOFS[who]))
    service.start()
    try:
        with deploying(*documents(service.port, who), origins=("shop",)) as running:
            assert running.problems == ()
            yield running, service
    finally:
        service.stop()
        loop.stop()


def context(folder: Path, label: str, certificate: str) -> ssl.SSLContext | None:
    if not certificate:
        return None
    (folder / "pair.pem").write_text(certificate + private_key_pem(label))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "pair.pem")
    return made


def test_the_service_itself_lets_pass(tmp_path: Path) -> None:
    with standing_in(tmp_path, "right") as (running, service):
        assert running.get("/", KEY).status == 200
        assert [request.values("x-key") for request in service.received] == [["secret"]]


@pytest.mark.parametrize("who", [name for name in PROOFS if name != "right"])
def test_who_stands_in_for_it_neither_lets_pass_nor_hears_anything(tmp_path: Path, who: str) -> None:
    with standing_in(tmp_path, who) as (running, impostor):
        assert running.get("/", KEY).status == 503
        assert impostor.received == []
        assert running.origins["shop"].received == []


Break = Callable[[pytest.MonkeyPatch], None]


def believing_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS without a look at who is there."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    monkeypatch.setattr(external, "_trust", lambda _: made)


def believing_authorities_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "fault_of", lambda *_: "")


def believing_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trust.fault_of

    def of_names(asked: ServiceTls, certificate: bytes | None) -> str:
        return whole(replace(asked, pins=()), certificate)

    monkeypatch.setattr(trust, "fault_of", of_names)


def publishing_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision service never hears of them."""
    whole = emitting.emit_tls

    def without(*of: object) -> snapshot_pb2.ServiceTls:
        made = whole(*of)  # ty: ignore[invalid-argument-type]
        del made.pins[:]
        return made

    monkeypatch.setattr(emitting, "emit_tls", without)


def speaking_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "compile_tls", lambda _: None)


@pytest.mark.parametrize(
    ("who", "fault"),
    [
        ("authority", believing_anybody),
        ("name", believing_anybody),
        ("name", believing_authorities_alone),
        ("key", believing_authorities_alone),
        ("key", believing_names_alone),
        ("key", publishing_no_keys),
        ("clear", speaking_in_clear),
    ],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_the_check_sees_a_build_that_asks_for_less(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, who: str, fault: Break
) -> None:
    fault(monkeypatch)
    with standing_in(tmp_path, who) as (broken, impostor):
        assert broken.get("/", KEY).status == 200
        assert [request.values("x-key") for request in impostor.received] == [["secret"]]
