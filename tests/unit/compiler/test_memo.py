"""What a change costs: itself, and what is made of it."""

from __future__ import annotations

from itertools import pairwise

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, ir, object_ref

from support import resources
from support.credentials import jwks, tls_data
from support.resources import Document, on, prefix, resource, rule, upstream

from .conftest import Bench

ROUTES = 10_000
JWT = {"issuer": "https://issuer", "jwks": {"configMap": {"name": "issuer", "key": "jwks"}}}


def route(number: int, path: str = "/a") -> Document:
    """A Route on a host of its own."""
    return resources.route(f"r{number}", rule(prefix(path), to="u"), hosts=f"h{number}.example.com")


@pytest.fixture(scope="module")
def large() -> Compiler:
    documents = [resources.edge(8080), upstream("u", 80), *(route(number) for number in range(ROUTES))]
    compiler = Compiler()
    delta = compiler.apply({object_ref(value): value for value in map(crds.parse_resource, documents)})
    assert (delta.translated, len(delta.tables.upserts), len(delta.reports)) == (ROUTES + 2, ROUTES, ROUTES + 2)
    return compiler


def change(compiler: Compiler, document: Document) -> ir.Delta:
    value = crds.parse_resource(document)
    return compiler.apply({object_ref(value): value})


def test_one_route_of_ten_thousand_is_translated_alone_and_makes_one_table(large: Compiler) -> None:
    delta = change(large, route(4711, "/b"))
    assert delta.translated == 1
    assert [table.name for table in delta.tables.upserts] == ["default/public|h4711.example.com#"]
    assert (delta.scopes, delta.upstreams, delta.edges) == (ir.Changes(), ir.Changes(), ir.Changes())


def test_an_upstream_edit_with_ten_thousand_routes_makes_no_table(large: Compiler) -> None:
    delta = change(large, upstream("u", 81))
    assert delta.translated == 1
    assert [changed.name for changed in delta.upstreams.upserts] == ["default/u"]
    assert (delta.tables, delta.scopes) == (ir.Changes(), ir.Changes())


def test_a_new_route_touches_nobody_else(large: Compiler) -> None:
    delta = change(large, route(ROUTES))
    assert delta.translated == 1
    assert len(delta.tables.upserts) == len(delta.scopes.upserts) == len(delta.reports) == 1
    gone = large.apply(dict.fromkeys(delta.reports))
    assert gone.tables.removed == ("default/public|h10000.example.com#",)
    assert gone.scopes.removed == ("default/public|h10000.example.com",)
    assert gone.tables.upserts == ()


def test_the_number_of_cells_that_a_change_makes_again_does_not_grow_with_the_routes(large: Compiler) -> None:
    small = Compiler()
    documents = [resources.edge(8080), upstream("u", 80), route(0), route(1)]
    small.apply({object_ref(value): value for value in map(crds.parse_resource, documents)})
    touched = []
    for compiler in (small, large):
        value = crds.parse_resource(route(1, "/c"))
        compiler._take_in(object_ref(value), value if isinstance(value, crds.Resource) else None)
        touched.append(sorted(cell.key[0].name for cell in compiler._cells.settle()))
    assert all(one == other for one, other in pairwise(touched))


def test_a_certificate_edit_translates_the_edge_and_no_route(bench: Bench) -> None:
    tls = {"name": "https", "port": 8443, "protocol": "HTTPS", "tls": {"certificates": [{"name": "tls"}]}}
    bench.apply(
        resources.edge(8080, listeners=[tls]),
        resources.secret("tls", tls_data("example.com")),
        resources.route("r", rule(says="hi")),
    )
    delta = bench.apply(resources.secret("tls", tls_data("other.example.com")))
    assert delta.translated == 1
    assert [edge.name for edge in delta.edges.upserts] == ["default/public"]
    assert delta.tables == ir.Changes()


