"""What Deployments and pods say of themselves, as sentences that stay while their cause does."""

from __future__ import annotations

from typing import Any

import pytest
from fastforward_operator.kubernetes.podwords import is_whole, state_of
from fastforward_operator.podstate import PodState

Json = dict[str, Any]
IMAGE = "registry.example.com/decision:1"


def deployment(ready: int = 0, *, reason: str = "ReplicaSetUpdated", **more: Json) -> Json:
    progressing = {"type": "Progressing", "status": "True", "reason": reason, "message": "It takes too long."}
    conditions = [progressing, *({"type": kind, **said} for kind, said in more.items())]
    status = {"observedGeneration": 2, "updatedReplicas": 2, "readyReplicas": ready, "conditions": conditions}
    return {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}


def pod(name: str = "a", **status: object) -> Json:
    return {"metadata": {"name": name}, "status": status}


def container(state: Json, last: Json | None = None, *, ready: bool = False) -> list[Json]:
    return [{"name": "decision", "image": IMAGE, "ready": ready, "state": state, "lastState": last or {}}]


def blocked(*pods: Json, of: Json | None = None) -> tuple[str, ...]:
    return state_of(of or deployment(), pods).blocked


def test_a_deployment_is_complete_when_its_newest_pods_have_been_ready_and_stays_so() -> None:
    assert state_of(deployment(2, reason="NewReplicaSetAvailable"), ()) == PodState(ready=2, wanted=2, complete=True)
    assert is_whole(deployment(2, reason="NewReplicaSetAvailable"))
    lost = deployment(1, reason="NewReplicaSetAvailable")
    assert (is_whole(lost), state_of(lost, ()).complete) == (False, True)
    assert not state_of(deployment(2), ()).complete
    newer = deployment(2, reason="NewReplicaSetAvailable")
    newer["metadata"]["generation"] = 3
    assert not state_of(newer, ()).complete
    fresh = {"metadata": {"generation": 1}, "spec": {"replicas": 1}}
    assert state_of(fresh, ()) == PodState(wanted=1)


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_pods_that_start_are_not_blocked(reason: str) -> None:
    assert blocked(pod(containerStatuses=container({"waiting": {"reason": reason}}))) == ()
    assert blocked(pod(containerStatuses=container({"running": {}})), pod("b")) == ()


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ErrImagePull", "not found"),
        ("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: not found'),
    ],
)
def test_an_image_that_cannot_be_pulled_is_told_in_the_same_words_while_it_is_tried_again(
    reason: str, message: str
) -> None:
    waiting = {"waiting": {"reason": reason, "message": message}}
    assert blocked(pod(containerStatuses=container(waiting))) == (f"Pod a: image {IMAGE} can't be pulled: not found.",)


def test_a_container_that_keeps_ending_says_how_whatever_it_does_just_now() -> None:
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    words = ("Pod a: container decision ended (OOMKilled, exit code 137).",)
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
    for state, last in ((waiting, ended), ({"running": {}}, ended), (ended, None)):
        assert blocked(pod(containerStatuses=container(state, last))) == words
    assert blocked(pod(containerStatuses=container({"running": {}}, ended, ready=True))) == ()


def test_what_the_node_and_the_scheduler_say_is_told() -> None:
    config = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found.'}}
    told = blocked(
        pod("a", containerStatuses=container(config)),
        pod("b", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]),
        pod("c", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]),
    )
    assert told == (
        'Pod a: container decision: CreateContainerConfigError: secret "x" not found.',
        "Pod b and 1 more: Unschedulable: 0/1.",
    )


def test_pods_that_go_or_were_put_away_say_nothing() -> None:
    waiting = container({"waiting": {"reason": "InvalidImageName"}})
    going = {**pod(containerStatuses=waiting)}
    going["metadata"] = {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert blocked(going, pod("b", phase="Failed", containerStatuses=waiting)) == ()


def test_pods_that_cannot_be_made_and_a_deployment_that_gave_up_waiting_say_so() -> None:
    quota = {"status": "True", "reason": "FailedCreate", "message": "pods are forbidden: exceeded quota"}
    failing = deployment(ReplicaFailure=quota)
    assert blocked(of=failing) == ("Pods can't be made: pods are forbidden: exceeded quota.",)
    assert blocked(of=deployment(reason="ProgressDeadlineExceeded")) == ("It takes too long.",)


def test_long_words_are_cut_and_stand_on_one_line() -> None:
    (told,) = blocked(pod(containerStatuses=container({"waiting": {"reason": "X", "message": "a\n b" * 400}})))
    assert "\n" not in told
    assert len(told) < 400
