"""What a Deployment and its pods say of themselves, in a few sentences: pure functions of JSON.

In: objects as the API server has them. Out: a PodState. Called by lookout. A sentence stays the same while its cause
does, so that what is written of it is written once: it has no counts of tries and no times. Sources: "Pod Lifecycle"
and "Deployments: status" in Kubernetes' documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastforward_operator.podstate import PodState

Document = Mapping[str, Any]
_STARTING = frozenset({"ContainerCreating", "PodInitializing", ""})
_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff"})
_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(: ErrImagePull)?(: )?')
_MAX_WORDS = 300
_MAX_CAUSES = 3


def is_whole(deployment: Document) -> bool:
    """Whether all pods that are wanted are ready, and made of what is wanted now."""
    wanted = deployment["spec"].get("replicas", 1)
    return is_complete(deployment) and deployment.get("status", {}).get("readyReplicas", 0) >= wanted


def is_complete(deployment: Document) -> bool:
    """Whether pods made of what is wanted now have all been ready; a pod that is lost later changes nothing."""
    status = deployment.get("status", {})
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    updated = status.get("updatedReplicas", 0) >= deployment["spec"].get("replicas", 1)
    return seen and updated and _condition(deployment, "Progressing").get("reason") == "NewReplicaSetAvailable"


def state_of(deployment: Document, pods: Iterable[Document]) -> PodState:
    """`pods`: those of the Deployment; none where it is whole."""
    return PodState(
        ready=deployment.get("status", {}).get("readyReplicas", 0),
        wanted=deployment["spec"].get("replicas", 1),
        complete=is_complete(deployment),
        blocked=tuple(_blocked(deployment, pods)),
    )


def _blocked(deployment: Document, pods: Iterable[Document]) -> Iterator[str]:
    failing = _condition(deployment, "ReplicaFailure")
    if failing.get("status") == "True":
        yield f"Pods can't be made: {_short(failing.get('message', ''))}."
    causes: dict[str, list[str]] = {}
    for pod in sorted(pods, key=lambda each: each["metadata"]["name"]):
        if cause := next(_causes(pod), ""):
            causes.setdefault(cause, []).append(pod["metadata"]["name"])
    for cause, names in list(causes.items())[:_MAX_CAUSES]:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"Pod {names[0]}{more}: {cause}."
    late = _condition(deployment, "Progressing")
    if not causes and late.get("reason") == "ProgressDeadlineExceeded":
        yield f"{_short(late.get('message', ''))}."


def _causes(pod: Document) -> Iterator[str]:
    """Why a pod is not ready, where it says so; one that goes, or was put away, has been replaced."""
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"] or status.get("phase") in ("Failed", "Succeeded"):
        return
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield f"{scheduled.get('reason', '')}: {_short(scheduled.get('message', ''))}"
    for container in status.get("containerStatuses", ()):
        if not container.get("ready"):
            yield from _of_container(container)


def _of_container(container: Document) -> Iterator[str]:
    name, state = container["name"], container.get("state", {})
    waiting = state.get("waiting", {})
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
    if waiting.get("reason", "") in _PULLING:
        words = _short(_BACK_OFF.sub("", waiting.get("message", "")))
        yield f"image {container.get('image', '')} can't be pulled{': ' if words else ''}{words}"
    elif ended:
        words = f": {_short(ended['message'])}" if ended.get("message") else ""
        yield f"container {name} ended ({ended.get('reason', 'Error')}, exit code {ended.get('exitCode')}){words}"
    elif waiting.get("reason", "") not in _STARTING:
        yield f"container {name}: {waiting['reason']}: {_short(waiting.get('message', ''))}"


def _condition(document: Document, kind: str) -> Document:
    conditions = document.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each.get("type") == kind), {})


def _short(words: str) -> str:
    """On one line, without a point at the end."""
    line = " ".join(words.split()).rstrip(".")
    return line if len(line) <= _MAX_WORDS else f"{line[: _MAX_WORDS - 1]}…"
