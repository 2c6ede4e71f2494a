"""What is said of objects, from reports and the ledger."""

import asyncio
from datetime import UTC, datetime

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.decision import DecisionDelta
from fastforward_compiler.emit.envoy import EnvoyDelta, EnvoyResource
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem
from fastforward_operator.objectstatus import Condition, ObjectStatus
from fastforward_operator.podstate import PodState
from fastforward_operator.providers import Source
from fastforward_operator.publication import FleetStep, Publications, encode
from fastforward_operator.status import StatusBoard
from fastforward_operator.xds.ledger import KeyState, LedgerUpdate
from fastforward_operator.xds.store import CLUSTER, SCOPE, SHARED, SNAPSHOT, Key

from fastforward.snapshot.v1 import snapshot_pb2
from support.eventually import eventually

SHOP = ObjectRef(kind="Route", namespace="default", name="shop")
ACME = ObjectRef(kind="Tenant", namespace="default", name="acme")
PUBLIC = ObjectRef(kind="Edge", namespace="default", name="public")
NEIGHBOUR = ObjectRef(kind="Route", namespace="default", name="neighbour")
TABLE = ("table", "default/public|shop.example.com#")
UPSTREAM = ("upstream", "default/cart")
NOTHING = DecisionDelta(upserts=(), removed=(), outputs={})


def entry(*, hop: bool) -> ir.Entry:
    return ir.Entry(
        id="x",
        route="default/shop",
        rule="x",
        priority=0,
        match=ir.Match(),
        destination=ir.Split(shares=(ir.Share(upstream="default/cart", weight=1),)),
        hop=hop,
    )


class Scene:
    """A board, and publications of one table and one upstream."""

    def __init__(self, settle_s: float = 0.0) -> None:
        self.publications = Publications()
        self.settled_at: list[float] = []
        self.board = StatusBoard(
            self.publications,
            settle_s,
            lambda: datetime(2026, 1, 2, tzinfo=UTC),
            on_settled=self.settled_at.append,
        )

    def publish(self, version: str, *, generation: int = 1, hop: bool = False) -> None:
        table = ir.Table(scope="default/public|shop.example.com", tenant="", entries=(entry(hop=hop),))
        report = ir.Report(ref=SHOP, generation=generation, outputs=frozenset({TABLE, UPSTREAM}))
        delta = ir.Delta(tables=ir.Changes(upserts=(table,)), reports={SHOP: report})
        envoy = EnvoyDelta(
            upserts=(
                EnvoyResource(type_url=SCOPE, name=TABLE[1], version=version, body=b"x"),
                EnvoyResource(type_url=CLUSTER, name="default/cart", version="1", body=b"x"),
            ),
            outputs={TABLE: ((SCOPE, TABLE[1]),), UPSTREAM: ((CLUSTER, "default/cart"),)},
        )
        decision = DecisionDelta(
            upserts=(snapshot_pb2.Resource(name=f"table/{TABLE[1]}", version=version),),
            removed=(),
            outputs={TABLE: (f"table/{TABLE[1]}",)},
        )
        step = self.publications.build(encode(delta, {SHARED: FleetStep(delta=delta, envoy=envoy)}, decision))
        keys = [put.key for put in step.upserts]
        self.board.observe_reports(delta.reports, {SHOP: Source(path="a.yaml", line=1)}, keys, 5.0)

    def join_table(self) -> None:
        """Another Route that lies in the same table."""
        shared = ir.Report(ref=NEIGHBOUR, generation=1, outputs=frozenset({TABLE}))
        self.board.observe_reports({NEIGHBOUR: shared}, {}, ())

    def word(self, ref: ObjectRef) -> str:
        return self.board.statuses[ref].conditions[-1].status

    def tell(self, *states: tuple[Key, KeyState], envoys: int = 1, decisions: int = 0) -> None:
        self.board.observe_ledger(
            LedgerUpdate(keys=dict(states), envoys={SHARED: envoys} if envoys else {}, decisions=decisions)
        )

    def settle(self, *keys: Key, envoys: int = 1, decisions: int = 0) -> None:
        states = ((key, KeyState(revision=self.publications.revisions[key])) for key in keys)
        self.tell(*states, envoys=envoys, decisions=decisions)

    @property
    def programmed(self) -> Condition:
        return self.board.statuses[SHOP].conditions[-1]


