"""What is said of a whole part of a document is told, whatever its fields say: a part left out is no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gatewayapi import foreign, gateway, http_route, listener
from support.gatewayapi import rule as gateway_rule
from support.imports import Document, ingress, path, run

MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "other", "port": 80}}}
DEFAULT = ingress(path("/a"))
DEFAULT["spec"]["defaultBackend"] = {"service": {"name": "other", "port": {"number": 80}}}


@pytest.mark.parametrize(
    ("documents", "told"),
    [
        (
            [ingress(path()), ingress(path("/v2"), name="c", canary="true", canary_weight="50")],
            "Ingress default/c: spec.rules[0].http.paths[0]: no equivalent: There is no Ingress with this host",
        ),
        (
            [ingress(path("/x")), ingress(path("/x", to="other"), name="b")],
            "Ingress default/b: spec.rules[0].http.paths[0]: changed: A match of it is left out",
        ),
        (
            [
                gateway(listener(80), {**listener(81, "db"), "protocol": "TCP"}),
                http_route("web", gateway_rule(to="web")),
            ],
            "spec.listeners[1]: no equivalent: An Edge has listeners for HTTP and HTTPS alone.",
        ),
        (
            [gateway(listener(80)), http_route("web", gateway_rule(to="web"), gateway_rule(to="other"))],
            "spec.rules[1]: changed: A match of it is left out",
        ),
        (
            [gateway(listener(80)), http_route("web", gateway_rule(to="web", filters=(MIRROR,) * 5))],
            "spec.rules[0].filters[4].requestMirror: no equivalent: A rule has four mirrors at most.",
        ),
        ([DEFAULT], "spec.defaultBackend: changed: Requests of all hosts of the Edge that no rule takes go there."),
    ],
    ids=["canary alone", "same path twice", "listener", "same rule twice", "fifth mirror", "default backend"],
)
def test_what_is_said_of_a_part_is_told(tmp_path: Path, documents: list[Document], told: str) -> None:
    _, said = run(tmp_path, *documents)
    assert told in said.err


@pytest.mark.parametrize("names", [("http", "http"), ("a.b", "a-b")])
def test_listeners_whose_names_meet_keep_their_ports(tmp_path: Path, names: tuple[str, str]) -> None:
    public = gateway(listener(80, names[0]), allowedListeners={"namespaces": {"from": "Same"}})
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}
    internal = foreign("ListenerSet", "internal", {"parentRef": parent, "listeners": [listener(8080, names[1])]})
    reference = {"group": "gateway.networking.k8s.io", "kind": "ListenerSet", "name": "internal"}
    route = http_route("web", gateway_rule(to="web"), parents=(reference,))
    found, _ = run(tmp_path, public, internal, route)
    ports = {each["name"]: each["port"] for each in found["Edge"][0]["listeners"]}
    assert sorted(ports.values()) == [80, 8080]
    assert [ports[each["listener"]] for each in found["Route"][0]["edges"]] == [8080]


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("extensions/v1beta1", "Ingress"),
        ("networking.istio.io/v1", "VirtualService"),
        ("projectcontour.io/v1", "HTTPProxy"),
        ("route.openshift.io/v1", "Route"),
        ("k8s.nginx.org/v1", "VirtualServer"),
    ],
)
def test_routes_of_others_are_no_equivalent(tmp_path: Path, version: str, kind: str) -> None:
    foreign_route = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": {"host": "a.test"}}
    _, said = run(tmp_path, ingress(path()), foreign_route)
    assert f"{kind} default/x: no equivalent" in said.err


def test_an_ingress_without_a_host_beside_others_is_told(tmp_path: Path) -> None:
    _, said = run(tmp_path, ingress(path("/api")), ingress(path(), name="b", host=""))
    assert "Ingress default/b: spec.rules[0].http.paths[0].path: changed: It takes what no rule" in said.err
    (tmp_path / "alone").mkdir()
    _, said = run(tmp_path / "alone", ingress(path(), name="b", host=""))
    assert "0 changed" in said.err
