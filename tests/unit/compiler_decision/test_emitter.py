"""The decision snapshot, delta by delta: names, versions, what goes with what."""

from dataclasses import replace

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import DecisionDelta, DecisionEmitter, plan_name
from fastforward_compiler.emit.decision import route as routes
from fastforward_pipeline import Snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from fastforward.snapshot.v1 import snapshot_pb2
from support.ir_values import EDGE, delta, edge, entry, jwt_provider, limit, scope, table

HOST = "a.example.com"
SCOPE = f"{EDGE}|{HOST}"


def names(found: DecisionDelta) -> list[str]:
    return sorted(resource.name for resource in found.upserts)


def plan_names(one: ir.Table) -> list[str]:
    return [f"plan/{plan_name(found, one)}" for found in one.entries]


def started(*entries: ir.Entry) -> tuple[DecisionEmitter, ir.Table, DecisionDelta]:
    emitter, rules = DecisionEmitter(), table(HOST, *entries)
    return emitter, rules, emitter.apply(delta(edges=(edge(),), scopes=(scope(HOST),), tables=(rules,)))


def test_a_host_is_a_scope_a_table_and_a_plan_for_each_entry() -> None:
    _, rules, first = started(entry("one"), entry("two", "/two"))
    assert names(first) == sorted([f"scope/{SCOPE}", f"table/{SCOPE}#", *plan_names(rules)])
    (emitted,) = (resource.table for resource in first.upserts if resource.HasField("table"))
    assert [f"plan/{name}" for name in emitted.plans] == plan_names(rules)


def test_a_table_emitted_again_brings_only_its_new_plans() -> None:
    kept, changed = entry("kept"), entry("changed")
    emitter, rules, _ = started(kept, changed)
    after = table(HOST, kept, entry("changed", "/other"))
    second = emitter.apply(delta(tables=(after,)))
    assert names(second) == sorted([f"table/{SCOPE}#", plan_names(after)[1]])
    assert second.removed == (plan_names(rules)[1],)


def test_a_removed_table_takes_its_plans_along() -> None:
    emitter, rules, _ = started(entry("one"), entry("two"))
    gone = emitter.apply(ir.Delta(tables=ir.Changes(removed=(rules.name,)), scopes=ir.Changes(removed=(SCOPE,))))
    assert set(gone.removed) == {f"table/{SCOPE}#", f"scope/{SCOPE}", *plan_names(rules)}
    assert gone.upserts == ()


def test_entries_that_mean_the_same_share_a_plan() -> None:
    _, _, first = started(entry("one"), entry("one"))
    assert len([name for name in names(first) if name.startswith("plan/")]) == 1


def test_one_entry_in_two_tables_is_two_plans() -> None:
    shared = entry("shared")
    found = {
        plan_name(shared, rules)
        for rules in (table(HOST, shared), table("b.test", shared), table(HOST, shared, tenant="t"))
    }
    assert len(found) == 3


def test_a_plan_is_named_by_what_it_says() -> None:
    rules = table(HOST)
    assert plan_name(entry("one"), rules) == plan_name(entry("one"), rules)
    assert plan_name(entry("one"), rules) != plan_name(entry("one", "/x"), rules)


def test_names_are_kept_as_long_as_the_entry_lives() -> None:
    before = len(routes._digests)
    short = entry("short")
    plan_name(short, table(HOST))
    assert len(routes._digests) == before + 1
    del short
    assert len(routes._digests) == before


def test_a_changed_edge_changes_its_hosts_and_no_rule() -> None:
    emitter, _, _ = started(entry("one"))
    second = emitter.apply(delta(edges=(edge(tenant_header="x-tenant", trusted_addresses=("10.0.0.0/8",)),)))
    (resource,) = second.upserts
    assert resource.name == f"scope/{SCOPE}"
    assert (resource.scope.tenant_header, list(resource.scope.trusted)) == ("x-tenant", ["10.0.0.0/8"])
    assert second.outputs["edge", EDGE] == (f"scope/{SCOPE}",)