SCOPE_KEY = Key(SCOPE, TABLE[1])
CLUSTER_KEY = Key(CLUSTER, "default/cart")
DECISION_KEY = Key(SNAPSHOT, f"table/{TABLE[1]}")


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_an_object_is_programmed_when_all_that_it_became_is_acknowledged(scene: Scene) -> None:
    scene.publish("1")
    assert (scene.programmed.status, scene.programmed.reason) == ("False", "NoProxies")
    scene.tell(envoys=1)
    assert (scene.programmed.status, scene.programmed.reason) == ("Unknown", "Pending")
    scene.settle(SCOPE_KEY)
    assert scene.programmed.status == "Unknown"
    scene.settle(CLUSTER_KEY)
    assert (scene.programmed.status, scene.programmed.reason) == ("True", "Programmed")
    assert scene.programmed.observed_generation == 1
    assert scene.board.proxies(SHOP) == (1, 1)
    assert scene.settled_at == [5.0, 5.0]


async def test_a_new_version_takes_the_word_back_until_it_is_acknowledged(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    scene.publish("2", generation=2)
    assert (scene.programmed.status, scene.programmed.observed_generation) == ("Unknown", 2)
    scene.settle(SCOPE_KEY)
    assert (scene.programmed.status, scene.programmed.observed_generation) == ("True", 2)


async def test_a_change_of_a_table_says_nothing_of_routes_whose_rules_in_it_are_older(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    scene.join_table()
    assert scene.word(NEIGHBOUR) == "True"
    told: list[ObjectRef] = []
    scene.board.subscribe(lambda ref, _: told.append(ref))
    scene.publish("2", generation=2)
    scene.tell((SCOPE_KEY, KeyState(revision=2, lacking=2, waiting=("frozen",))))
    assert (scene.word(SHOP), scene.word(NEIGHBOUR)) == ("Unknown", "True")
    assert scene.board.proxies(NEIGHBOUR) == (1, 1)
    scene.tell((SCOPE_KEY, KeyState(revision=2, lacking=2, refused=(("one", "no"),))))
    assert (scene.word(SHOP), scene.word(NEIGHBOUR)) == ("False", "True")
    scene.settle(SCOPE_KEY)
    assert (scene.word(SHOP), scene.word(NEIGHBOUR)) == ("True", "True")
    assert NEIGHBOUR not in told


async def test_a_route_that_comes_while_a_table_is_on_its_way_waits_for_all_of_it(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    scene.publish("2", generation=2)
    scene.join_table()
    assert scene.word(NEIGHBOUR) == "Unknown"
    scene.settle(SCOPE_KEY)
    assert scene.word(NEIGHBOUR) == "True"


async def test_a_proxy_that_may_lack_any_version_of_a_table_takes_back_the_word_for_all(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    scene.join_table()
    scene.tell((SCOPE_KEY, KeyState(revision=1, lacking=0, waiting=("back",))), envoys=2)
    assert (scene.word(SHOP), scene.word(NEIGHBOUR)) == ("Unknown", "Unknown")


@pytest.mark.parametrize("ref", [ACME, PUBLIC], ids=lambda ref: ref.kind)
async def test_what_shapes_others_resources_waits_for_all_that_was_published_with_it(
    scene: Scene, ref: ObjectRef
) -> None:
    scene.publish("1")
    scene.tell(envoys=1)
    report = ir.Report(ref=ref, generation=1, outputs=frozenset({("own", "default/own")}))
    scene.board.observe_reports({ref: report}, {}, [SCOPE_KEY, CLUSTER_KEY])
    assert (scene.word(ref), scene.board.statuses[ref].conditions[-1].reason) == ("Unknown", "Pending")
    scene.settle(SCOPE_KEY)
    assert scene.word(ref) == "Unknown"
    scene.settle(CLUSTER_KEY)
    assert scene.word(ref) == "True"


async def test_what_is_taken_away_keeps_nobody_waiting(scene: Scene) -> None:
    scene.publish("1")
    scene.tell(envoys=1)
    tenant = ir.Report(ref=ACME, generation=1)
    scene.board.observe_reports({ACME: tenant}, {}, [SCOPE_KEY])
    gone = scene.publications.prune([CLUSTER_KEY])
    scene.board.forget(gone.removed)
    scene.tell((SCOPE_KEY, KeyState(revision=1, waiting=("late",))))
    assert scene.word(ACME) == "True"
    scene.settle(CLUSTER_KEY)
    assert scene.board.routes_settled(scene.publications.revision)


async def test_an_older_acknowledgement_that_comes_late_says_nothing(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    scene.publish("2", generation=2)
    scene.tell((SCOPE_KEY, KeyState(revision=1)))
    assert scene.programmed.status == "Unknown"


async def test_an_edit_that_changes_nothing_on_the_wire_stays_programmed(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    scene.publish("1", generation=2)
    assert (scene.programmed.status, scene.programmed.observed_generation) == ("True", 2)


async def test_those_that_are_waited_for_are_named_and_counted(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(CLUSTER_KEY, envoys=9)
    scene.tell((SCOPE_KEY, KeyState(revision=1, waiting=tuple(f"e{i}" for i in range(7)))), envoys=9)
    assert scene.programmed.message == "Waiting for e0, e1, e2, e3, e4 and 2 more."
    assert scene.board.proxies(SHOP) == (2, 9)


async def test_a_refusal_is_told_in_the_proxys_words(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(CLUSTER_KEY)
    scene.tell((SCOPE_KEY, KeyState(revision=1, refused=(("one", "no key"), ("two", "no key")))), envoys=2)
    assert (scene.programmed.status, scene.programmed.reason) == ("False", "Rejected")
    assert scene.programmed.message == "one refused it: no key two refused it: no key"
    assert scene.board.proxies(SHOP) == (0, 2)


async def test_a_route_with_a_hop_needs_a_decision_service_that_has_it(scene: Scene) -> None:
    scene.publish("1", hop=True)
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    assert (scene.programmed.status, scene.programmed.reason) == ("False", "NoDecisionService")
    scene.tell((DECISION_KEY, KeyState(revision=1, waiting=("d",))), decisions=1)
    assert (scene.programmed.status, scene.programmed.message) == ("Unknown", "Waiting for d.")
    assert scene.board.proxies(SHOP) == (1, 1)
    scene.settle(DECISION_KEY, decisions=1)
    assert scene.programmed.status == "True"


async def test_a_route_does_not_need_the_decision_service_that_another_one_of_its_table_needs(scene: Scene) -> None:
    scene.publish("1", hop=True)
    scene.join_table()
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    assert (scene.programmed.reason, scene.word(NEIGHBOUR)) == ("NoDecisionService", "True")
    scene.tell((DECISION_KEY, KeyState(revision=1, waiting=("d",))), decisions=1)
    assert (scene.programmed.reason, scene.word(NEIGHBOUR)) == ("Pending", "True")
    scene.settle(DECISION_KEY, decisions=1)
    scene.tell(decisions=0)
    assert (scene.programmed.reason, scene.word(NEIGHBOUR)) == ("NoDecisionService", "True")


async def test_a_route_without_a_hop_does_not_wait_for_decision_services(scene: Scene) -> None:
    scene.publish("1")
    scene.tell((DECISION_KEY, KeyState(revision=1, waiting=("d",))), decisions=1)
    scene.settle(SCOPE_KEY, CLUSTER_KEY, decisions=1)
    assert scene.programmed.status == "True"


async def test_nothing_is_programmed_when_the_last_proxy_is_gone(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    scene.tell(envoys=0)
    assert (scene.programmed.status, scene.programmed.reason) == ("False", "NoProxies")


async def test_workers_are_given_time_before_the_word_is_given() -> None:
    scene = Scene(settle_s=0.05)
    scene.publish("1")
    loop = asyncio.get_running_loop()
    start = loop.time()
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    assert scene.programmed.status == "Unknown"
    await eventually(lambda: scene.programmed.status == "True")
    assert loop.time() - start >= 0.05


async def test_a_change_within_that_time_starts_it_anew() -> None:
    scene = Scene(settle_s=0.05)
    loop = asyncio.get_running_loop()
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    halfway = loop.time() + 0.03
    await eventually(lambda: loop.time() > halfway)
    scene.publish("2", generation=2)
    start = loop.time()
    scene.settle(SCOPE_KEY)
    await eventually(lambda: scene.programmed.status == "True")
    assert loop.time() - start >= 0.05


def report(
    *problems: Problem, outputs: frozenset[ir.Output] = frozenset(), kept: bool = False
) -> dict[ObjectRef, ir.Report | None]:
    return {SHOP: ir.Report(ref=SHOP, generation=4, problems=problems, outputs=outputs, kept=kept)}


async def test_problems_make_their_own_condition_false_and_the_worst_gives_the_reason(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    found = (
        problem(SHOP, Reason.INVALID, "spec", "It is wrong."),
        problem(SHOP, Reason.HOST_CONFLICT, "spec.hosts[0]", "It is taken."),
        problem(SHOP, Reason.UPSTREAM_NOT_FOUND, "spec.rules[0]", "Upstream default/cart was not found."),
    )
    scene.board.observe_reports(report(*found, outputs=frozenset({TABLE}), kept=True), {}, ())
    accepted, resolved, programmed = scene.board.statuses[SHOP].conditions
    assert (accepted.status, accepted.reason) == ("False", "Invalid")
    assert accepted.message == "It is wrong. It is taken."
    assert (resolved.status, resolved.reason) == ("False", "UpstreamNotFound")
    assert (programmed.status, programmed.reason) == ("False", "Invalid")
    assert programmed.message == "The last good version keeps serving."


@pytest.mark.parametrize(
    ("outputs", "kept", "words"),
    [
        ({TABLE, UPSTREAM}, True, "The last good version keeps serving."),
        ({TABLE, UPSTREAM}, False, "What of it can be used serves."),
        ({UPSTREAM}, False, "It is not in use."),
        (set(), False, "It is not in use."),
    ],
    ids=["unreadable", "in part", "only where it would go", "nowhere"],
)
async def test_what_of_an_object_that_is_not_accepted_serves_is_told(
    scene: Scene, outputs: set[ir.Output], kept: bool, words: str
) -> None:
    scene.board.apart = True
    scene.publish("1")
    found = problem(SHOP, Reason.EDGE_NOT_FOUND, "spec.edges[0]", "Edge default/public was not found.")
    scene.board.observe_reports(report(found, outputs=frozenset(outputs), kept=kept), {}, ())
    assert (scene.programmed.status, scene.programmed.message) == ("False", words)
    assert scene.board.proxies(SHOP) == (0, 0)


async def test_messages_are_bounded(scene: Scene) -> None:
    found = problem(SHOP, Reason.INVALID, "spec", "x" * 5000)
    scene.board.observe_reports(report(found), {}, ())
    assert len(scene.board.statuses[SHOP].conditions[0].message) == 1024


async def test_an_object_that_goes_is_told_to_listeners_and_forgotten(scene: Scene) -> None:
    told: list[tuple[ObjectRef, ObjectStatus | None]] = []
    stop = scene.board.subscribe(lambda ref, status: told.append((ref, status)))
    scene.publish("1")
    scene.board.observe_reports({SHOP: None}, {}, ())
    stop()
    scene.publish("1")
    assert [status is None for _, status in told] == [False, True]
    assert SHOP in scene.board.statuses


async def test_a_listener_hears_nothing_when_nothing_is_said_anew(scene: Scene) -> None:
    scene.publish("1")
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    told: list[ObjectRef] = []
    scene.board.subscribe(lambda ref, _: told.append(ref))
    scene.settle(SCOPE_KEY, CLUSTER_KEY)
    assert told == []


async def test_the_first_decision_service_counts_when_proxies_that_look_names_up_have_found_it(scene: Scene) -> None:
    scene.board.found_after_s = 0.05
    scene.publish("1", hop=True)
    scene.settle(SCOPE_KEY, CLUSTER_KEY, DECISION_KEY, decisions=1)
    assert scene.word(SHOP) == "True"
    scene.tell(decisions=0)
    assert scene.programmed.reason == "NoDecisionService"
    scene.board.apart = True
    scene.tell(decisions=1)
    assert scene.programmed.reason == "NoDecisionService"
    scene.tell(decisions=2)
    assert scene.programmed.reason == "NoDecisionService"
    await eventually(lambda: scene.programmed.reason == "Programmed")
    scene.tell(decisions=1)
    assert scene.programmed.reason == "Programmed"


async def test_why_pods_cannot_be_made_is_said_as_long_as_it_is_so() -> None:
    scene = Scene()
    reports = {PUBLIC: ir.Report(ref=PUBLIC, generation=1)}
    scene.board.observe_reports(reports, {}, ())
    scene.board.observe_fault(PUBLIC, "403: exceeded quota")
    first, *others = scene.board.statuses[PUBLIC].conditions
    assert (first.type, first.status, first.reason) == ("PodsApplied", "False", "ApplyFailed")
    assert "exceeded quota" in first.message
    assert [each.type for each in others] == ["Accepted", "ResolvedRefs", "Programmed"]
    scene.board.observe_fault(PUBLIC, "")
    assert [each.type for each in scene.board.statuses[PUBLIC].conditions] == ["Accepted", "ResolvedRefs", "Programmed"]


async def test_a_route_does_not_wait_for_proxies_of_an_edge_that_only_shares_its_upstream(scene: Scene) -> None:
    scene.board.apart = True
    here, there = "default/public", "default/other"
    delta = ir.Delta(
        reports={SHOP: ir.Report(ref=SHOP, generation=1, outputs=frozenset({TABLE, UPSTREAM}))},
    )
    cluster = EnvoyResource(type_url=CLUSTER, name="default/cart", version="1", body=b"x")
    table = EnvoyResource(type_url=SCOPE, name=TABLE[1], version="1", body=b"x")
    told = ((CLUSTER, "default/cart"),)
    mine = EnvoyDelta(upserts=(table, cluster), outputs={TABLE: ((SCOPE, TABLE[1]),), UPSTREAM: told})
    others = EnvoyDelta(upserts=(cluster,), outputs={UPSTREAM: told})
    fleets = {here: FleetStep(delta=delta, envoy=mine), there: FleetStep(delta=delta, envoy=others)}
    step = scene.publications.build(encode(delta, fleets, NOTHING))
    scene.board.observe_reports(delta.reports, {}, [put.key for put in step.upserts])
    states = {key: KeyState(revision=1) for key in (Key(SCOPE, TABLE[1], here), Key(CLUSTER, "default/cart", here))}
    scene.board.observe_ledger(LedgerUpdate(keys=states, envoys={here: 1}, decisions=0))
    assert (scene.programmed.status, scene.programmed.reason) == ("True", "Programmed")
    assert scene.board.proxies(SHOP) == (1, 1)


async def test_an_upstream_waits_no_longer_for_proxies_of_an_edge_that_is_gone_or_needs_it_no_more(
    scene: Scene,
) -> None:
    scene.board.apart = True
    cart, there, other = ObjectRef(kind="Upstream", namespace="default", name="cart"), "default/there", "default/other"
    cluster = EnvoyResource(type_url=CLUSTER, name="default/cart", version="1", body=b"x")
    needing = EnvoyDelta(upserts=(cluster,), outputs={UPSTREAM: ((CLUSTER, "default/cart"),)})
    reports = {cart: ir.Report(ref=cart, generation=1, outputs=frozenset({UPSTREAM}))}

    def step(*, ends: bool = False, **fleets: EnvoyDelta) -> None:
        delta = ir.Delta(upstreams=ir.Changes(removed=() if fleets["there"].upserts or ends else ("default/cart",)))
        parts = {f"default/{name}": FleetStep(delta=delta, envoy=envoy, ends=ends) for name, envoy in fleets.items()}
        built = scene.publications.build(encode(ir.Delta(), parts, NOTHING))
        scene.board.forget(built.removed)
        scene.board.observe_reports({}, {}, [put.key for put in built.upserts])

    scene.board.observe_reports(reports, {}, ())
    nothing = EnvoyDelta(upserts=(), outputs={})
    step(there=needing, other=needing)
    keys = [Key(CLUSTER, "default/cart", fleet) for fleet in (there, other)]
    settled = {key: KeyState(revision=1) for key in keys}
    scene.board.observe_ledger(LedgerUpdate(keys=settled, envoys={other: 1}, decisions=0))
    assert scene.board.statuses[cart].conditions[-1].message == "No proxy of Edge default/there is connected."
    step(there=nothing, ends=True)
    assert scene.word(cart) == "True"
    assert scene.board.proxies(cart) == (1, 1)
    step(there=needing)
    assert scene.board.statuses[cart].conditions[-1].reason == "NoProxies"
    step(there=EnvoyDelta(upserts=(), removed=((CLUSTER, "default/cart"),), outputs={}))
    assert scene.word(cart) == "True"


async def test_an_edge_of_which_no_listener_can_be_served_is_not_programmed(scene: Scene) -> None:
    scene.board.apart = True
    missing = problem(PUBLIC, Reason.SECRET_NOT_FOUND, "spec.listeners[0].tls.certificates[0]", "It was not found.")
    reported = ir.Report(ref=PUBLIC, generation=1, problems=(missing,), outputs=frozenset({("edge", "default/public")}))
    scene.board.observe_reports({PUBLIC: reported}, {}, ())
    *_, programmed = scene.board.statuses[PUBLIC].conditions
    assert (programmed.status, programmed.reason) == ("False", "SecretNotFound")


DECISION = ObjectRef(kind="Workload", namespace="default", name="decision")


def workload_report(generation: int = 1) -> dict[ObjectRef, ir.Report | None]:
    outputs = frozenset({("workload", "default/decision")})
    return {DECISION: ir.Report(ref=DECISION, generation=generation, outputs=outputs)}


async def test_a_workload_is_programmed_when_its_pods_are_ready_and_one_is_enough_from_then_on(scene: Scene) -> None:
    board = scene.board
    board.apart = True
    board.observe_pods(DECISION, PodState())
    board.observe_reports(workload_report(), {}, ())
    assert board.statuses[DECISION].conditions[-1].reason == "Pending"
    board.observe_pods(DECISION, PodState(ready=1, wanted=2))
    assert board.statuses[DECISION].conditions[-1].message == "1 of 2 pods are ready."
    board.observe_pods(DECISION, PodState(ready=2, wanted=2, complete=True))
    assert scene.word(DECISION) == "True"
    board.observe_pods(DECISION, PodState(ready=1, wanted=2))
    assert scene.word(DECISION) == "True"
    board.observe_reports(workload_report(2), {}, ())
    assert scene.word(DECISION) == "Unknown"
    board.observe_pods(DECISION, PodState(wanted=2))
    assert scene.word(DECISION) == "Unknown"


async def test_pods_that_cannot_start_are_told_in_their_words(scene: Scene) -> None:
    board, words = scene.board, "Pod a: container decision ended (Error, exit code 1)."
    board.observe_reports(workload_report(), {}, ())
    board.observe_pods(DECISION, PodState(wanted=1, blocked=(words,)))
    first, *_, programmed = board.statuses[DECISION].conditions
    assert (first.type, first.status, first.reason) == ("PodsReady", "False", "PodsNotReady")
    assert (programmed.status, programmed.reason) == ("False", "PodsNotReady")
    assert first.message == programmed.message == f"0 of 1 pods are ready. {words}"
    board.observe_pods(DECISION, None)
    assert [each.type for each in board.statuses[DECISION].conditions] == ["Accepted", "ResolvedRefs", "Programmed"]


async def test_a_secret_that_pods_wait_for_is_named_and_what_runs_stays_programmed(scene: Scene) -> None:
    board = scene.board
    board.apart = True
    missing = problem(DECISION, Reason.SECRET_NOT_FOUND, "spec.seal", "Secret system/seal was not found.")
    board.observe_reports(workload_report(), {}, ())
    board.observe_pods(DECISION, PodState(wanted=1, problems=(missing,)))
    _, resolved, programmed = board.statuses[DECISION].conditions
    assert (resolved.status, resolved.reason) == ("False", "SecretNotFound")
    assert (programmed.status, programmed.reason) == ("False", "SecretNotFound")
    assert board.statuses[DECISION].problems == (missing,)
    board.observe_pods(DECISION, PodState(ready=1, wanted=1, complete=True, problems=(missing,)))
    _, resolved, programmed = board.statuses[DECISION].conditions
    assert (resolved.status, programmed.status) == ("False", "True")


async def test_an_edge_without_proxies_says_what_keeps_its_pods(scene: Scene) -> None:
    scene.board.apart = True
    listeners = ir.Report(ref=PUBLIC, generation=1, outputs=frozenset({TABLE}))
    scene.publish("1")
    scene.board.observe_reports({PUBLIC: listeners}, {}, ())
    scene.board.observe_pods(PUBLIC, PodState(wanted=1, blocked=("Pods can't be made: exceeded quota.",)))
    *_, programmed = scene.board.statuses[PUBLIC].conditions
    assert programmed.reason == "NoProxies"
    assert programmed.message == "No proxy is connected. Pods can't be made: exceeded quota."
