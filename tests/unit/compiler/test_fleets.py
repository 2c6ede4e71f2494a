"""What each Edge's proxies are told: what its rules use, all of that, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.fleets import Fleets, edge_of
from hypothesis import given, settings
from hypothesis import strategies as st

PUBLIC, PRIVATE = "shop/public", "shop/private"
KEYS = ir.KeySet(name="shop/members/main", jwks=b"{}")
JWT = ir.Jwt(
    issuer="https://id.example.com",
    audiences=(),
    keyset=KEYS.name,
    tenant_claim="tenant",
    roles_claim="roles",
    permissions_claim="permissions",
    clock_skew_s=60,
)
PROVIDER = ir.Provider(name="shop/members/main", policy="shop/members", kind=JWT)
MEMBERS = ir.Auth(name="shop/members", mode=ir.Mode.REQUIRED, providers=(PROVIDER,))
LIMIT = ir.Limit(name="shop/slow", key=(), budget=ir.Budget(requests=1, window_ms=1000, burst=1))


def upstream(name: str, port: int = 80) -> ir.Upstream:
    return ir.Upstream(name=name, endpoints=(ir.Endpoint(address="10.0.0.1", port=port),))


def scope(edge: str, *auths: str) -> ir.Scope:
    return ir.Scope(name=f"{edge}|example.com", edge=edge, host="example.com", auths=auths)


def table(edge: str, *upstreams: str, auth: str = "", limits: tuple[str, ...] = (), tenant: str = "") -> ir.Table:
    shares = tuple(ir.Share(upstream=name, weight=1) for name in upstreams)
    entry = ir.Entry(
        id="x",
        route="shop/x",
        rule="x",
        priority=0,
        match=ir.Match(),
        destination=ir.Split(shares=shares),
        auth=auth,
        limits=limits,
    )
    return ir.Table(scope=f"{edge}|example.com", tenant=tenant, entries=(entry,))


def upserts(**values: tuple[Any, ...]) -> ir.Delta:
    return replace(ir.Delta(), **{noun: ir.Changes(upserts=each) for noun, each in values.items()})


def removal(**names: tuple[str, ...]) -> ir.Delta:
    return replace(ir.Delta(), **{noun: ir.Changes(removed=each) for noun, each in names.items()})


def names(changes: ir.Changes[Any]) -> list[str]:
    return [value.name for value in changes.upserts]


def test_each_edge_gets_the_upstreams_of_its_own_tables() -> None:
    parts = Fleets().split(
        upserts(
            upstreams=(upstream("shop/a"), upstream("shop/b"), upstream("shop/unused")),
            scopes=(scope(PUBLIC), scope(PRIVATE)),
            tables=(table(PUBLIC, "shop/a"), table(PRIVATE, "shop/b")),
        )
    )
    assert {edge: names(part.upstreams) for edge, part in parts.items()} == {PUBLIC: ["shop/a"], PRIVATE: ["shop/b"]}
    assert names(parts[PUBLIC].tables) == [f"{PUBLIC}|example.com#"]
    assert names(parts[PRIVATE].scopes) == [f"{PRIVATE}|example.com"]


def test_a_policy_comes_with_its_keys_and_a_limit_by_itself() -> None:
    fleets = Fleets()
    fleets.split(upserts(auths=(MEMBERS,), keysets=(KEYS,), limits=(LIMIT,), scopes=(scope(PUBLIC), scope(PRIVATE))))
    part = fleets.split(upserts(tables=(table(PUBLIC, auth=MEMBERS.name, limits=(LIMIT.name,)), table(PRIVATE))))
    assert (part[PUBLIC].auths.upserts, part[PUBLIC].keysets.upserts) == ((MEMBERS,), (KEYS,))
    assert part[PUBLIC].limits.upserts == (LIMIT,)
    assert (part[PRIVATE].auths, part[PRIVATE].keysets, part[PRIVATE].limits) == (ir.Changes(),) * 3


def test_a_policy_of_the_host_comes_with_a_tenants_table() -> None:
    fleets = Fleets()
    fleets.split(upserts(auths=(MEMBERS,), keysets=(KEYS,)))
    part = fleets.split(upserts(scopes=(scope(PUBLIC, MEMBERS.name),), tables=(table(PUBLIC, tenant="acme"),)))
    assert part[PUBLIC].auths.upserts == (MEMBERS,)


def test_a_change_goes_to_those_who_use_it() -> None:
    fleets = Fleets()
    fleets.split(upserts(upstreams=(upstream("shop/a"),), tables=(table(PUBLIC, "shop/a"), table(PRIVATE))))
    changed = upstream("shop/a", 81)
    assert fleets.split(upserts(upstreams=(changed,))) == {PUBLIC: upserts(upstreams=(changed,))}


def test_what_no_table_uses_any_more_is_taken_away_though_it_is_still_there() -> None:
    fleets = Fleets()
    fleets.split(upserts(upstreams=(upstream("shop/a"),), tables=(table(PUBLIC, "shop/a"),)))
    part = fleets.split(upserts(tables=(table(PUBLIC),)))
    assert part[PUBLIC].upstreams == ir.Changes(removed=("shop/a",))
    again = fleets.split(upserts(tables=(table(PUBLIC, "shop/a"),)))
    assert names(again[PUBLIC].upstreams) == ["shop/a"]


def test_what_two_tables_use_stays_while_one_does() -> None:
    fleets = Fleets()
    both = table(PUBLIC, "shop/a"), table(PUBLIC, "shop/a", tenant="acme")
    fleets.split(upserts(upstreams=(upstream("shop/a"),), tables=both))
    part = fleets.split(removal(tables=(both[1].name,)))
    assert part[PUBLIC].upstreams == ir.Changes()
    part = fleets.split(removal(tables=(both[0].name,)))
    assert part[PUBLIC].upstreams.removed == ("shop/a",)


def test_what_is_gone_is_taken_away_from_those_who_used_it() -> None:
    fleets = Fleets()
    fleets.split(upserts(upstreams=(upstream("shop/a"),), tables=(table(PUBLIC, "shop/a"), table(PRIVATE))))
    parts = fleets.split(replace(removal(upstreams=("shop/a",)), tables=ir.Changes(upserts=(table(PUBLIC),))))
    assert set(parts) == {PUBLIC}
    assert parts[PUBLIC].upstreams.removed == ("shop/a",)


def test_where_the_decision_names_the_upstream_those_of_all_shards_come() -> None:
    def shard(name: str, target: str) -> ir.Shard:
        pairs = (("orders", target), ("search", "shop/other"))
        return ir.Shard(namespace="shop", name=name, region="eu", state="Active", weight=1, upstreams=pairs)

    fleets = Fleets()
    entry = table(PUBLIC).entries[0]
    to_shards = replace(entry, destination=ir.ShardDispatch(namespace="shop", purpose="orders", key="tenant"))
    parts = fleets.split(
        upserts(
            upstreams=(upstream("shop/a"), upstream("shop/b"), upstream("shop/other")),
            shards=(shard("one", "shop/a"),),
            tables=(replace(table(PUBLIC), entries=(to_shards,)),),
        )
    )
    assert names(parts[PUBLIC].upstreams) == ["shop/a"]
    parts = fleets.split(upserts(shards=(shard("two", "shop/b"),)))
    assert names(parts[PUBLIC].upstreams) == ["shop/b"]
    assert parts[PUBLIC].tables == ir.Changes()
    parts = fleets.split(removal(shards=("shop/one",)))
    assert parts[PUBLIC].upstreams.removed == ("shop/a",)


def test_an_edge_that_is_gone_is_told_so() -> None:
    edge = ir.Edge(name=PUBLIC, hosts=("example.com",), listeners=())
    fleets = Fleets()
    gone = table(PUBLIC, "shop/a")
    fleets.split(upserts(edges=(edge,), upstreams=(upstream("shop/a"),), tables=(gone,)))
    parts = fleets.split(removal(edges=(PUBLIC,), tables=(gone.name,), scopes=(gone.scope,)))
    assert parts[PUBLIC].edges.removed == (PUBLIC,)
    assert fleets.split(upserts(upstreams=(upstream("shop/a", 81),))) == {}


POOL = ("shop/a", "shop/b", "shop/c")
TABLES = st.dictionaries(
    st.sampled_from([(edge, tenant) for edge in (PUBLIC, PRIVATE) for tenant in ("", "acme")]),
    st.frozensets(st.sampled_from(POOL)),
)
WORLDS = st.lists(st.tuples(st.frozensets(st.sampled_from(POOL)), TABLES), min_size=1, max_size=6)


@settings(deadline=None)
@given(WORLDS)
def test_after_any_steps_each_edge_holds_exactly_what_it_uses(worlds: list[Any]) -> None:
    fleets = Fleets()
    held: dict[str, set[str]] = {PUBLIC: set(), PRIVATE: set()}
    there: frozenset[str] = frozenset()
    tables: dict[tuple[str, str], frozenset[str]] = {}
    for wanted, wanted_tables in worlds:
        delta = replace(
            upserts(
                upstreams=tuple(map(upstream, sorted(wanted - there))),
                tables=tuple(
                    table(edge, *sorted(used & wanted), tenant=tenant) for (edge, tenant), used in wanted_tables.items()
                ),
            )
        )
        gone = tuple(table(edge, tenant=tenant).name for edge, tenant in tables.keys() - wanted_tables.keys())
        delta = replace(
            delta,
            upstreams=replace(delta.upstreams, removed=tuple(sorted(there - wanted))),
            tables=replace(delta.tables, removed=gone),
        )
        there, tables = wanted, wanted_tables
        for edge, part in fleets.split(delta).items():
            assert held[edge].isdisjoint(names(part.upstreams))
            assert held[edge].issuperset(part.upstreams.removed)
            held[edge] |= set(names(part.upstreams))
            held[edge] -= set(part.upstreams.removed)
        for edge, has in held.items():
            assert has == {name for (at, _), used in tables.items() if at == edge for name in used & there}


def test_ports_with_hosts_of_their_own_belong_to_the_same_edge() -> None:
    assert edge_of("shop/front~gateway@443|example.com#acme") == "shop/front~gateway"


def test_lists_are_told_to_the_proxies_of_their_edge_alone() -> None:
    fleets = Fleets()
    made = tuple(ir.AddressList(name=f"{name}|bots") for name in (PUBLIC, PRIVATE))
    parts = fleets.split(replace(ir.Delta(), addresslists=ir.Changes(upserts=made)))
    assert {edge: [each.name for each in part.addresslists.upserts] for edge, part in parts.items()} == {
        PUBLIC: [f"{PUBLIC}|bots"],
        PRIVATE: [f"{PRIVATE}|bots"],
    }
    gone = fleets.split(replace(ir.Delta(), addresslists=ir.Changes(removed=(f"{PUBLIC}|bots",))))
    assert [part.addresslists.removed for part in gone.values()] == [(f"{PUBLIC}|bots",)]