def test_the_scope_says_what_the_edge_and_the_host_say() -> None:
    emitter = DecisionEmitter()
    own = scope(HOST, region="north", host_tenant="acme")
    versions = edge(api_version_header="x-v", api_version_default="v1", trusted_hop_count=2)
    (resource,) = emitter.apply(delta(edges=(versions,), scopes=(own,))).upserts
    assert resource.scope == snapshot_pb2.Scope(
        edge=EDGE,
        host=HOST,
        region="north",
        api_version_header="x-v",
        api_version_default="v1",
        host_tenant="acme",
        trusted_hops=2,
        listeners=["http"],
        entrances=[snapshot_pb2.Entrance(listener="http", scheme="http", port=8080)],
    )


def test_a_scope_tells_by_which_listeners_requests_come() -> None:
    stream = ir.Stream(shares=(ir.Share(upstream="shop/db", weight=1),))
    at = ir.Listener(name="port-80", port=80, scope=f"{EDGE}@80")
    listeners = (
        replace(at, names=("b", "a")),
        replace(at, chains=(ir.Chain(name="web"), ir.Chain(name="db", stream=stream))),
        replace(at, name="port-90", stream=stream),
        replace(at, name="port-81", scope=f"{EDGE}@81"),
    )
    own = ir.Scope(name=f"{EDGE}@80|{HOST}", edge=EDGE, host=HOST)
    (resource,) = DecisionEmitter().apply(delta(edges=(edge(listeners=listeners),), scopes=(own,))).upserts
    assert list(resource.scope.listeners) == ["a", "b", "port-80", "web"]
    assert list(resource.scope.entrances) == []


def test_a_scope_of_an_edge_tells_where_its_listeners_listen() -> None:
    certificate = ir.Certificate(name="shop/tls", hosts=(HOST,), chain=b"", key=b"")
    listeners = (
        ir.Listener(name="https", port=8443, certificates=(certificate,)),
        ir.Listener(name="db", port=5432, stream=ir.Stream(shares=(ir.Share(upstream="shop/db", weight=1),))),
    )
    own = ir.Scope(name=SCOPE, edge=EDGE, host=HOST)
    (resource,) = DecisionEmitter().apply(delta(edges=(edge(listeners=listeners),), scopes=(own,))).upserts
    assert list(resource.scope.entrances) == [snapshot_pb2.Entrance(listener="https", scheme="https", port=8443)]


def test_a_removed_edge_and_its_host_leave_nothing_behind() -> None:
    emitter, rules, _ = started(entry("one"))
    gone = ir.Changes(removed=(EDGE,)), ir.Changes(removed=(SCOPE,)), ir.Changes(removed=(rules.name,))
    emitter.apply(ir.Delta(edges=gone[0], scopes=gone[1], tables=gone[2]))
    assert emitter.apply(delta(edges=(edge(),))).upserts == ()


def shard(name: str, namespace: str = "shop", **fields: str) -> ir.Shard:
    plain = {"region": "", "state": "Active", **fields}
    return ir.Shard(namespace=namespace, name=name, weight=1, upstreams=(("db", f"shop/{name}"),), **plain)


def test_the_shards_of_a_namespace_are_one_resource() -> None:
    emitter = DecisionEmitter()
    first = emitter.apply(delta(shards=(shard("b"), shard("a", state="Draining"), shard("c", "other"))))
    assert names(first) == ["shards/other", "shards/shop"]
    (shop,) = (found.shards for found in first.upserts if found.name == "shards/shop")
    assert [(one.name, one.state) for one in shop.shards] == [
        ("a", snapshot_pb2.SHARD_STATE_DRAINING),
        ("b", snapshot_pb2.SHARD_STATE_ACTIVE),
    ]
    assert first.outputs["shard", "shop/a"] == ("shards/shop",)
    second = emitter.apply(ir.Delta(shards=ir.Changes(removed=("shop/a", "other/c"))))
    assert (names(second), second.removed) == (["shards/shop"], ("shards/other",))
    assert [one.name for one in second.upserts[0].shards.shards] == ["b"]


