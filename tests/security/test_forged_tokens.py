"""Forged tokens: Envoy and the evaluator refuse every one of them alike, and accept the good ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from fastforward_compiler.emit.envoy import authpolicy as emit_authpolicy
from fastforward_pipeline.compiled.keyset import KeySet

from security.deployment import Deployment, deploying
from security.policies import policy
from support.forged_jwts import Forgery, Issuer, forgeries
from support.resources import Document, config_map, prefix, route, rule

LEAST = 60
ISSUER = Issuer(now=int(time.time()))
FORGER = Issuer(now=ISSUER.now)
FORGERIES = forgeries(ISSUER, FORGER)
GOOD = {kid: f"Bearer {ISSUER.token(kid)}" for kid in ISSUER.keys} | {
    "several-audiences": f"Bearer {ISSUER.token(aud=['other', ISSUER.audience])}",
}


def documents(**jwt: object) -> list[Document]:
    source = {"configMap": {"name": "keys", "key": "jwks"}}
    described = {"issuer": ISSUER.name, "audiences": [ISSUER.audience], "jwks": source, **jwt}
    return [
        config_map("keys", {"jwks": ISSUER.jwks().decode()}),
        policy("callers", ("Route", "shop"), "Required", {"name": "main", "jwt": described}),
        route("shop", rule(prefix("/"), to="shop")),
    ]


@pytest.fixture(scope="module")
def deployment() -> Generator[Deployment]:
    with deploying(*documents(), origins=("shop",)) as running:
        assert running.problems == ()
        yield running


def accepted(deployment: Deployment, authorization: str) -> tuple[int, int, int]:
    """Statuses of a request with the header: by Envoy over HTTP/1.1 and 2, and by decide."""
    sent = [("authorization", authorization)]
    by_envoy = deployment.get("/", sent).status, deployment.get2("/", sent).status
    return *by_envoy, deployment.judge("/", sent).decision.status


def test_there_are_enough_forgeries() -> None:
    assert len({forgery.name for forgery in FORGERIES}) >= LEAST


@pytest.mark.parametrize("forgery", FORGERIES, ids=[forgery.name for forgery in FORGERIES])
def test_a_forged_token_is_refused_by_both_alike(deployment: Deployment, forgery: Forgery) -> None:
    assert accepted(deployment, forgery.authorization) == (forgery.status,) * 3, forgery.why
    assert deployment.received == 0


def test_forgeries_are_refused_after_a_good_token_was_cached(deployment: Deployment) -> None:
    assert accepted(deployment, GOOD["rsa"]) == (200, 200, 200)
    deployment.origins["shop"].received.clear()
    for forgery in FORGERIES:
        assert deployment.get("/", [("authorization", forgery.authorization)]).status == forgery.status, forgery.name


@pytest.mark.parametrize("name", GOOD)
def test_a_good_token_is_accepted_by_both(deployment: Deployment, name: str) -> None:
    assert accepted(deployment, GOOD[name]) == (200, 200, 200)
    deployment.origins["shop"].received.clear()


def let_through() -> set[str]:
    """Names of forgeries that Envoy or decide accept on the build as it is now."""
    with deploying(*documents(), origins=("shop",)) as broken:
        return {forgery.name for forgery in FORGERIES if 200 in accepted(broken, forgery.authorization)}


def break_providers(monkeypatch: pytest.MonkeyPatch, breaking: Callable[[Any], object]) -> None:
    """Every provider that is emitted from now on goes through `breaking`."""
    own = emit_authpolicy.emit_provider

    def broken(*given: Any) -> Any:  # noqa: ANN401 - messages have no types
        made = own(*given)
        breaking(made)
        return made

    monkeypatch.setattr(emit_authpolicy, "emit_provider", broken)


def know_the_forgers_keys(provider: Any) -> None:  # noqa: ANN401 - messages have no types
    known = json.loads(ISSUER.jwks())["keys"] + json.loads(FORGER.jwks())["keys"]
    provider.local_jwks.inline_bytes = json.dumps({"keys": known}).encode()


def test_the_check_sees_a_build_that_does_not_look_at_the_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    break_providers(monkeypatch, lambda provider: provider.ClearField("issuer"))
    assert {"iss-other", "iss-missing"} <= let_through()


def test_the_check_sees_a_proxy_that_does_not_look_at_what_a_token_calls_critical(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_providers(monkeypatch, lambda provider: provider.ClearField("header_in_metadata"))
    assert {"crit-unknown-true-key", "crit-empty-true-key", "crit-null-true-key"} <= let_through()


def test_the_check_sees_a_build_that_knows_the_forgers_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    break_providers(monkeypatch, know_the_forgers_keys)
    assert {"other-key-rsa", "other-key-ec", "other-key-ed", "jwk-kid-rsa"} <= let_through()


def test_the_check_sees_an_evaluator_that_does_not_verify_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeySet, "verify", lambda *_: True)
    assert {"alg-none", "hs256-pem", "other-key-rsa", "payload-changed"} <= let_through()
