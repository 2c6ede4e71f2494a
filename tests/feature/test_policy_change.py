"""Policies come and go under load: what shared filters hold is there before, and goes after, what names it."""

import json
from pathlib import Path

from support.credentials import jwks
from support.load import load
from support.operator import edge, gateway, respond, serves, until

KEYS = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: keys}}
data: {{keys: {json.dumps(jwks("issuer"))}}}
"""
POLICY = """
apiVersion: gateway.fastforward.dev/v1alpha1
kind: AuthPolicy
metadata: {name: members}
spec:
  targets: [{kind: Route, name: shop}]
  authentication:
    mode: Optional
    providers:
    - {name: issuer, tenants: ['*'], jwt: {issuer: https://issuer, jwks: {configMap: {name: keys, key: keys}}}}
"""
CONDITION = """
  authorization:
    grants: [{name: readers, condition: "request.method == 'GET'"}]
"""
LIMIT = """
apiVersion: gateway.fastforward.dev/v1alpha1
kind: RateLimit
metadata: {name: browsing}
spec:
  targets: [{kind: Route, name: shop}]
  budget: {requests: 1000000, window: 1s}
"""


async def test_policies_that_come_and_go_refuse_nobody_that_they_let_in(tmp_path: Path) -> None:
    async with gateway(tmp_path, removal_grace_s=0.1) as running:
        running.write("edge", edge("*.example.com"), KEYS)
        running.write("shop", respond("shop", "shop.example.com", "hello"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "hello")
        async with load(envoy.port, "shop.example.com") as seen:
            for _ in range(10):
                running.write("policy", POLICY)
                running.write("limit", LIMIT)
                await until(lambda: running.programmed("AuthPolicy", "members"), bool)
                await until(lambda: running.programmed("RateLimit", "browsing"), bool)
                running.remove("policy")
                running.remove("limit")
                await until(lambda: running.object("AuthPolicy", "members"), lambda found: not found)
                await until(lambda: running.object("RateLimit", "browsing"), lambda found: not found)
        assert not seen.failed
        assert seen.answers[200] > 50


async def test_a_policy_that_moves_from_the_proxy_to_the_decision_service_and_back_refuses_nobody(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, removal_grace_s=0.1, decision_timeout_ms=5000) as running:
        running.start_decision_service()
        running.write("edge", edge("*.example.com"), KEYS)
        running.write("shop", respond("shop", "shop.example.com", "hello"))
        running.write("policy", POLICY)
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "hello")
        await until(lambda: running.programmed("AuthPolicy", "members"), bool)
        await until(lambda: running.told("decision"), bool)
        async with load(envoy.port, "shop.example.com") as seen:
            for generation in range(2, 22):
                running.write("policy", POLICY if generation % 2 else POLICY + CONDITION)
                await until(lambda wanted=generation: running.programmed("AuthPolicy", "members", wanted), bool)
        assert not seen.failed
        assert seen.answers[200] > 50


async def test_what_no_route_names_any_more_leaves_the_filters_in_the_end(tmp_path: Path) -> None:
    async with gateway(tmp_path, removal_grace_s=0.1) as running:
        running.write("edge", edge("*.example.com"), KEYS)
        running.write("shop", respond("shop", "shop.example.com", "hello"))
        running.write("policy", POLICY)
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "hello")
        await until(lambda: running.programmed("AuthPolicy", "members"), bool)

        async def filters() -> str:
            return await envoy.admin("/config_dump?resource=ecds_filters")

        await until(filters, lambda text: "https://issuer" in text)
        running.remove("policy")
        await until(filters, lambda text: "https://issuer" not in text)
        assert (await envoy.get("shop.example.com")).status == 200
