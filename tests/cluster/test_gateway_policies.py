"""Policies that aim at Gateways on a real API server: definitions take them, and the webhook refuses weaker ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from support import gatewayapi
from support.admission import Admitting, admitting, resource_of
from support.cluster.kubectl import Kubectl
from support.credentials import jwks
from support.gatewayapi import at, http_route, listener, path, rule
from support.operator import until
from support.resources import Document, Json, config_map, proven_by, tokens_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def scene(tmp_path: Path, kubectl: Kubectl, our_class: str, namespace: str) -> AsyncGenerator[Admitting]:
    """A Gateway with a policy and a route; `our_class` comes first: an operator asks once what there is to watch."""
    labels = {"gateway.fastforward.dev/use": "true"}
    gateway = gatewayapi.gateway(listener(80), listener(8080, "inner"), gatewayClassName=our_class)
    for document in (
        gateway,
        http_route("books", rule(path("/books"), name="list"), hosts=("books.example.com",)),
        config_map("keys", {"a": jwks("a"), "b": jwks("b")}, labels=labels),
    ):
        kubectl.apply({**document, "metadata": {**document["metadata"], "namespace": namespace}})
    async with admitting(tmp_path, kubectl.kubeconfig, (namespace,)) as found:
        told = await found.create(guard(namespace, "gateway", at("Gateway", "public")))
        assert (told.taken, told.warnings) == (True, ()), told.message
        yield found


def guard(namespace: str, name: str, *targets: Document, issuer: str = "a", **authentication: Json) -> Document:
    proof = authentication or proven_by(tokens_of(issuer))
    return resource_of(namespace, "AuthPolicy", name, {"targets": list(targets), "authentication": proof})


async def test_what_weakens_the_policy_of_a_gateway_is_refused(scene: Admitting, namespace: str) -> None:
    refused = [("spec.authentication", "WeakensInherited")]
    for name, target in (
        ("route", at("HTTPRoute", "books")),
        ("rule", at("HTTPRoute", "books", "list")),
        ("listener", at("Gateway", "public", "inner")),
    ):
        told = await scene.create(guard(namespace, name, target, issuer="b"))
        assert (told.by_webhook, told.causes) == (True, refused), told.message
        assert (await scene.create(guard(namespace, name, target))).taken


async def test_what_a_policy_aims_at_may_still_come(scene: Admitting, namespace: str) -> None:
    told = await scene.create(guard(namespace, "late", at("HTTPRoute", "late")))
    assert told.taken
    assert any(f"HTTPRoute {namespace}/late was not found." in text for text in told.warnings)
    route = http_route("late", rule(path("/late")), namespace=namespace)
    kinds = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"
    assert (await scene.api.ask("POST", kinds, route)).taken

    again = guard(namespace, "again", at("HTTPRoute", "late"))
    asked = await until(lambda: scene.api.create(again, dry=True), lambda told: not told.warnings)
    assert asked.taken


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({"kind": "Gateway", "name": "public", "group": "gateway.fastforward.dev"}, "group"),
        ({"kind": "HTTPRoute", "name": "books", "rule": "list"}, "rule"),
        ({"kind": "Edge", "name": "public", "sectionName": "http"}, "sectionName"),
        ({"kind": "TCPRoute", "name": "books"}, "kind"),
    ],
)
async def test_a_target_that_can_not_be_is_refused_by_the_definition(
    scene: Admitting, namespace: str, target: Document, field: str
) -> None:
    told = await scene.create(guard(namespace, "odd", target))
    assert (told.status, told.by_webhook) == (422, False)
    assert f"spec.targets[0].{field}" in {cause for cause, _ in told.causes}
