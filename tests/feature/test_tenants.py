"""Whose request it is, and rules for single tenants: by token, by host, by a trusted peer's header."""

import pytest

from support.client import Headers
from support.gateway import Gateway, until
from support.origin import Origin
from support.resources import edge, issuers, on, policy, prefix, proven_by, resource, route, rule, tokens_of
from support.tokens import bearer


@pytest.fixture
def members(gateway: Gateway) -> Gateway:
    """Everybody's rule, rules of two tenants, and tokens that are optional."""
    for name in ("everybody", "acme", "globex"):
        gateway.upstream(name)
    gateway.apply(
        edge(gateway.port),
        issuers("a", "b"),
        *(resource("Tenant", name, {}) for name in ("acme", "globex", "initech")),
        route("everybody", rule(prefix("/"), to="everybody"), rule(prefix("/open"), says="open")),
        route("acme", rule(prefix("/", tenants=["acme"]), to="acme")),
        route("globex", rule(prefix("/own", tenants=["globex"]), to="globex")),
        policy(
            "callers",
            on("Edge", "public"),
            authentication=proven_by(
                tokens_of("a", tenants=("acme", "globex", "initech")),
                tokens_of("b", tenants=("globex",)),
                mode="Optional",
            ),
        ),
    )
    return gateway


def origin_of(gateway: Gateway, target: str, headers: Headers = ()) -> str | None:
    return gateway.get(target, headers=headers).origin


def test_a_tenants_rules_take_its_requests_and_nobody_elses(members: Gateway) -> None:
    assert origin_of(members, "/own", bearer("a", tenant="acme")) == "acme"
    assert origin_of(members, "/own", bearer("a", tenant="globex")) == "globex"
    assert origin_of(members, "/own", bearer("a", tenant="initech")) == "everybody"
    assert origin_of(members, "/own", bearer("a")) == "everybody"
    assert origin_of(members, "/own") == "everybody"


def test_a_tenants_rules_come_before_longer_ones_for_everybody(members: Gateway) -> None:
    assert origin_of(members, "/open/x", bearer("a", tenant="acme")) == "acme"
    assert members.get("/open/x").body == "open"


def test_what_a_tenants_rules_lack_everybodys_serve(members: Gateway) -> None:
    assert origin_of(members, "/other", bearer("a", tenant="globex")) == "everybody"
    assert members.get("/open", headers=bearer("a", tenant="globex")).body == "open"


def test_a_path_that_only_tenants_have_is_404_for_others(members: Gateway) -> None:
    members.delete("Route", "everybody")
    until(lambda: members.get("/own").status, lambda status: status == 404)
    for headers in ({}, bearer("a"), bearer("a", tenant="initech")):
        answer = members.get("/own", headers=headers)
        assert (answer.status, answer.reason) == (404, "routing/no-route")
    assert members.get("/own", headers={"authorization": "Bearer a.b.c"}).status == 401
    assert origin_of(members, "/own", bearer("a", tenant="globex")) == "globex"


@pytest.mark.parametrize("headers", [{"x-ff-tenant": "acme"}, {"x-ff-table": "acme"}, {"x-tenant": "acme"}])
def test_no_header_makes_anybody_a_tenant(members: Gateway, headers: dict[str, str]) -> None:
    assert origin_of(members, "/own", headers) == "everybody"
    assert origin_of(members, "/own", {**headers, **bearer("a", tenant="globex")}) == "globex"


def test_an_issuer_that_may_not_speak_for_a_tenant_never_reaches_its_rules(members: Gateway) -> None:
    answer = members.get("/own", headers=bearer("b", tenant="acme"))
    assert (answer.status, answer.reason) == (403, "authentication/tenant-not-allowed")
    assert origin_of(members, "/own", bearer("b", tenant="globex")) == "globex"
    assert members.origins["acme"].received == []


def test_the_access_log_names_the_tenant_and_its_rule(members: Gateway) -> None:
    line = members.log_line(members.get("/own", headers=bearer("a", tenant="acme")))
    assert (line["tenant"], line["route"]) == ("acme", f"{members.namespace}/acme")
    line = members.log_line(members.get("/own", headers=bearer("a", tenant="initech")))
    assert (line["tenant"], line["route"]) == ("initech", f"{members.namespace}/everybody")


