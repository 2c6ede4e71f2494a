"""The emitter: what a Delta changes is emitted again, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyDelta, EnvoyEmitter
from fastforward_compiler.emit.envoy.protos import EnvoyMessage, listener_pb2, scoped_route_pb2
from fastforward_compiler.emit.envoy.resource import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, SCOPE, SECRET
from fastforward_compiler.emit.envoy.table import scope_name

from support.credentials import certificate_pem, jwks, private_key_pem
from support.ir_values import EDGE, delta, edge, entry, hourly, jwt_provider, limit, scope, table, upstream


def ids(made: EnvoyDelta, *type_urls: str) -> list[tuple[str, str]]:
    return [resource.id for resource in made.upserts if not type_urls or resource.type_url in type_urls]


def bodies(made: EnvoyDelta) -> dict[tuple[str, str], bytes]:
    return {resource.id: resource.body for resource in made.upserts}


def removal(noun: str, *names: str) -> ir.Delta:
    return replace(ir.Delta(), **{noun: ir.Changes(removed=names)})


@pytest.fixture
def emitter() -> EnvoyEmitter:
    return EnvoyEmitter(EmitSettings())


@pytest.fixture
def shop(emitter: EnvoyEmitter) -> EnvoyEmitter:
    """An emitter that knows an Edge with two hosts."""
    emitter.apply(
        delta(
            edges=(edge(),),
            scopes=(scope("a"), scope("b")),
            tables=(table("a", entry("a")), table("b", entry("b"))),
            upstreams=(upstream(),),
        )
    )
    return emitter


def test_the_first_step_has_every_filter_that_listeners_wait_for(emitter: EnvoyEmitter) -> None:
    names = [name for _, name in ids(emitter.apply(ir.Delta()), EXTENSION)]
    assert names == ["resolve", "fallback", "jwt", "limits", "limits.shadow"]


def test_equal_worlds_have_equal_versions_whatever_the_order(emitter: EnvoyEmitter) -> None:
    scopes, tables = (scope("a"), scope("*.b")), (table("a", entry("a")), table("*.b", entry("b")))
    one = emitter.apply(delta(edges=(edge(),), scopes=scopes, tables=tables))
    other = EnvoyEmitter(EmitSettings()).apply(delta(edges=(edge(),), scopes=scopes[::-1], tables=tables[::-1]))
    assert {r.id: r.version for r in one.upserts} == {r.id: r.version for r in other.upserts}


def test_a_version_changes_exactly_with_the_body(shop: EnvoyEmitter) -> None:
    first = shop.apply(delta(tables=(table("a", entry("a", "/x")),))).upserts[0]
    back = shop.apply(delta(tables=(table("a", entry("a")),))).upserts[0]
    again = shop.apply(delta(tables=(table("a", entry("a", "/x")),))).upserts[0]
    assert (first.version, first.body) == (again.version, again.body)
    assert first.version != back.version


def test_an_unchanged_value_is_not_emitted_again(shop: EnvoyEmitter) -> None:
    made = shop.apply(delta(edges=(edge(),), scopes=(scope("a"),), tables=(table("a", entry("a")),)))
    assert ids(made) == []
    assert made.outputs["table", f"{EDGE}|a#"] == ((SCOPE, scope_name(f"{EDGE}|a#")),)


def test_a_changed_table_is_one_scope(shop: EnvoyEmitter) -> None:
    assert ids(shop.apply(delta(tables=(table("a", entry("a", "/new")),)))) == [(SCOPE, scope_name(f"{EDGE}|a#"))]


def test_a_changed_upstream_sends_its_endpoints_again_and_no_scope(shop: EnvoyEmitter) -> None:
    made = shop.apply(delta(upstreams=(upstream(connect_timeout_ms=1),)))
    assert ids(made) == [(CLUSTER, "shop/origin"), (ENDPOINTS, "shop/origin")]
    assert made.outputs["upstream", "shop/origin"] == tuple(ids(made))


def test_changed_endpoints_leave_the_cluster_alone(shop: EnvoyEmitter) -> None:
    assert ids(shop.apply(delta(upstreams=(upstream(port=10),)))) == [(ENDPOINTS, "shop/origin")]


def test_an_upstream_that_becomes_a_dns_name_drops_its_endpoints(shop: EnvoyEmitter) -> None:
    named = upstream(endpoints=(), dns=ir.Dns(host="cart.example", port=80, refresh_ms=5000))
    made = shop.apply(delta(upstreams=(named,)))
    assert (ids(made), made.removed) == ([(CLUSTER, "shop/origin")], ((ENDPOINTS, "shop/origin"),))
    assert made.outputs["upstream", "shop/origin"] == ((CLUSTER, "shop/origin"),)


def test_names_of_scopes_are_short_and_differ() -> None:
    names = [scope_name(f"shop/public|h{number}.example.com#") for number in range(1000)]
    assert {len(name) for name in names} == {22}
    assert len(set(names)) == len(names)


def test_what_is_removed_is_removed_by_name(shop: EnvoyEmitter) -> None:
    assert shop.apply(removal("tables", f"{EDGE}|a#")).removed == ((SCOPE, scope_name(f"{EDGE}|a#")),)
    gone = shop.apply(removal("upstreams", "shop/origin")).removed
    assert gone == ((CLUSTER, "shop/origin"), (ENDPOINTS, "shop/origin"))
    assert shop.apply(removal("edges", EDGE)).removed == ((LISTENER, f"{EDGE}/http"),)


def test_what_was_never_emitted_is_never_removed(shop: EnvoyEmitter) -> None:
    assert shop.apply(removal("tables", "no/such|table#")).removed == ()


def test_routes_never_change_a_listener(shop: EnvoyEmitter) -> None:
    made = shop.apply(delta(scopes=(scope("*.new"),), tables=(table("*.new", entry("new")),)))
    assert ids(made, LISTENER) == []


def test_only_wildcard_hosts_change_the_resolver(shop: EnvoyEmitter) -> None:
    assert ids(shop.apply(delta(scopes=(scope("c"),))), EXTENSION) == []
    assert ids(shop.apply(delta(scopes=(scope("*.c"),))), EXTENSION) == [(EXTENSION, "resolve")]
    assert ids(shop.apply(delta(scopes=(scope("*.c", region="eu"),))), EXTENSION) == []
    assert ids(shop.apply(removal("scopes", f"{EDGE}|*.c")), EXTENSION) == [(EXTENSION, "resolve")]


def test_an_edge_changes_its_tables_only_by_what_they_see(shop: EnvoyEmitter) -> None:
    assert ids(shop.apply(delta(edges=(edge(max_headers=50),)))) == [(LISTENER, f"{EDGE}/http")]
    shop.apply(delta(tables=(table("a", entry("a", match={"api_version": "v1"})),)))
    seen = shop.apply(delta(edges=(edge(max_headers=50, api_version_default="v1"),)))
    assert ids(seen) == [(SCOPE, scope_name(f"{EDGE}|a#"))]


def test_streams_are_taken_out_of_a_bound_that_an_edge_begins_to_have(shop: EnvoyEmitter) -> None:
    shop.apply(delta(tables=(table("a", entry("a", destination=ir.AdapterDispatch(protocol="WebSocket"))),)))
    bound = ir.AdaptiveConcurrency(least=1, most=9, percentile=50, measure_every_ms=1000)
    made = ids(shop.apply(delta(edges=(edge(adaptive_concurrency=bound),))))
    assert made == [(LISTENER, f"{EDGE}/http"), (SCOPE, scope_name(f"{EDGE}|a#"))]


def test_a_renewed_certificate_changes_no_listener(emitter: EnvoyEmitter) -> None:
    def https(chain: str) -> ir.Edge:
        pair = ir.Certificate(
            name="shop/tls", hosts=("a.test",), chain=chain.encode(), key=private_key_pem("a.test").encode()
        )
        return edge(listeners=(ir.Listener(name="https", port=8443, certificates=(pair,)),))

    emitter.apply(delta(edges=(https(certificate_pem("a.test")),)))
    assert ids(emitter.apply(delta(edges=(https(certificate_pem("a.test", "b.test")),)))) == [(SECRET, "shop/tls")]
    assert set(emitter.apply(removal("edges", EDGE)).removed) == {(LISTENER, f"{EDGE}/https"), (SECRET, "shop/tls")}


def test_a_certificate_of_two_edges_stays_until_the_last_is_gone(emitter: EnvoyEmitter) -> None:
    pair = ir.Certificate(name="shop/tls", hosts=("a.test",), chain=b"chain", key=b"key")
    listeners = (ir.Listener(name="https", port=8443, certificates=(pair,)),)
    emitter.apply(delta(edges=(edge(listeners=listeners), edge(name="shop/other", listeners=listeners))))
    assert emitter.apply(removal("edges", EDGE)).removed == ((LISTENER, f"{EDGE}/https"),)
    assert (SECRET, "shop/tls") in emitter.apply(removal("edges", "shop/other")).removed


def test_keys_and_policies_change_one_filter_and_no_listener(shop: EnvoyEmitter) -> None:
    auth = ir.Auth(name="shop/members", mode=ir.Mode.REQUIRED, providers=(jwt_provider("id", "*"),))
    made = shop.apply(delta(auths=(auth,), keysets=(ir.KeySet(name="keys-id", jwks=jwks("id").encode()),)))
    assert ids(made) == [(EXTENSION, "jwt")]
    assert made.outputs["auth", "shop/members"] == made.outputs["keyset", "keys-id"] == ((EXTENSION, "jwt"),)
    rotated = ir.KeySet(name="keys-id", jwks=jwks("id", "next").encode())
    assert ids(shop.apply(delta(keysets=(rotated,)))) == [(EXTENSION, "jwt")]


def test_what_the_proxy_can_not_judge_needs_no_filter(shop: EnvoyEmitter) -> None:
    keys = ir.ApiKeyHeader(header="x-api-key", apikeys=("shop/keys",))
    auth = ir.Auth(
        name="k", mode=ir.Mode.REQUIRED, providers=(ir.Provider(name="shop/k/k", policy="shop/k", kind=keys),)
    )
    made = shop.apply(delta(auths=(auth,), limits=(limit("shop/exact", 1, exact=True),)))
    assert ids(made) == []
    assert (made.outputs["auth", "k"], made.outputs["limit", "shop/exact"]) == ((), ())


def test_routes_refill_no_bucket(shop: EnvoyEmitter) -> None:
    made = shop.apply(
        delta(limits=(limit("shop/a", 1),), tables=(table("a", entry("a", limits=("shop/a",))),), edges=(edge(),))
    )
    assert ids(made, EXTENSION) == [(EXTENSION, "limits")]
    changed = shop.apply(delta(tables=(table("a", entry("a", "/other", limits=("shop/a",))),)))
    assert ids(changed) == [(SCOPE, scope_name(f"{EDGE}|a#"))]


def test_a_route_with_many_limits_alike_gets_the_slots_that_it_needs(shop: EnvoyEmitter) -> None:
    names = tuple(f"shop/l{place}" for place in range(6))
    shop.apply(delta(limits=tuple(limit(name, 1, "Address") for name in names)))
    made = shop.apply(delta(tables=(table("a", entry("a", limits=names)),)))
    assert ids(made) == [(SCOPE, scope_name(f"{EDGE}|a#")), (EXTENSION, "limits")]


def test_a_table_is_emitted_again_for_a_changed_policy(shop: EnvoyEmitter) -> None:
    def auth(*tenants: str) -> ir.Auth:
        return ir.Auth(name="m", mode=ir.Mode.REQUIRED, providers=(jwt_provider("id", *tenants),))

    guarded = table("a", entry("a", auth="m"))
    shop.apply(delta(auths=(auth("t1"),), tables=(guarded,)))
    made = shop.apply(delta(auths=(auth("t1", "t2"),), tables=(guarded,)))
    assert (SCOPE, scope_name(f"{EDGE}|a#")) in ids(made)


def test_a_limit_changes_only_the_filter(shop: EnvoyEmitter) -> None:
    limited = table("a", entry("a", limits=("shop/a",)))
    shop.apply(delta(limits=(limit("shop/a", 1),), tables=(limited,)))
    tighter = replace(limit("shop/a", 1), budget=hourly(2))
    assert ids(shop.apply(delta(limits=(tighter,), tables=(limited,)))) == [(EXTENSION, "limits")]


def test_the_work_of_a_step_does_not_grow_with_the_world(shop: EnvoyEmitter, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [f"h{number}" for number in range(300)]
    shop.apply(delta(scopes=tuple(map(scope, hosts)), tables=tuple(table(host, entry(host)) for host in hosts)))
    emitted = []
    original = EnvoyEmitter._emit_table
    monkeypatch.setattr(EnvoyEmitter, "_emit_table", lambda self, t: emitted.append(t.name) or original(self, t))
    shop.apply(delta(tables=(table("h7", entry("changed")),)))
    assert emitted == [f"{EDGE}|h7#"]


def test_ports_and_addresses_are_bound_as_the_settings_say() -> None:
    emitter = EnvoyEmitter(EmitSettings(bind_address="127.0.0.1,::1", ports={8080: 18080}))
    [made] = [r for r in emitter.apply(delta(edges=(edge(8080),))).upserts if r.type_url == LISTENER]
    listener = listener_pb2.Listener.FromString(made.body)
    bound = [listener.address, *(other.address for other in listener.additional_addresses)]
    assert [(a.socket_address.address, a.socket_address.port_value) for a in bound] == [
        ("127.0.0.1", 18080),
        ("::1", 18080),
    ]


def host_of(made: EnvoyDelta) -> EnvoyMessage:
    """The virtual host of the one table."""
    (body,) = (resource.body for resource in made.upserts if resource.type_url == SCOPE)
    return scoped_route_pb2.ScopedRouteConfiguration.FromString(body).route_configuration.virtual_hosts[0]


def test_what_all_rules_of_a_tenants_table_ask_of_a_filter_stands_once(emitter: EnvoyEmitter) -> None:
    members = ir.Auth(name="one", mode=ir.Mode.REQUIRED, providers=(jwt_provider("one", "t1"),))
    host = host_of(
        emitter.apply(
            delta(
                edges=(edge(),),
                auths=(members,),
                scopes=(scope("many", tenant_tables=("t1",), auths=("one",)),),
                tables=(table("many", entry("a", "/a", auth="one"), entry("b", "/b", auth="one"), tenant="t1"),),
            )
        )
    )
    assert list(host.typed_per_filter_config) == ["authorization"]
    assert host.SerializeToString().count(b"RBACPerRoute") == 1


def test_a_prefix_has_one_leaf(emitter: EnvoyEmitter) -> None:
    step = emitter.apply(delta(edges=(edge(),), scopes=(scope("a"),), tables=(table("a", entry("e", "/a")),)))
    assert list(host_of(step).matcher.matcher_tree.prefix_match_map.map) == ["/a/"]
