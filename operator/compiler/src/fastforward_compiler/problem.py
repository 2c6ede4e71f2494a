"""A user's mistake as a value, and the closed list of reasons that statuses may give.

Made by translate; read by the operator (status, Events), the CLI and the tests. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class ConditionType(StrEnum):
    """Positive conditions on every object (GEP-1364)."""

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    PROGRAMMED = "Programmed"


class Reason(StrEnum):
    """Why a condition is False, worst first: of several Problems, the first in this order names the reason."""

    INVALID = "Invalid"
    DUPLICATE = "Duplicate"
    EDGE_NOT_FOUND = "EdgeNotFound"
    NOT_ALLOWED_BY_EDGE = "NotAllowedByEdge"
    HOST_NOT_OWNED = "HostNotOwned"
    HOST_CONFLICT = "HostConflict"
    LISTENER_CONFLICT = "ListenerConflict"
    RULE_CONFLICT = "RuleConflict"
    WEAKENS_INHERITED = "WeakensInherited"
    AUTHENTICATION_PER_HOST = "AuthenticationPerHost"
    TARGET_NOT_FOUND = "TargetNotFound"
    TENANT_CYCLE = "TenantCycle"
    REF_NOT_PERMITTED = "RefNotPermitted"
    UPSTREAM_NOT_FOUND = "UpstreamNotFound"
    SHARD_NOT_FOUND = "ShardNotFound"
    TENANT_NOT_FOUND = "TenantNotFound"
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_INVALID = "SecretInvalid"
    RATE_LIMIT_NOT_FOUND = "RateLimitNotFound"
    KEYS_UNAVAILABLE = "KeysUnavailable"
    EXPRESSION_INVALID = "ExpressionInvalid"
    REGEX_INVALID = "RegexInvalid"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectRef:
    """Which object: kind, namespace, name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with one object. It makes `condition` False; a warning leaves it True."""

    on: ObjectRef
    condition: ConditionType
    reason: Reason
    field: str
    """Path as people write it: `spec.rules[0].upstreams[1]`; empty for the whole object."""
    message: str
    """A sentence that names what is wrong and how to mend it."""


_REFERENCES = frozenset(
    {
        Reason.REF_NOT_PERMITTED,
        Reason.UPSTREAM_NOT_FOUND,
        Reason.SHARD_NOT_FOUND,
        Reason.TENANT_NOT_FOUND,
        Reason.SECRET_NOT_FOUND,
        Reason.SECRET_INVALID,
        Reason.RATE_LIMIT_NOT_FOUND,
        Reason.KEYS_UNAVAILABLE,
    }
)
_SEVERITY = {reason: place for place, reason in enumerate(Reason)}


def problem(on: ObjectRef, reason: Reason, field: str, message: str) -> Problem:
    """A Problem on the condition of its reason: ResolvedRefs for broken references, Accepted for the rest."""
    condition = ConditionType.RESOLVED_REFS if reason in _REFERENCES else ConditionType.ACCEPTED
    return Problem(on=on, condition=condition, reason=reason, field=field, message=message)


def worst_first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Without repetition; the worst reason first, then by field."""
    return tuple(sorted(set(problems), key=lambda found: (_SEVERITY[found.reason], found.field, found.message)))
