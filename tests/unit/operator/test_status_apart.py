"""What is said of objects that have pods, and of those that proxies of several Edges need."""

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import EnvoyDelta, EnvoyResource
from fastforward_compiler.problem import ObjectRef, Reason, problem
from fastforward_operator.podstate import PodState
from fastforward_operator.publication import FleetStep, encode
from fastforward_operator.xds.ledger import KeyState, LedgerUpdate
from fastforward_operator.xds.store import CLUSTER, SCOPE, Key

from support.status_scene import NOTHING, PUBLIC, SHOP, TABLE, UPSTREAM, Scene


@pytest.fixture
async def scene() -> Scene:
    return Scene()


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


async def test_a_workload_that_says_itself_that_it_is_programmed_stays_so_while_one_pod_is_ready(scene: Scene) -> None:
    """As another process has written it: this one may be of a newer release, whose pods are on their way."""
    board = scene.board
    board.apart = True
    board.observe_pods(DECISION, PodState(ready=2, wanted=2))
    board.observe_reports(workload_report(), {}, ())
    told = board.statuses[DECISION].conditions[-1]
    assert (told.reason, told.message) == (
        "Pending",
        "2 of 2 pods are ready. Not all of them are of this version yet.",
    )
    board.observe_pods(DECISION, PodState(wanted=2, held=True))
    assert scene.word(DECISION) == "Unknown"
    board.observe_pods(DECISION, PodState(ready=1, wanted=2, held=True))
    assert scene.word(DECISION) == "True"


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