AUTH = ir.Auth(name="shop/members", mode=ir.Mode.REQUIRED, providers=(jwt_provider("issuer", "acme"),))
KEYSET = ir.KeySet(name="keys-issuer", jwks=b'{"keys":[]}')
APIKEYS = ir.ApiKeys(name="shop/keys", pepper=bytes(32), keys=(ir.ApiKey(id="A", hash=bytes(32), tenant="acme"),))
TENANT = ir.Tenant(namespace="shop", name="acme", plan="gold", flags=("beta",))


def test_every_other_value_is_a_resource_of_its_own() -> None:
    emitter = DecisionEmitter()
    values = delta(
        auths=(AUTH,), keysets=(KEYSET,), apikeys=(APIKEYS,), limits=(limit("shop/l", 5, "Tenant"),), tenants=(TENANT,)
    )
    first = emitter.apply(values)
    expected = ["apikeys/shop/keys", "auth/shop/members", "keyset/keys-issuer", "limit/shop/l", "tenant/shop/acme"]
    assert names(first) == expected
    assert first.outputs == {tuple(name.split("/", 1)): (name,) for name in expected}
    gone = emitter.apply(
        ir.Delta(
            auths=ir.Changes(removed=("shop/members",)),
            keysets=ir.Changes(removed=("keys-issuer",)),
            apikeys=ir.Changes(removed=("shop/keys",)),
            limits=ir.Changes(removed=("shop/l",)),
            tenants=ir.Changes(removed=("shop/acme",)),
        )
    )
    assert (gone.upserts, list(gone.removed)) == ((), expected)


def test_versions_are_hashes_of_the_content() -> None:
    def version(tenant: ir.Tenant) -> str:
        return DecisionEmitter().apply(delta(tenants=(tenant,))).upserts[0].version

    assert version(TENANT) == version(ir.Tenant(namespace="shop", name="acme", plan="gold", flags=("beta",)))
    assert version(TENANT) != version(ir.Tenant(namespace="shop", name="acme", plan="free", flags=("beta",)))


def test_each_value_names_what_must_be_acknowledged() -> None:
    _, rules, first = started(entry("one"))
    assert first.outputs["table", rules.name] == (f"table/{rules.name}", *plan_names(rules))
    assert first.outputs["scope", SCOPE] == (f"scope/{SCOPE}",)
    assert first.outputs["edge", EDGE] == (f"scope/{SCOPE}",)


def test_what_is_removed_and_comes_back_in_one_step_stays() -> None:
    emitter, rules, _ = started(entry("one"))
    both = emitter.apply(ir.Delta(tables=ir.Changes(upserts=(rules,), removed=()), tenants=ir.Changes()))
    assert both.removed == ()


STEPS = st.lists(st.dictionaries(st.sampled_from(["a.test", "b.test"]), st.sets(st.sampled_from("xyz"))), max_size=5)


@settings(deadline=None)
@given(STEPS)
def test_step_by_step_is_what_it_would_be_from_nothing(steps: list[dict[str, set[str]]]) -> None:
    emitter, world, before = DecisionEmitter(), Snapshot.empty(), dict[str, ir.Table]()
    for step in steps:
        tables = {
            host: table(host, *(entry(rule, f"/{rule}") for rule in sorted(rules))) for host, rules in step.items()
        }
        gone = [one for host, one in before.items() if host not in tables]
        changed = ir.Delta(
            edges=ir.Changes(upserts=(edge(),)),
            scopes=ir.Changes(upserts=tuple(map(scope, tables)), removed=tuple(one.scope for one in gone)),
            tables=ir.Changes(upserts=tuple(tables.values()), removed=tuple(one.name for one in gone)),
        )
        found = emitter.apply(changed)
        world, before = world.apply(found.upserts, found.removed), tables
    assert set(world.tables) == {one.name for one in before.values()}
    assert set(world.plans) == {plan_name(found, one) for one in before.values() for found in one.entries}
