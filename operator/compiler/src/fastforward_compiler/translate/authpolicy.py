"""One AuthPolicy to its two halves, authentication and authorization, and where it is attached.

In: an AuthPolicy, the Secrets, ConfigMaps and documents it refers to, Tenants. Out: POLICY with Problems;
ATTACHED_POLICIES for routes. Called by combination, which joins the policies that meet on a rule. A provider or grant
that can't work is left out, which lets nobody in; a policy of which nothing is left is broken, and what it protects
answers 500.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Gift, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .certificate import Unusable
from .expression import fault_of_condition
from .external import translate_external
from .keyset import APIKEYS, KEYSET, ApiKeysFound, find_source
from .oidc import translate_oidc
from .ratelimit import sections_aimed_at
from .reference import EXISTS, is_permitted, target
from .tenant import FAMILY
from .upstream import ASKED_BY
from .users import USERS, UsersFound
from .world import AIMED_AT, AUTH_POLICIES, INVALID, TENANTS, age, ref_of


class Authentication(NamedTuple):
    """Who the caller is, as one policy asks it."""

    mode: ir.Mode
    providers: tuple[ir.Provider, ...]
    shadow: bool = False


class PolicyTranslation(NamedTuple):
    """One policy. `broken` says why it can't protect; then only its Problems matter."""

    authentication: Authentication | None = None
    authorization: ir.Authorization | None = None
    fail_open: bool = False
    broken: str = ""
    problems: tuple[Problem, ...] = ()
    overridable: bool = False
    tries: bool = False
    """Whether its authentication is only tried, and it enforces nothing else."""


class Attached(NamedTuple):
    """An AuthPolicy aimed at an Edge, a Gateway or a route. `sections`: rules or listeners, None for all of them."""

    name: str
    sections: frozenset[str] | None
    overridable: bool
    authenticates: bool
    enforces: bool = True
    """Whether any of it is more than tried."""


def _translate_policy(cells: Cells, name: str) -> PolicyTranslation | None:
    policy = cells.read(AUTH_POLICIES, name)
    if policy is None:
        invalid = cells.read(INVALID, "AuthPolicy", *name.split("/", 1))
        return None if invalid is None else PolicyTranslation(broken=f"AuthPolicy {name} is invalid")
    spec, on, problems = policy.spec, ref_of("AuthPolicy", name), []
    authentication, faults = None, list[str]()
    if spec.authentication is not None:
        providers = _translate_providers(cells, on, name, spec.authentication.providers, problems)
        shadow = spec.authentication.shadow
        usable = bool(providers) or not spec.authentication.providers
        authentication = Authentication(ir.Mode(spec.authentication.mode), providers, shadow) if usable else None
        if not usable and not shadow:
            faults.append("has no usable provider")
    # Also where no provider can be used, as always at first with keys that have to be fetched: whoever writes the
    # policy is to hear of all that is wrong with it, not of half of it later.
    authorization, fault = _translate_authorization(cells, on, spec, problems)
    if fault and not spec.shadow:
        faults.append(fault)
    if faults:
        return PolicyTranslation(broken=f"AuthPolicy {name} {faults[0]}", problems=tuple(problems))
    return PolicyTranslation(
        authentication,
        authorization,
        fail_open=spec.on_failure == "Open",
        problems=tuple(problems),
        overridable=spec.overridable,
        tries=_only_tries(spec),
    )


def _only_tries(spec: crds.AuthPolicySpec) -> bool:
    is_tried = spec.authentication is not None and spec.authentication.shadow
    return is_tried and (spec.authorization is None or spec.shadow)


