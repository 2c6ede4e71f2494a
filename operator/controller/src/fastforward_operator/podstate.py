"""How the pods fare that are made for an object, as a value, and what that says of the object.

Made by kubernetes/lookout; read by status.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastforward_compiler.problem import ConditionType, Problem

Said = tuple[str, str, str, str]
"""Type, status, reason and message of a condition."""
PODS_READY = "PodsReady"
"""Condition of what has pods; there only while some of them can't start, or keep ending."""
NOT_READY = "PodsNotReady"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodState:
    """Of one Edge, Gateway or Workload; by itself that of one whose pods nobody has seen yet."""

    ready: int = 0
    wanted: int = 0
    complete: bool = False
    """Whether pods made of this version have all been ready."""
    held: bool = False
    """Whether the object itself says that this version was Programmed, whoever wrote that."""
    blocked: tuple[str, ...] = ()
    """Why pods can't start or keep ending: sentences, with the words of the cluster."""
    problems: tuple[Problem, ...] = ()
    """Secrets that the pods need and that are not as they should be."""

    @property
    def count(self) -> str:
        """A sentence."""
        return f"{self.ready} of {self.wanted} pods are ready."


def of_pods(pods: PodState, *, held: bool) -> Said | None:
    """What is said of Programmed where pods are all that an object is; None: nothing is in the way.

    `held`: this version was Programmed before. Then one pod is enough: they may be replaced for other reasons.
    """
    if pods.ready and (pods.complete or pods.held or held):
        return None
    why = (pods.count, *pods.blocked, *(problem.message for problem in pods.problems))
    if pods.problems:
        return ConditionType.PROGRAMMED, "False", pods.problems[0].reason, " ".join(why)
    if pods.blocked:
        return ConditionType.PROGRAMMED, "False", NOT_READY, " ".join(why)
    others = " Not all of them are of this version yet." if pods.ready and pods.ready >= pods.wanted else ""
    return ConditionType.PROGRAMMED, "Unknown", "Pending", f"{pods.count}{others}"


def of_blocked(pods: PodState) -> Said:
    """Why some can't start."""
    return PODS_READY, "False", NOT_READY, " ".join((pods.count, *pods.blocked))