def test_a_settings_edit_of_an_edge_emits_its_scopes_and_tables_again(bench: Bench) -> None:
    bench.apply(resources.edge(8080), resources.route("r", rule(says="hi"), hosts="example.com"))
    delta = bench.apply(resources.edge(8080, apiVersions={"header": "x-version"}))
    assert delta.translated == 1
    assert [scope.name for scope in delta.scopes.upserts] == ["default/public|example.com"]
    assert [table.name for table in delta.tables.upserts] == ["default/public|example.com#"]


def test_a_limit_edit_emits_the_tables_that_name_it_and_translates_no_route(bench: Bench) -> None:
    def limit(requests: int) -> Document:
        return resource("RateLimit", "l", {"targets": [on("Route", "r")], "budget": {"requests": requests}})

    bench.apply(
        resources.edge(8080),
        resources.route("r", rule(says="hi"), hosts="example.com"),
        resources.route("other", rule(says="hi"), hosts="a.example.com"),
        limit(1),
    )
    delta = bench.apply(limit(2))
    assert delta.translated == 1
    assert [table.name for table in delta.tables.upserts] == ["default/public|example.com#"]


def test_a_policy_edit_emits_the_tables_that_name_it_and_translates_no_route(bench: Bench) -> None:
    def policy(role: str) -> Document:
        providers = [{"name": "token", "jwt": JWT, "tenants": ["*"]}]
        grants = [{"name": "some", "roles": [role]}]
        spec = {"authentication": {"providers": providers}, "authorization": {"grants": grants}}
        return resource("AuthPolicy", "p", {"targets": [on("Edge", "public")], **spec})

    bench.apply(
        resources.edge(8080),
        resources.route("r", rule(says="hi"), hosts="example.com"),
        resources.config_map("issuer", {"jwks": jwks()}),
        policy("one"),
    )
    delta = bench.apply(policy("two"))
    assert delta.translated == 1
    assert [auth.name for auth in delta.auths.upserts] == ["default/p"]
    assert [table.name for table in delta.tables.upserts] == ["default/public|example.com#"]


def test_new_keys_are_handed_on_without_their_policy(bench: Bench) -> None:
    providers = [{"name": "token", "jwt": JWT, "tenants": ["*"]}]
    bench.apply(
        resources.config_map("issuer", {"jwks": jwks()}),
        resource("AuthPolicy", "p", {"targets": [on("Edge", "public")], "authentication": {"providers": providers}}),
    )
    delta = bench.apply(resources.config_map("issuer", {"jwks": jwks("new")}))
    assert [keyset.name for keyset in delta.keysets.upserts] == ["configmap/default/issuer/jwks"]
    assert delta.auths == ir.Changes()


def test_a_tenants_rule_makes_its_own_table_only(bench: Bench) -> None:
    def own(path: str) -> Document:
        return resources.route("own", rule(prefix(path, tenants=["t1"]), says="hi"), hosts="example.com")

    tenants = [resource("Tenant", f"t{number}", {}) for number in range(3)]
    everybody = resources.route("all", rule(says="all"), hosts="example.com")
    others = resources.route("others", rule({"tenants": ["t0", "t2"]}, says="hi"), hosts="example.com")
    bench.apply(resources.edge(8080), *tenants, everybody, others, own("/a"))
    delta = bench.apply(own("/b"))
    assert delta.translated == 1
    assert [table.name for table in delta.tables.upserts] == ["default/public|example.com#t1"]


def test_a_change_of_nothing_but_annotations_emits_nothing(bench: Bench) -> None:
    bench.apply(resources.edge(8080), resources.route("r", rule(says="hi")))
    document = resources.route("r", rule(says="hi"))
    document["metadata"]["annotations"] = {"note": "changed"}
    delta = bench.apply(document)
    assert (delta.tables, delta.reports) == (ir.Changes(), {})