def test_tenants_may_share_a_rule_and_have_conditions_of_their_own(members: Gateway) -> None:
    both = prefix("/shared", tenants=["acme", "globex"], methods=["POST"])
    members.apply(route("shared", rule(both, to="acme"), priority=1))
    for tenant in ("acme", "globex"):
        assert members.request("POST", "/shared", headers=bearer("a", tenant=tenant)).origin == "acme"
    assert origin_of(members, "/shared", bearer("a", tenant="globex")) == "everybody"
    assert members.request("POST", "/shared").origin == "everybody"


def test_a_change_of_a_tenants_rule_takes_effect_and_its_end_too(members: Gateway) -> None:
    members.apply(route("globex", rule(prefix("/own", tenants=["globex"]), says="changed")))
    assert members.get("/own", headers=bearer("a", tenant="globex")).body == "changed"
    members.delete("Route", "globex")
    until(lambda: origin_of(members, "/own", bearer("a", tenant="globex")), lambda name: name == "everybody")


def test_wildcard_hosts_have_tenants_rules_as_well(members: Gateway) -> None:
    for host in ("deep.example.com", "DEEP.a.example.com:1"):
        assert members.get("/own", host=host, headers=bearer("a", tenant="globex")).origin == "globex"
        assert members.get("/own", host=host).origin == "everybody"


def test_a_tenant_that_is_not_there_is_told_and_the_other_matches_serve(gateway: Gateway) -> None:
    gateway.apply(
        route("books", rule(prefix("/a", tenants=["missing"]), prefix("/b"), says="hello")),
        expect={("Route", "books"): "TenantNotFound"},
    )
    assert gateway.get("/a").status == 404
    assert gateway.get("/b").body == "hello"


@pytest.fixture
def origin(gateway: Gateway) -> Origin:
    return gateway.upstream("books")


def test_a_host_of_a_tenant_needs_no_further_proof(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        resource("Tenant", "acme", {"hosts": ["acme.example.com"]}),
        route("everybody", rule(to="books")),
        route("acme", rule(prefix("/own", tenants=["acme"]), says="acme's own")),
    )
    assert gateway.get("/own", host="acme.example.com").body == "acme's own"
    assert gateway.get("/x", host="ACME.example.com:80", headers={"x-ff-tenant": "globex"}).origin == "books"
    assert origin.last.header("x-ff-tenant") == "acme"
    assert gateway.get("/own", host="other.example.com").origin == "books"
    assert origin.last.header("x-ff-tenant") is None


def test_credentials_of_another_tenant_are_refused_on_a_tenants_host(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        issuers("a"),
        resource("Tenant", "acme", {"hosts": ["acme.example.com"]}),
        resource("Tenant", "globex", {}),
        route("everybody", rule(to="books")),
        policy("members", on("Route", "everybody"), authentication=proven_by(tokens_of())),
    )
    assert gateway.get(host="acme.example.com", headers=bearer("a", tenant="acme")).status == 200
    assert origin.last.header("x-ff-tenant") == "acme"
    assert gateway.get(host="acme.example.com", headers=bearer("a")).status == 200
    assert origin.last.header("x-ff-tenant") == "acme"
    answer = gateway.get(host="acme.example.com", headers=bearer("a", tenant="globex"))
    assert answer.status == 403
    assert len(origin.received) == 2


def test_a_trusted_peer_names_the_tenant_in_a_header_and_nobody_else_does(
    deciding_gateway: Gateway, origin: Origin
) -> None:
    gateway = deciding_gateway
    trusted = {"addresses": ["127.0.0.7/32"], "tenantHeader": "X-Tenant"}
    gateway.apply(
        edge(gateway.port, trustedHops=trusted),
        resource("Tenant", "acme", {}),
        route("everybody", rule(prefix("/"), to="books")),
        route("acme", rule(prefix("/own", tenants=["acme"]), says="acme's own")),
    )
    with gateway.connect(source="127.0.0.7") as peer:
        assert peer.request("GET", "/own", host="example.com", headers={"x-tenant": "acme"}).body == "acme's own"
        assert peer.request("GET", "/", host="example.com", headers={"x-tenant": "acme"}).origin == "books"
        assert origin.last.header("x-ff-tenant") == "acme"
        assert "x-tenant" not in origin.last.names
        assert peer.request("GET", "/own", host="example.com").origin == "books"
    assert gateway.get("/own", headers={"x-tenant": "acme"}).origin == "books"
    assert origin.last.header("x-ff-tenant") is None
    assert "x-tenant" not in origin.last.names
