"""The tree of tenants, the hosts that are theirs, and who may speak for them."""

from __future__ import annotations

import pytest
from fastforward_compiler.translate.edge import covers
from fastforward_compiler.translate.tenant import covering

from support import resources
from support.credentials import jwks
from support.resources import Document, on, prefix, resource, rule

from .conftest import Bench


def tenant(name: str, **spec: object) -> Document:
    return resource("Tenant", name, dict(spec))


@pytest.mark.parametrize(
    ("owned", "host", "covered"),
    [
        ("a.example.com", "a.example.com", True),
        ("a.example.com", "b.example.com", False),
        ("*", "a.example.com", True),
        ("*", "*.example.com", True),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "*.b.example.com", True),
        ("*.example.com", "*.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
        ("*.b.example.com", "*.example.com", False),
        ("a.example.com", "*.example.com", False),
        ("*.example.com", "*", False),
    ],
)
def test_a_wildcard_covers_every_host_below_it_and_not_itself(owned: str, host: str, covered: bool) -> None:
    assert covers(owned, host) is covered


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("a.b.c", ["a.b.c", "*.b.c", "*.c", "*"]),
        ("*.b.c", ["*.b.c", "*.c", "*"]),
        ("local", ["local", "*"]),
        ("*", ["*"]),
    ],
)
def test_what_covers_a_host_comes_nearest_first(host: str, names: list[str]) -> None:
    assert list(covering(host)) == names
    assert all(covers(name, host) for name in names)


def speaks_for(bench: Bench) -> tuple[str, ...]:
    (auth,) = bench.compiler.snapshot().auths
    return auth.providers[0].tenants


def test_who_speaks_for_a_tenant_speaks_for_its_descendants_as_they_come_and_go(bench: Bench) -> None:
    jwt = {"issuer": "https://issuer", "jwks": {"configMap": {"name": "issuer", "key": "jwks"}}}
    providers = [{"name": "token", "tenants": ["root"], "jwt": jwt}]
    bench.apply(
        resources.edge(8080),
        resources.route("r", rule(says="hi")),
        resources.config_map("issuer", {"jwks": jwks()}),
        resource("AuthPolicy", "p", {"targets": [on("Route", "r")], "authentication": {"providers": providers}}),
        tenant("root"),
    )
    assert speaks_for(bench) == ("root",)
    bench.apply(tenant("leaf", parent="child"), tenant("child", parent="root"))
    assert speaks_for(bench) == ("child", "leaf", "root")
    bench.apply(tenant("child"))
    assert speaks_for(bench) == ("root",)
    bench.apply(tenant("root", parent="child"), tenant("child", parent="root"))
    assert speaks_for(bench) == ("root",), "a cycle has no descendants"
    bench.delete("Tenant", "root")
    assert speaks_for(bench) == ()


def test_a_change_of_plan_reaches_the_descendants_and_the_budgets_of_proxies(bench: Bench) -> None:
    plans = [{"plan": "pro", "requests": 50}]
    spec = {"targets": [on("Edge", "public")], "key": [{"type": "Tenant"}], "budget": {"requests": 5}, "plans": plans}
    bench.apply(tenant("root"), tenant("child", parent="root"), resource("RateLimit", "l", spec))
    assert bench.compiler.snapshot().limits[0].tenants == ()
    bench.apply(tenant("root", plan="pro"))
    (limit,) = bench.compiler.snapshot().limits
    assert [(name, budget.requests) for name, budget in limit.tenants] == [("child", 50), ("root", 50)]


def test_a_host_that_becomes_a_tenants_own_loses_its_tenant_tables_and_gets_them_back(bench: Bench) -> None:
    bench.apply(
        resources.edge(8080),
        tenant("acme"),
        resources.route("r", rule(prefix("/a", tenants=["acme"]), says="acme"), rule(says="all"), hosts="example.com"),
    )
    assert [entry.rule for entry in bench.entries(tenant="acme")] == ["rule-0"]
    bench.apply(tenant("acme", hosts=["example.com"]))
    assert bench.entries(tenant="acme") == ()
    assert [(entry.rule, entry.priority) for entry in bench.entries()] == [("rule-0", 100), ("rule-1", 0)]
    bench.apply(tenant("acme"))
    assert [entry.rule for entry in bench.entries(tenant="acme")] == ["rule-0"]
    assert [entry.rule for entry in bench.entries()] == ["rule-1"]


def test_a_tenants_host_follows_the_nearest_wildcard_that_has_rules(bench: Bench) -> None:
    def said() -> list[str]:
        return [entry.route for entry in bench.entries("a.b.example.com")]

    bench.apply(resources.edge(8080), tenant("acme", hosts=["a.b.example.com"]))
    assert said() == []
    bench.apply(resources.route("wide", rule(says="wide"), hosts="*.example.com"))
    assert said() == ["default/wide"]
    bench.apply(resources.route("near", rule(says="near"), hosts="*.b.example.com"))
    assert said() == ["default/near"]
    bench.apply(resources.route("own", rule(says="own"), hosts="a.b.example.com"))
    assert said() == ["default/own"]
    bench.delete("Route", "own")
    bench.delete("Route", "near")
    assert said() == ["default/wide"]
    bench.apply(tenant("acme"))
    assert said() == []


def test_the_nearest_wildcard_of_a_tenant_decides_whose_a_host_is(bench: Bench) -> None:
    bench.apply(
        resources.edge(8080),
        tenant("wide", hosts=["*.example.com"]),
        tenant("near", hosts=["*.b.example.com"]),
        resources.route("r", rule(says="hi"), hosts=("a.example.com", "a.b.example.com")),
    )
    owners = {scope.host: scope.host_tenant for scope in bench.compiler.snapshot().scopes}
    assert owners["a.example.com"] == "wide"
    assert owners["a.b.example.com"] == "near"