def test_a_large_batch_leaves_the_garbage_collector_as_it_was(large: Compiler) -> None:
    import gc  # noqa: PLC0415

    values = [crds.parse_resource(route(number, "/z")) for number in range(1001)]
    gc.disable()
    try:
        large.apply({object_ref(value): value for value in values})
        assert not gc.isenabled()
    finally:
        gc.enable()
    large.apply({object_ref(value): value for value in values})
    assert gc.isenabled()


def test_a_tenants_first_rule_on_a_host_leaves_the_other_tenants_tables_alone(bench: Bench) -> None:
    def own(number: int) -> Document:
        return resources.route(f"r{number}", rule(prefix("/a", tenants=[f"t{number}"]), says="hi"), hosts="example.com")

    numbers = range(20)
    tenants = [resource("Tenant", f"t{number}", {}) for number in range(21)]
    bench.apply(resources.edge(8080), *tenants, *map(own, numbers))
    delta = bench.apply(own(20))
    assert [scope.name for scope in delta.scopes.upserts] == ["default/public|example.com"]
    assert [table.tenant for table in delta.tables.upserts] == ["", "t20"]
    assert len(delta.reports) == 1


def test_a_host_that_a_tenant_claims_leaves_other_hosts_alone(bench: Bench) -> None:
    routes = [resources.route(f"r{number}", rule(says="hi"), hosts=f"h{number}.example.com") for number in range(20)]
    bench.apply(resources.edge(8080), resource("Tenant", "t", {"hosts": ["h0.example.com"]}), *routes)
    delta = bench.apply(resource("Tenant", "u", {"hosts": ["h1.example.com"]}))
    assert [scope.host for scope in delta.scopes.upserts] == ["h1.example.com"]
    assert [table.scope for table in delta.tables.upserts] == ["default/public|h1.example.com"]


def test_a_policy_that_closes_a_table_is_done_when_the_table_is(bench: Bench) -> None:
    provider = {"name": "key", "apiKey": {"secrets": [{"name": "missing"}]}}
    spec = {"targets": [on("Edge", "public")], "authentication": {"providers": [provider]}}
    bench.apply(
        resources.edge(8080),
        resources.route("r", rule(says="hi"), hosts="example.com"),
        resource("AuthPolicy", "p", spec),
    )
    assert set(bench.report("AuthPolicy", "p").outputs) == {("table", "default/public|example.com#")}


def believing(*tenants: str, roles: tuple[str, ...] = ("one",)) -> Document:
    """A policy on everybody's rule alone."""
    providers = [{"name": "token", "jwt": JWT, "tenants": list(tenants)}]
    spec = {
        "authentication": {"providers": providers},
        "authorization": {"grants": [{"name": "some", "roles": list(roles)}]},
    }
    return resource("AuthPolicy", "p", {"targets": [on("Route", "all")], **spec})


@pytest.fixture
def shared(bench: Bench) -> Bench:
    """A host with everybody's rule and one of acme's, which no policy aims at."""
    bench.apply(
        resources.edge(8080),
        resource("Tenant", "acme", {}),
        resources.config_map("issuer", {"jwks": jwks()}),
        believing("acme"),
        resources.route("all", rule(says="hi"), hosts="example.com"),
        resources.route("own", rule(prefix("/", tenants=["acme"]), says="own"), hosts="example.com"),
    )
    return bench


def test_whom_everybodys_policy_believes_is_told_to_tenants_tables_that_do_not_name_it(shared: Bench) -> None:
    tables = ["default/public|example.com#", "default/public|example.com#acme"]
    for tenants in ((), ("acme",), ("*",)):
        delta = shared.apply(believing(*tenants))
        assert delta.translated == 1
        assert [table.name for table in delta.tables.upserts] == tables
        assert {("table", name) for name in tables} <= set(shared.report("AuthPolicy", "p").outputs)


def test_what_everybodys_policy_grants_is_not_told_to_tenants_tables(shared: Bench) -> None:
    delta = shared.apply(believing("acme", roles=("two",)))
    assert [table.name for table in delta.tables.upserts] == ["default/public|example.com#"]
