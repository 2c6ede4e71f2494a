"""What is said of objects, from reports and the ledger."""

import asyncio

import pytest
from fastforward_compiler import ir
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem
from fastforward_operator.objectstatus import ObjectStatus
from fastforward_operator.xds.ledger import KeyState

from support.eventually import eventually
from support.status_scene import (
    ACME,
    CLUSTER_KEY,
    DECISION_KEY,
    NEIGHBOUR,
    PUBLIC,
    SCOPE_KEY,
    SHOP,
    TABLE,
    UPSTREAM,
    Scene,
)


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