def _translate_authorization(
    cells: Cells, on: ObjectRef, spec: crds.AuthPolicySpec, problems: list[Problem]
) -> tuple[ir.Authorization | None, str]:
    """What the policy asks, and what keeps it from protecting; then it asks nothing."""
    asked = spec.authorization
    if asked is None:
        return None, ""
    grants = tuple(_translate_grants(on, asked.grants, problems))
    external = None if asked.external is None else translate_external(cells, on, asked.external, problems)
    if asked.grants and not grants:
        return None, "has no usable grant"
    if asked.external is not None and external is None:
        return None, "can't ask its external service"
    policy = f"{on.namespace}/{on.name}"
    return ir.Authorization(policy=policy, grants=grants, shadow=spec.shadow, external=external), ""


def _give_asked(translation: PolicyTranslation | None, name: str) -> Iterable[Gift]:
    authorization = translation.authorization if translation is not None else None
    if authorization is not None and authorization.external is not None:
        yield (ASKED_BY, authorization.external.upstream), name


def _translate_providers(
    cells: Cells, on: ObjectRef, policy: str, providers: Iterable[crds.Provider], problems: list[Problem]
) -> tuple[ir.Provider, ...]:
    made: dict[str, ir.Provider] = {}
    for place, provider in enumerate(providers):
        field = f"spec.authentication.providers[{place}]"
        name = f"{policy}/{provider.name}"
        kind = _translate_kind(cells, on, field, name, provider, problems)
        tenants = _translate_tenants(cells, on, f"{field}.tenants", provider.tenants, problems)
        if kind is not None and name not in made:
            made[name] = ir.Provider(
                name=name, policy=policy, kind=kind, tenants=tenants, any_tenant="*" in provider.tenants
            )
    return tuple(made.values())


def _translate_tenants(
    cells: Cells, on: ObjectRef, field: str, tenants: Iterable[str], problems: list[Problem]
) -> tuple[str, ...]:
    """The tenants and their descendants, sorted."""
    family: set[str] = set()
    for place, simple in enumerate(tenants):
        if simple == "*":
            continue
        name = f"{on.namespace}/{simple}"
        if cells.read(EXISTS, TENANTS, name):
            family.update(cells.read(FAMILY, name))
        else:
            message = f"Tenant {name} was not found."
            problems.append(problem(on, Reason.TENANT_NOT_FOUND, f"{field}[{place}]", message))
    return tuple(sorted(family))


def _translate_kind(
    cells: Cells, on: ObjectRef, field: str, name: str, provider: crds.Provider, problems: list[Problem]
) -> ir.Jwt | ir.ApiKeyHeader | ir.BasicPasswords | ir.OidcLogin | None:
    if provider.jwt is not None:
        return _translate_jwt(cells, on, f"{field}.jwt", provider.jwt, problems)
    if provider.basic is not None:
        users = _resolve_secrets(cells, on, f"{field}.basic", USERS, provider.basic.secrets, problems)
        return ir.BasicPasswords(users=users) if users else None
    if provider.oidc is not None:
        return translate_oidc(cells, on, f"{field}.oidc", name, provider.oidc, problems)
    if provider.api_key is None:
        return None
    apikeys = _resolve_secrets(cells, on, f"{field}.apiKey", APIKEYS, provider.api_key.secrets, problems)
    return ir.ApiKeyHeader(header=provider.api_key.header.lower(), apikeys=apikeys) if apikeys else None


def _translate_jwt(cells: Cells, on: ObjectRef, field: str, jwt: crds.Jwt, problems: list[Problem]) -> ir.Jwt | None:
    source, place = find_source(jwt.jwks, on.namespace)
    keyset = _resolve(cells, on, source.kind, source.name) or cells.read(KEYSET, source)
    if isinstance(keyset, Unusable):
        problems.append(problem(on, keyset.reason, f"{field}.jwks.{place}", keyset.message))
        return None
    return ir.Jwt(
        issuer=jwt.issuer,
        audiences=jwt.audiences,
        keyset=keyset.name,
        tenant_claim=jwt.tenant_claim,
        roles_claim=jwt.roles_claim,
        permissions_claim=jwt.permissions_claim,
        clock_skew_s=crds.milliseconds(jwt.clock_skew) // 1000,
    )


