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
    """The document breaks the schema or a rule; the message says which field. Mend it; its last good version keeps
    serving.
    """
    DUPLICATE = "Duplicate"
    """Another file holds an object of the same kind, namespace and name, and came first. Remove one of the two."""
    EDGE_NOT_FOUND = "EdgeNotFound"
    """The Edge, or its listener, is not there. Create it, or mend the name in `edges`."""
    NOT_ALLOWED_BY_EDGE = "NotAllowedByEdge"
    """The Edge takes no Routes of this namespace. Ask its owner to widen `routeNamespaces`."""
    HOST_NOT_OWNED = "HostNotOwned"
    """The host is none of the Edge's, or belongs to another tenant. Use one of the hosts that the message names."""
    HOST_CONFLICT = "HostConflict"
    """An older object owns the host. Take another host, or remove it there."""
    LISTENER_CONFLICT = "ListenerConflict"
    """An older Edge, another listener, or the pods of the proxies have the port. Take another port."""
    RULE_CONFLICT = "RuleConflict"
    """The rule is never reached: an older one has the same match. Add a condition, or remove one of the two."""
    WEAKENS_INHERITED = "WeakensInherited"
    """The policy would weaken the authentication that a policy of the Edge or Gateway asks for, so that one stays. Make
    it as strong, or have the other policy say `overridable`.
    """
    AUTHENTICATION_PER_HOST = "AuthenticationPerHost"
    """Rules for tenants are looked at after authentication, so they can't have one of their own. Aim `authentication`
    at the Edge or at a rule for everybody.
    """
    TENANT_NOT_ALLOWED = "TenantNotAllowed"
    """The policy is in force on an Edge or Gateway of another namespace, and its provider lists tenants: it speaks for
    none there. Have a policy of that namespace speak for them, or leave out `tenants`.
    """
    TARGET_NOT_FOUND = "TargetNotFound"
    """What the policy aims at, or the rule or listener of it, is not there. Create it, or mend `targets`."""
    TARGET_NOT_SERVED = "TargetNotServed"
    """The policy aims at a Gateway of another controller, or at a route that is on no other. Nothing of it is in force
    there: give the Gateway a class of ours, or mend `targets`.
    """
    TENANT_CYCLE = "TenantCycle"
    """The Tenant is its own ancestor. Mend `parent` of one of them."""
    REF_NOT_PERMITTED = "RefNotPermitted"
    """The object is in another namespace that does not permit the reference. Create a ReferenceGrant there."""
    UPSTREAM_NOT_FOUND = "UpstreamNotFound"
    """The Upstream is not there; its share of the requests is answered 500. Create it, or mend the name."""
    SERVICE_NOT_FOUND = "ServiceNotFound"
    """The Service, or its port, is not there; requests are answered 503. Create it, or mend the reference."""
    NO_ENDPOINTS = "NoEndpoints"
    """No endpoint of the Service serves; requests are answered 503. See what its pods lack to be ready."""
    SHARD_NOT_FOUND = "ShardNotFound"
    """The Shard, or any with an upstream for this purpose, is not there. Create it, or mend the name."""
    SCHEMA_NOT_FOUND = "SchemaNotFound"
    """The Schema, or this version of it, is not there; the rule answers 500. Create it, or mend the name."""
    TENANT_NOT_FOUND = "TenantNotFound"
    """The Tenant is not there. Create it, or mend the name."""
    SECRET_NOT_FOUND = "SecretNotFound"
    """The Secret or ConfigMap is not there. Create it, or mend the name."""
    SECRET_INVALID = "SecretInvalid"
    """The Secret or ConfigMap does not hold what is needed; the message says what. Mend its data."""
    ADDRESS_LIST_NOT_FOUND = "AddressListNotFound"
    """The Edge has no such address list or country, can't read it, or has more networks in all than proxies hold; one
    that keeps clients out keeps everybody out then. Declare it in the Edge's `addressLists` or `countries`, mend what
    the Edge says of its ConfigMaps, or make the lists shorter.
    """
    RATE_LIMIT_NOT_FOUND = "RateLimitNotFound"
    """The RateLimit that the Tenant has a budget for is not there, or not counted by tenant. Mend `limits`."""
    KEYS_UNAVAILABLE = "KeysUnavailable"
    """The issuer's keys could not be fetched, or are too old to be believed. Look after the URL."""
    LISTENERS_NOT_VALID = "ListenersNotValid"
    """No listener of the Gateway or ListenerSet can be used; its listeners say why. Mend one of them."""
    LISTENERS_NOT_RESOLVED = "ListenersNotResolved"
    """A listener can't be used as it is; the others serve. The message says what to mend."""
    UNSUPPORTED_ADDRESS = "UnsupportedAddress"
    """An address of this type can't be given to a Gateway. Ask for an `IPAddress`."""
    INVALID_PARAMETERS = "InvalidParameters"
    """What `parametersRef` names is no ConfigMap, is not there, or says what nobody knows. Mend the reference, or the
    ConfigMap's data.
    """
    NOT_ALLOWED = "NotAllowed"
    """The Gateway takes no ListenerSets of this namespace. Ask its owner to widen `allowedListeners`."""
    NO_MATCHING_PARENT = "NoMatchingParent"
    """The Gateway has no listener of this name or port. Mend `parentRefs`."""
    NOT_ALLOWED_BY_LISTENERS = "NotAllowedByListeners"
    """No listener takes routes of this kind or namespace. Ask the Gateway's owner to widen `allowedRoutes`."""
    NO_MATCHING_LISTENER_HOSTNAME = "NoMatchingListenerHostname"
    """No host name of the route is one of the listeners', or each belongs to a listener with a narrower one. Mend
    `hostnames`.
    """
    UNSUPPORTED_VALUE = "UnsupportedValue"
    """A part of the rule can't be done; the rule answers 500. The message says which."""
    INCOMPATIBLE_FILTERS = "IncompatibleFilters"
    """Filters of the rule contradict each other; it answers 500. Remove one of them."""
    CONFLICTED = "Conflicted"
    """An older policy has the same target, or an older Workload the same stage. Remove one of the two."""
    NO_VALID_CA_CERTIFICATE = "NoValidCACertificate"
    """The policy names no authority that can be believed; its targets are answered 503. Mend `caCertificateRefs`."""
    INVALID_CLIENT_CERTIFICATE_REF = "InvalidClientCertificateRef"
    """The certificate that the Gateway is to show to backends can't be had; it shows none. Mend the reference."""
    INVALID_CA_CERTIFICATE_REF = "InvalidCACertificateRef"
    """An object with certificates of authorities is not there, or holds none. Mend the reference, or its data."""
    INVALID_KIND = "InvalidKind"
    """Objects of this kind are not known here. Refer to another one."""
    BACKEND_NOT_FOUND = "BackendNotFound"
    """The Service, or its port, is not there; its share of the requests is answered 500. Create it, or mend the
    name.
    """
    SCHEMA_INVALID = "SchemaInvalid"
    """A version of the Schema is no schema of its format; it is left out. The message says what to mend."""
    SCHEMA_INCOMPATIBLE = "SchemaIncompatible"
    """A version of the Schema does not fit the one before, as `compatibility` asks; it is left out, and earlier ones
    serve. Mend it, or ask for less.
    """
    EXPRESSION_INVALID = "ExpressionInvalid"
    """The CEL expression is refused; the grant is left out. Mend it."""
    REGEX_INVALID = "RegexInvalid"
    """The regular expression is refused; the match is left out. Mend it (RE2 syntax, no look-around)."""


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
        Reason.SERVICE_NOT_FOUND,
        Reason.NO_ENDPOINTS,
        Reason.SHARD_NOT_FOUND,
        Reason.SCHEMA_NOT_FOUND,
        Reason.TENANT_NOT_FOUND,
        Reason.SECRET_NOT_FOUND,
        Reason.SECRET_INVALID,
        Reason.ADDRESS_LIST_NOT_FOUND,
        Reason.RATE_LIMIT_NOT_FOUND,
        Reason.KEYS_UNAVAILABLE,
        Reason.LISTENERS_NOT_RESOLVED,
        Reason.INVALID_KIND,
        Reason.INVALID_CLIENT_CERTIFICATE_REF,
        Reason.INVALID_CA_CERTIFICATE_REF,
        Reason.BACKEND_NOT_FOUND,
    }
)
_MAY_BE_MENDED_BY_OTHERS = _REFERENCES | {
    Reason.SCHEMA_NOT_FOUND,
    Reason.EDGE_NOT_FOUND,
    Reason.TARGET_NOT_FOUND,
    Reason.TARGET_NOT_SERVED,
    Reason.RULE_CONFLICT,
    Reason.CONFLICTED,
}
_SEVERITY = {reason: place for place, reason in enumerate(Reason)}


def problem(on: ObjectRef, reason: Reason, field: str, message: str) -> Problem:
    """A Problem on the condition of its reason: ResolvedRefs for broken references, Accepted for the rest."""
    condition = ConditionType.RESOLVED_REFS if reason in _REFERENCES else ConditionType.ACCEPTED
    return Problem(on=on, condition=condition, reason=reason, field=field, message=message)


def is_refused(found: Problem) -> bool:
    """Whether an object with this Problem is not to be taken into a cluster at all.

    What it refers to may come after it, and an older object that has its match or stage may go after it: those are
    warnings.
    """
    if found.reason is Reason.HOST_NOT_OWNED and found.on.kind == "Tenant":
        # The Edge that owns the host may come, too: nobody else has it.
        return False
    return found.reason not in _MAY_BE_MENDED_BY_OTHERS


def worst_first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Without repetition; the worst reason first, then by field."""
    return tuple(sorted(set(problems), key=lambda found: (_SEVERITY[found.reason], found.field, found.message)))
