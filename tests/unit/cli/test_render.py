"""`ff render` prints everything that a proxy or a decision service gets, and no secret unless asked."""

import base64
from pathlib import Path
from typing import Any

import yaml

from support.credentials import jwks, webhook_key
from support.ff import ff
from support.issuer import LABEL, login_of
from support.issuer import SECRET as CLIENT_SECRET
from support.repository import ROOT
from support.resources import config_map, edge, on, policy, proven_by, resource, route, rule, secret, upstream

BOOKSHOP = ROOT / "examples" / "bookshop"
SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"


def test_envoy_gets_listeners_tables_clusters_and_filters() -> None:
    rendered = ff("render", BOOKSHOP, "-o", "json").json
    assert set(rendered["envoy.config.listener.v3.Listener"]) == {"bookshop/public/http", "bookshop/public/https"}
    assert "bookshop/catalog-v1" in rendered["envoy.config.cluster.v3.Cluster"]
    assert any("bookshop.localhost" in name for name in rendered["envoy.config.route.v3.ScopedRouteConfiguration"])
    assert "envoy.config.core.v3.TypedExtensionConfig" in rendered


def test_yaml_says_what_json_says() -> None:
    names = {"envoy.config.listener.v3.Listener", "envoy.config.cluster.v3.Cluster"}
    shown, same = yaml.safe_load(ff("render", BOOKSHOP).out), ff("render", BOOKSHOP, "-o", "json").json
    assert {name: shown[name] for name in names} == {name: same[name] for name in names}


def test_private_keys_are_redacted_unless_asked_for() -> None:
    hidden = ff("render", BOOKSHOP, "-o", "json").json[SECRET]
    shown = ff("render", BOOKSHOP, "-o", "json", "--show-secrets").json[SECRET]
    assert {one["tlsCertificate"]["privateKey"] for one in hidden.values()} == {"[redacted: --show-secrets]"}
    assert all(one["tlsCertificate"]["privateKey"]["inlineBytes"] for one in shown.values())


def test_the_decision_service_gets_plans_and_readable_key_sets() -> None:
    rendered = yaml.safe_load(ff("render", BOOKSHOP, "--target", "decision").out)
    assert {plan.get("route") for plan in rendered["plan"].values()} >= {"bookshop/books", "bookshop/orders"}
    (keyset,) = rendered["keyset"].values()
    assert keyset["jwks"]["keys"][0]["kty"] == "EC"


def test_what_proves_an_api_key_is_redacted_unless_asked_for() -> None:
    def keys(*options: str) -> dict[str, Any]:
        (found,) = ff("render", BOOKSHOP, "--target", "decision", "-o", "json", *options).json["apikeys"].values()
        return found

    assert keys()["pepper"] == "[redacted: --show-secrets]"
    assert {key["hash"] for key in keys()["keys"]} == {"[redacted: --show-secrets]"}
    assert "redacted" not in str(keys("--show-secrets"))


def test_what_the_issuer_knows_of_a_client_is_redacted_unless_asked_for(tmp_path: Path) -> None:
    documents = [
        edge(8080),
        upstream("login", 80),
        secret("client", {"secret": CLIENT_SECRET}),
        config_map("keys", {LABEL: jwks(LABEL)}),
        route("page", rule(says="page")),
        policy("staff", on("Route", "page"), authentication=proven_by(login_of())),
    ]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents))

    def client(*options: str) -> dict[str, Any]:
        (found,) = ff("render", tmp_path, "--target", "decision", "-o", "json", *options).json["oidc"].values()
        return found

    assert client()["secret"] == "[redacted: --show-secrets]"
    assert base64.b64decode(client("--show-secrets")["secret"]).decode() == CLIENT_SECRET


def test_what_signs_webhooks_is_redacted_unless_asked_for(tmp_path: Path) -> None:
    spec = {"events": ["a.b"], "upstream": {"name": "to"}, "secret": {"name": "keys"}}
    keys = secret(
        "keys", {"one": webhook_key("one"), "two": webhook_key("two")}, "gateway.fastforward.dev/webhook-keys"
    )
    hook = [resource("EventHook", "to", spec), upstream("to", 80), keys]
    (tmp_path / "hook.yaml").write_text(yaml.safe_dump_all(hook))

    def secrets(*options: str) -> list[str]:
        rendered = ff("render", tmp_path, "--target", "decision", "-o", "json", *options).json
        return rendered["eventhook"]["default/to"]["secrets"]

    assert secrets() == ["[redacted: --show-secrets]"] * 2
    assert secrets("--show-secrets") == [webhook_key(name).removeprefix("whsec_") for name in ("one", "two")]


FRONT = """
apiVersion: gateway.fastforward.dev/v1alpha1
kind: Edge
metadata: {name: public, namespace: shop}
spec:
  hosts: [api.example.com]
  listeners: [{name: http, port: 80}]
  front: {traefik: {addresses: [10.8.0.0/16], protocols: [rest, grpc]}}
"""


def test_a_traefik_in_front_gets_what_the_operator_would_apply(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text(FRONT)
    rendered = yaml.safe_load(ff("render", tmp_path, "--target", "traefik").out)
    assert rendered["kind"] == "List"
    routing = next(each for each in rendered["items"] if each["kind"] == "IngressRoute")
    assert routing["metadata"]["namespace"] == "fastforward-system"
    assert [route["match"] for route in routing["spec"]["routes"]] == [
        "Host(`rest.api.example.com`)",
        "Host(`grpc.api.example.com`)",
    ]
    assert {each["apiVersion"] for each in rendered["items"]} == {"traefik.io/v1alpha1"}


def test_without_a_traefik_in_front_it_is_said_that_there_is_none() -> None:
    rendered = ff("render", BOOKSHOP, "--target", "traefik")
    assert rendered.code == 1
    assert "No Edge here has front.traefik" in rendered.err
