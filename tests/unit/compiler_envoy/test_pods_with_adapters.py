"""Requests for pods with adapters: to them over mutual TLS, and to the decision service as long as there are none."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.emit.envoy import documents, upstream
from fastforward_kit.http import Address, Handler, HttpServer, Request, Response

from support.certified import Authority
from support.processes import free_ports
from support.resources import edge, exact, resource, route, rule
from support.resources import upstream as upstream_of
from support.static_envoy import serving


def compiled(port: int) -> ir.Delta:
    rest = {"component": "Ingress", "adapters": ["REST"], "decision": {"name": "decision"}}
    made = [
        edge(port),
        upstream_of("orders", 1, protocol="GRPC"),
        resource("Workload", "decision", {}),
        resource("Workload", "rest", rest),
        route("shop", rule(exact("/orders"), message={"type": "a.b", "upstream": {"name": "orders"}})),
    ]
    for document in made:
        document["metadata"]["namespace"] = "shop"
    resources = [crds.parse_resource(document) for document in made]
    return Compiler(pods="system").apply({object_ref(each): each for each in resources})


def at(delta: ir.Delta, host: str, port: int) -> ir.Delta:
    """The same, with the pods there."""
    found = tuple(
        replace(each, dns=replace(each.dns, host=host, port=port)) if each.workload and each.dns else each
        for each in delta.upstreams.upserts
    )
    return replace(delta, upstreams=replace(delta.upstreams, upserts=found))


def says(text: str) -> Handler:
    def answer(_: Request) -> Response:
        return Response(200, (), text.encode())

    return answer


@pytest.mark.parametrize(
    ("host", "kind", "name", "answered"),
    [
        ("nowhere.invalid", "workload", "rest", (200, "EntryPoint")),
        ("127.0.0.1", "workload", "rest", (200, "pod")),
        ("127.0.0.1", "workload", "other", (200, "EntryPoint")),
    ],
    ids=["none are there", "they are there", "somebody else is there"],
)
async def test_who_is_sent_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, kind: str, name: str, answered: tuple[int, str]
) -> None:
    authority, [port, pod] = Authority(tmp_path), free_ports(2)
    folder = authority.fill("edge", "public")
    for file, text in documents(str(folder)).items():
        (folder / file).write_text(text)
    monkeypatch.setattr(upstream, "TLS_FOLDER", str(folder))
    entrypoint = HttpServer(says("EntryPoint"))
    pods = HttpServer(says("pod"), tls=authority.node(kind, name).server, peers="(edge|gateway)")
    await entrypoint.listen(Address(path=tmp_path / "d.sock"))
    await pods.listen(Address(host="127.0.0.1", port=pod))
    try:
        delta = at(compiled(port), host, pod)
        with serving(delta, port, tmp_path, decision_socket=str(tmp_path / "d.sock")) as envoy:
            answer = await asyncio.to_thread(envoy.ask, "example.com", "/orders", method="POST", body=b"{}")
        assert (answer.status, answer.body if answer.status == 200 else "") == answered
    finally:
        for server in (entrypoint, pods):
            await server.drain(linger_seconds=0, limit_seconds=0.2)