def _resolve(cells: Cells, on: ObjectRef, kind: str, name: str) -> Unusable | None:
    """Why the policy may not refer to the object; None when it may."""
    if kind == "URL" or is_permitted(cells, kind="AuthPolicy", namespace=on.namespace, to_kind=kind, to=name):
        return None
    message = f"{kind} {name} is in another namespace, and no ReferenceGrant there permits it."
    return Unusable(Reason.REF_NOT_PERMITTED, message)


def _resolve_secrets(
    cells: Cells,
    on: ObjectRef,
    field: str,
    rule: Rule[ApiKeysFound | Unusable] | Rule[UsersFound | Unusable],
    refs: Iterable[crds.Ref],
    problems: list[Problem],
) -> tuple[str, ...]:
    """Names of the Secrets that hold what the rule finds in them."""
    names: dict[str, None] = {}
    for place, ref in enumerate(refs):
        name, where = target(ref, on.namespace), f"{field}.secrets[{place}]"
        found = _resolve(cells, on, "Secret", name) or cells.read(rule, name)
        if isinstance(found, Unusable):
            problems.append(problem(on, found.reason, where, found.message))
            continue
        problems.extend(problem(on, Reason.SECRET_INVALID, where, fault) for fault in found.faults)
        names[name] = None
    return tuple(names)


def _translate_grants(on: ObjectRef, grants: Iterable[crds.Grant], problems: list[Problem]) -> Iterable[ir.Grant]:
    for place, grant in enumerate(grants):
        fault = fault_of_condition(grant.condition) if grant.condition is not None else ""
        if fault:
            field = f"spec.authorization.grants[{place}].condition"
            message = f"The condition is refused, so this grant is left out: {fault}."
            problems.append(problem(on, Reason.EXPRESSION_INVALID, field, message))
            continue
        yield ir.Grant(
            name=grant.name,
            roles=grant.roles,
            permissions=grant.permissions,
            tenants=grant.tenants,
            methods=grant.methods,
            condition=grant.condition or "",
        )


def _make_attached(cells: Cells, kind: str, name: str) -> tuple[Attached, ...]:
    policies = [policy for policy_kind, policy in cells.read(AIMED_AT, kind, name) if policy_kind == "AuthPolicy"]
    oldest_first = sorted(policies, key=lambda policy: (age(cells.read(AUTH_POLICIES, policy)), policy))
    attached = [_attach(cells, policy, kind, name) for policy in oldest_first]
    if kind == "Gateway":
        # A listener is below its Gateway, as a route is below both.
        attached.sort(key=lambda each: each.sections is not None)
    return tuple(attached)


def _attach(cells: Cells, policy: str, kind: str, name: str) -> Attached:
    found = cells.read(AUTH_POLICIES, policy)
    aimed_at = name.partition("/")[2]
    if found is None:
        invalid = cells.read(INVALID, "AuthPolicy", *policy.split("/", 1))
        targets = invalid.targets if invalid is not None else ()
        return Attached(policy, sections_aimed_at(targets, kind, aimed_at), overridable=False, authenticates=False)
    sections = sections_aimed_at(found.spec.targets, kind, aimed_at)
    authentication, authorization = found.spec.authentication, found.spec.authorization
    authenticates = authentication is not None and not authentication.shadow
    enforces = authenticates or (authorization is not None and not found.spec.shadow)
    return Attached(policy, sections, found.spec.overridable, authenticates, enforces)


POLICY: Rule[PolicyTranslation | None] = Rule("policy", _translate_policy, gives=_give_asked, root=True, counted=True)
ATTACHED_POLICIES: Rule[tuple[Attached, ...]] = Rule("attached policies", _make_attached)
"""(kind, identity): the AuthPolicies aimed at an object, oldest first; of a Gateway, those for one listener after the
others."""
