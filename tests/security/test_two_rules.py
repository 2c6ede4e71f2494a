"""A rule that is found only when the caller is known asks for its own authentication, whichever rule let him in."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from fastforward_pipeline import evaluate
from fastforward_pipeline.stages import authorization

from security.deployment import HOST, Deployment, Pairs, deploying
from security.policies import api_keys, by_key, by_token, key_text, keys, policy
from support import tokens
from support.resources import Document, prefix, resource, route, rule


class Lead(NamedTuple):
    """How everybody's rule, which is public or lax, may lead to a strict one."""

    condition: Document
    edge: Document
    lax: tuple[Document, ...] = ()
    callers: tuple[Pairs, ...] = ((),)
    """None of them proves what the strict rule asks for."""


def bearer(issuer: str, **claims: object) -> Pairs:
    return tuple(tokens.bearer(issuer, **claims).items())


ROLE = bearer("lax", roles=["admin"], tenant="acme")
LEADS = {
    "region": Lead({"region": "eu"}, {"region": "eu"}),
    "region-of-a-lax-rule": Lead({"region": "eu"}, {"region": "eu"}, (by_token("lax", "*"),), ((), ROLE)),
    "role-of-a-lax-token": Lead({"roles": ["admin"]}, {}, (by_token("lax", "*"),), ((), ROLE)),
    "flag-of-a-lax-token": Lead({"flag": "beta"}, {}, (by_token("lax", "*"),), ((), ROLE)),
    "flag-of-a-key": Lead({"flag": "beta"}, {}, (by_key("*"),), ((), (("x-api-key", key_text("ACMEKEYACMEK")),))),
    "flag-of-a-trusted-header": Lead(
        {"flag": "beta"},
        {"trustedHops": {"addresses": ["127.0.0.1/32"], "tenantHeader": "x-tenant"}},
        (),
        ((), (("x-tenant", "acme"),)),
    ),
}


def documents(lead: Lead) -> list[Document]:
    return [
        keys("strict", "lax"),
        api_keys(ACMEKEYACMEK="acme"),
        resource("Tenant", "acme", {"flags": ["beta"]}),
        *([policy("lax", ("Route", "everybody"), "Optional", *lead.lax)] if lead.lax else []),
        policy("strict", ("Route", "few"), "Required", by_token("strict", "acme")),
        route("everybody", rule(prefix("/a"), to="public"), hosts=HOST),
        route("few", rule(prefix("/a", **lead.condition), to="secret"), hosts=HOST),
    ]


def served(deployment: Deployment, lead: Lead) -> list[str]:
    """Who was served by the strict rule without its authentication."""
    seen = []
    for caller in lead.callers:
        for get in (deployment.get, deployment.get2):
            seen += [f"{caller} by Envoy"] if get("/a", caller).origin == "secret" else []
        judged = deployment.judge("/a", caller)
        seen += [f"{caller} by decide"] if judged.proxied and judged.decision.route == "default/few" else []
    return seen


@pytest.mark.parametrize("name", LEADS)
def test_nobody_is_served_by_a_rule_whose_authentication_he_lacks(name: str) -> None:
    lead = LEADS[name]
    with deploying(*documents(lead), origins=("public", "secret"), edge_spec=lead.edge) as running:
        assert running.problems == ()
        assert served(running, lead) == []
        assert running.origins["secret"].received == []


def test_who_proves_it_is_served() -> None:
    lead = LEADS["region"]
    with deploying(*documents(lead), origins=("public", "secret"), edge_spec=lead.edge) as running:
        assert running.get("/a", bearer("strict")).origin == "secret"
        assert running.get("/a").status == 401
        assert running.get("/a", bearer("lax")).status == 401


@pytest.mark.parametrize("name", LEADS)
def test_the_check_sees_an_evaluator_that_asks_only_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    once = tuple(step for step in evaluate.STEPS if step is not authorization.recheck)
    monkeypatch.setattr(evaluate, "STEPS", once)
    lead = LEADS[name]
    with deploying(*documents(lead), origins=("public", "secret"), edge_spec=lead.edge) as broken:
        assert served(broken, lead) != []
