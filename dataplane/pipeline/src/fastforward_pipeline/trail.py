"""The Trail: what each stage found, why, and what nearly matched. Filled by the stages only when somebody asks for it.

Made by the caller of `decide`; shown by `ff explain` and `ff test`. It holds plain text, so that it can go anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from .compiled.zone import Zones
from .decision import Decision, Refusal
from .reason import FACTS

STAGES = (
    "ingress",
    "admission",
    "authentication",
    "normalization",
    "authorization",
    "routing",
    "tracking",
    "dispatch",
)
"""The eight stages, in the order in which they are told."""
# Rate limits are placed with admission, but counted after authorization, when their keys are known.
_TOLD_WITH = {"ratelimit": "admission"}
MAX_NEAR_MISSES = 10


class Verdict(StrEnum):
    """What a stage says."""

    PASSED = "passed"
    SKIPPED = "skipped"
    """Nothing to judge, or not reached."""
    SHADOWED = "shadowed"
    """Would have refused, but is only watched."""
    ANSWERED = "answered"
    """The gateway answers by itself."""
    REFUSED = "refused"


_WORST = (Verdict.REFUSED, Verdict.ANSWERED, Verdict.SHADOWED, Verdict.PASSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a stage found."""

    stage: str
    verdict: Verdict
    detail: str
    object: str = ""
    """KIND NAMESPACE/NAME."""
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A rule, a grant or a provider that would have fitted but for one condition."""

    stage: str
    object: str
    field: str
    expected: str
    got: str


@dataclass(slots=True)
class Trail:
    """Collects findings while `decide` runs."""

    findings: list[Finding] = field(default_factory=list)
    near_misses: list[NearMiss] = field(default_factory=list)
    zones: Mapping[str, Zones] = field(default_factory=dict)
    """By Upstream that the request may go to; of those for which zones count."""

    def note(self, stage: str, verdict: Verdict, detail: str, *, object: str = "", field: str = "") -> None:  # noqa: A002
        """Adds a finding."""
        self.findings.append(Finding(stage=stage, verdict=verdict, detail=detail, object=object, field=field))

    def miss(self, near_miss: NearMiss) -> None:
        """Adds a near miss, once, as long as there are few."""
        if len(self.near_misses) < MAX_NEAR_MISSES and near_miss not in self.near_misses:
            self.near_misses.append(near_miss)

    def to_dict(self, decision: Decision) -> dict[str, object]:
        """Returns the Trail and the Decision as plain data, for `ff explain -o json`."""
        plan = decision.plan or decision.entry
        placements = {} if plan is None else plan.placements
        return {
            "verdict": "allowed" if decision.allowed else "refused",
            "status": decision.status,
            "reason": decision.reason,
            "title": decision.title,
            "remedy": "" if decision.reason is None else FACTS[decision.reason].remedy,
            "route": decision.route,
            "rule": decision.rule,
            "plan": "" if decision.plan is None else decision.plan.name,
            "tenant": decision.tenant,
            "subject": "" if decision.identity is None else decision.identity.subject,
            "upstream": decision.candidates[0].upstream if len(decision.candidates) == 1 else "",
            "upstreams": [
                {**asdict(candidate), "zones": _zones(self.zones.get(candidate.upstream))}
                for candidate in decision.candidates
            ],
            "shard": decision.shard,
            "limits": [asdict(limit) for limit in decision.limits],
            "shadow": list(decision.shadow),
            "wouldRefuse": [_would_refuse(refusal) for refusal in decision.would_refuse],
            "stages": [self._stage(stage, placements.get(stage, ("", ""))) for stage in STAGES],
        }

    def _stage(self, stage: str, placement: tuple[str, str]) -> dict[str, object]:
        findings = [finding for finding in self.findings if _TOLD_WITH.get(finding.stage, finding.stage) == stage]
        return {
            "stage": stage,
            "placement": placement[0],
            "why": placement[1],
            "verdict": _worst(finding.verdict for finding in findings),
            "findings": [_without_stage(asdict(finding)) for finding in findings],
            "nearMisses": [_without_stage(asdict(miss)) for miss in self.near_misses if miss.stage == stage],
        }


def _zones(zones: Zones | None) -> dict[str, object] | None:
    """Returns where its endpoints are; None where that does not count."""
    if zones is None:
        return None
    listed = [{**asdict(each), "endpoints": list(each.endpoints)} for each in zones.zones]
    return {"minimum": zones.minimum, "zones": listed}


def _would_refuse(refusal: Refusal) -> dict[str, object]:
    told = {name: getattr(refusal, name) for name in ("reason", "detail", "object", "field")}
    return {"status": FACTS[refusal.reason].status, **told}


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    said = frozenset(verdicts)
    return next((verdict for verdict in _WORST if verdict in said), Verdict.SKIPPED)


def _without_stage(told: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in told.items() if name != "stage"}
