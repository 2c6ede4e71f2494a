"""The index over a table's paths finds what a scan in order of precedence would find, at any size."""

import itertools

from fastforward_pipeline.compiled.route import Plan, compile_plan
from fastforward_pipeline.compiled.table import Table, compile_table
from fastforward_pipeline.facts import Facts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import EXACT, PREFIX, REGEX, ask, match, text

SEGMENTS = st.sampled_from(["a", "b", "ab", "a.b", ""])
PATHS = st.lists(SEGMENTS, max_size=4).map(lambda parts: "/" + "/".join(parts))
PATTERNS = st.sampled_from(["/a.*", "/(a|b)/.*", "/[ab]+", ".*b", "/a/b?", "/"])
RANKS = {EXACT: 0, REGEX: 1, PREFIX: 2}
numbers = itertools.count()


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    kind = draw(st.sampled_from([EXACT, PREFIX, PREFIX, REGEX]))
    path = draw(PATTERNS if kind == REGEX else PATHS)
    if kind == PREFIX:
        path = path.rstrip("/") or "/"
    methods = draw(st.sampled_from([[], [], ["GET"], ["POST", "PUT"]]))
    headers = draw(st.sampled_from([[], [text("x-a", "1")], [text("x-a", "", "PRESENT")]]))
    roles = draw(st.sampled_from([[], [], ["admin"]]))
    wire = pb.Plan(
        route=f"shop/r{next(numbers)}",
        priority=draw(st.integers(-1, 1)),
        match=match(path, kind, methods=methods, headers=headers, roles=roles),
        respond=pb.Respond(status=200),
    )
    return compile_plan(wire.route, wire)


def precedence(plan: Plan) -> tuple[int, int, int, int]:
    found = plan.wire.match
    return (
        -plan.priority,
        RANKS[pb.PathMatchType.ValueType(found.path_type)],
        -len(found.path),
        -len(plan.conditions) - len(plan.hop_conditions),
    )


def tables(size: int = 12) -> st.SearchStrategy[list[Plan]]:
    return st.lists(plans(), max_size=size).map(lambda found: sorted(found, key=precedence))


def path_fits(plan: Plan, path: str) -> bool:
    found = plan.wire.match
    if plan.pattern is not None:
        return plan.pattern.matches(path)
    if found.path_type == EXACT:
        return path == found.path
    return found.path in {"/", path} or path.startswith(found.path + "/")


def scan(found: list[Plan], facts: Facts, *, hop: bool) -> Plan | None:
    """What D6 says, word by word."""
    fitting = (plan for plan in found if path_fits(plan, facts.path))
    return next((plan for plan in fitting if plan.failing(facts, hop=hop) is None), None)


requests = st.builds(
    lambda path, method, headers, query: Facts(ask(f"{path}{query}", method, headers=headers)),
    st.one_of(PATHS, st.lists(SEGMENTS, max_size=12).map("/".join).map("/{}".format)),
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.sampled_from([{}, {"x-a": "1"}, {"x-a": "2"}]),
    st.sampled_from(["", "?", "?x=/a/b"]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), requests, st.booleans(), st.sampled_from([frozenset(), frozenset({"admin"})]))
def test_the_index_equals_a_scan(found: list[Plan], facts: Facts, hop: bool, roles: frozenset[str]) -> None:
    facts.roles = roles
    assert compile_table("t", tuple(found)).match(facts, hop=hop) is scan(found, facts, hop=hop)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), st.lists(plans(), max_size=4), st.data())
def test_a_mended_table_equals_one_made_anew(found: list[Plan], new: list[Plan], data: st.DataObject) -> None:
    kept = [plan for plan in found if not data.draw(st.booleans())] if found else []
    after = tuple(sorted([*kept, *new], key=precedence))
    mended = compile_table("t", tuple(found)).replace(after)
    anew = compile_table("t", after)
    assert mended.conditional == anew.conditional
    for path in ("/", "/a", "/a/b", "/ab", "/a/b/a.b", "/b", "//", "/a/"):
        assert list(mended.candidates(path)) == list(anew.candidates(path))


def big_table(size: int, *, same_path: bool = False) -> Table:
    wires = [
        pb.Plan(
            route=f"shop/r{number}",
            match=match("/x" if same_path else f"/p{number}", PREFIX, headers=[text("x-a", str(number))]),
            respond=pb.Respond(status=200),
        )
        for number in range(size)
    ]
    return compile_table("t", tuple(compile_plan(wire.route, wire) for wire in wires))


def test_one_change_in_a_big_table_keeps_the_order_of_a_crowded_leaf() -> None:
    table = big_table(100, same_path=True)
    new = compile_plan("new", pb.Plan(route="shop/new", match=match("/x"), respond=pb.Respond(status=200)))
    plans_ = (*table.plans[:50], new, *table.plans[51:])
    assert list(table.replace(plans_).candidates("/x")) == list(plans_)


def test_unchanged_parts_of_a_big_table_are_shared() -> None:
    table = big_table(1000)
    after = table.replace((*table.plans[:500], *table.plans[501:]))
    assert list(after.candidates("/p500")) == []
    assert list(after.candidates("/p501")) == [table.plans[501]]
    assert list(table.candidates("/p500")) == [table.plans[500]]


def test_a_path_of_thousands_of_segments_asks_for_no_more_keys_than_the_longest_has() -> None:
    asked: list[str] = []

    class Counting(dict[str, tuple[Plan, ...]]):
        def get(self, key: str, default: tuple[Plan, ...] = ()) -> tuple[Plan, ...]:  # ty: ignore[incompatible-method-override]
            asked.append(key)
            return super().get(key, default)

    table = big_table(10)
    (level,) = table._levels.values()
    level.prefixes = Counting(level.prefixes)
    assert list(table.candidates("/p1" + "/x" * 30_000)) == [table.plans[1]]
    assert asked == ["/p1", ""]


def test_a_table_without_rules_matches_nothing() -> None:
    assert compile_table("t", ()).match(Facts(ask("/")), hop=True) is None
