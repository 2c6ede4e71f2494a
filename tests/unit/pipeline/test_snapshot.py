"""The snapshot: immutable, step by step what it would be from nothing, and refusing what it can't judge."""

from typing import Any

import pytest
from fastforward_pipeline import Snapshot, SnapshotError
from hypothesis import given, settings
from hypothesis import strategies as st

from support.decision_snapshots import (
    HOST,
    SCOPE,
    ask,
    auth,
    budget,
    decided,
    host,
    limit,
    match,
    pb,
    plan,
    snapshot,
    tenant,
    text,
)


def test_the_empty_snapshot_knows_nobody() -> None:
    assert decided(Snapshot.empty(), ask()).status == 404


def test_a_step_shares_what_it_does_not_change_and_changes_nothing_old() -> None:
    before = snapshot(host(plan("a", "/a"), plan("b", "/b")), tenant("acme"), limit())
    after = before.apply(host(plan("a", "/a"), plan("c", "/c"))[1:], ["plan/b"])
    assert after.tenants is before.tenants
    assert after.limits is before.limits
    assert (decided(before, ask("/b")).status, decided(after, ask("/b")).status) == (200, 404)
    assert (decided(before, ask("/c")).status, decided(after, ask("/c")).status) == (404, 200)


def test_only_what_changed_is_compiled_again() -> None:
    before = snapshot(host(plan("a", "/a"), plan("b", "/b")))
    new = host(plan("a", "/a"), plan("b", "/b"), plan("c", "/c"))
    after = before.apply([resource for resource in new if resource.name in {"plan/c", f"table/{SCOPE}#"}])
    table = after.tables[f"{SCOPE}#"]
    assert table.plans[:2] == before.tables[f"{SCOPE}#"].plans
    assert after.plans["a"] is before.plans["a"]


def test_what_is_removed_is_gone() -> None:
    before = snapshot(host(plan("a")))
    for name in (f"scope/{SCOPE}", f"table/{SCOPE}#"):
        assert decided(before.apply([], [name]), ask()).status == 404
    assert decided(before.apply([], ["plan/a"]), ask(plan="a")).status == 503
    assert before.apply([], ["tenant/shop/nobody"]).tenants == {}


def test_a_plan_whose_scope_is_gone_is_unknown() -> None:
    assert decided(snapshot(host(plan("a"))).apply([], [f"scope/{SCOPE}"]), ask(plan="a")).status == 503


UNFIT = [
    (pb.Resource(name="plan/a", auth=pb.Auth()), "does not hold what its name says"),
    (pb.Resource(name="nothing/a"), "does not hold what its name says"),
    (pb.Resource(name="plan/a", plan=pb.Plan(route="shop/a")), "no destination"),
    (plan("a", "(", 3), "regular expression"),
    (plan("a", headers=[text("x", "(", "REGEX")]), "regular expression"),
    (plan("a", headers=[pb.TextMatch(name="x")]), "no type"),
    (plan("a", rewrite=pb.Rewrite(), admission=pb.Admission(allow_addresses=["many"])), "many"),
    (pb.Resource(name="auth/a", auth=pb.Auth()), "no mode"),
    (auth("a", providers=[pb.Provider(name="p")]), "kind that is not known"),
    (pb.Resource(name="keyset/a", keyset=pb.KeySet(jwks=b"x")), "keyset/a"),
    (limit("a", budget=pb.Budget(requests=1)), "budget"),
    (limit("a", tenants={"acme": pb.Budget()}), "budget"),
    (pb.Resource(name="limit/a", limit=pb.Limit(key=[pb.KeyPart()], budget=budget())), "counts by something"),
    (pb.Resource(name="table/a#", table=pb.Table(plans=["lost"])), "lost"),
]


@pytest.mark.parametrize(("resource", "message"), UNFIT, ids=range(len(UNFIT)))
def test_what_can_not_be_judged_is_refused_and_named(resource: pb.Resource, message: str) -> None:
    before = snapshot(host(plan("good")))
    with pytest.raises(SnapshotError, match=message):
        before.apply([resource])
    assert decided(before, ask()).route == "shop/good"


def test_a_removal_of_something_unknown_in_kind_is_refused() -> None:
    with pytest.raises(SnapshotError, match="names nothing"):
        Snapshot.empty().apply([], ["thing/a"])


RULES = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), unique=True, max_size=5).map(sorted)


def resources(names: list[str], *, tenant_: str = "") -> list[pb.Resource]:
    return host(*(plan(name, f"/{name}") for name in names), tenant=tenant_)


@settings(deadline=None)
@given(st.lists(RULES, min_size=1, max_size=5))
def test_step_by_step_equals_from_nothing(steps: list[list[str]]) -> None:
    world, known = Snapshot.empty(), set[str]()
    for names in steps:
        wanted = resources(names)
        gone = sorted(known - {resource.name for resource in wanted})
        world = world.apply(
            [resource for resource in wanted if resource.name not in known or "table/" in resource.name], gone
        )
        known = {resource.name for resource in wanted}
    anew = Snapshot.empty().apply(resources(steps[-1]))
    for name in "abcde":
        assert decided(world, ask(f"/{name}")).route == decided(anew, ask(f"/{name}")).route
    assert world.plans.keys() == anew.plans.keys()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (HOST, HOST),
        ("x.example.com", "*.example.com"),
        ("x.y.example.com", "*.example.com"),
        ("example.com", "*.com"),
        ("test", "*"),
        ("", "*"),
        ("192.0.2.1", "*"),
        ("[::1]", "*"),
        ("[::ffff:192.0.2.1]", "*"),
        ("a!b", "*"),
        ("user@x.example.com", "*"),
        ("x!y.example.com", "*"),
        ("x,y.example.com", "*"),
        ("x.example.com:x", "*.example.com"),
        (f"{HOST}:x", HOST),
    ],
)
def test_the_scope_of_a_host_is_exact_or_the_longest_wildcard(asked: str, found: str) -> None:
    names = (HOST, "*.example.com", "*.com", "*")
    world = snapshot(*(host(plan(f"p{place}"), name=name) for place, name in enumerate(names)))
    scope = world.find_scope("shop/public", asked)
    assert scope is not None
    assert scope.host == found


def test_an_empty_conjunction_of_conditions_is_fine() -> None:
    bare: Any = pb.Resource(
        name="plan/a", plan=pb.Plan(route="shop/a", match=match("/"), respond=pb.Respond(status=204))
    )
    assert decided(snapshot(host(bare)), ask()).status == 204
