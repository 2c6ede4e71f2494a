"""The AuthPolicies that meet on a rule, combined: those of Edge or Gateway first, then the route's, oldest first.

In: policies by name. Out: `ir.Auth`, or why there is none. Called by compile through AUTH; routes read TRAITS. Why it
exists: combining is explicit here and nowhere else. Authorizations add up; a later authentication may only be as strong
as the one before it; an overridable policy of the Edge or Gateway gives way to any policy of the route that enforces
something. What is only tried never takes the place of what is in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Gift, Index, Rule

from .authpolicy import POLICY, Attached, Authentication, PolicyTranslation

AUTHS_OF: Index[str] = Index("combinations by policy")
"""(policy) -> names of Auths that it is part of."""
ABROAD: Index[str] = Index("edges of other namespaces by policy")
"""(policy) -> Edges and Gateways of other namespaces where it is in force, `KIND NAMESPACE/NAME`."""
WEAKENED: Index[str] = Index("weakened authentications by policy")
"""(policy) -> sentences that say what it would weaken."""

_STRENGTH = {ir.Mode.NONE: 0, ir.Mode.OPTIONAL: 1, ir.Mode.REQUIRED: 2}


class Combination(NamedTuple):
    """`auth` is None when a policy is broken, and `broken` says which. `weakened` pairs policies with sentences."""

    auth: ir.Auth | None
    broken: str = ""
    weakened: tuple[tuple[str, str], ...] = ()


class Traits(NamedTuple):
    """What entries depend on: other edits of the policies leave it as it is."""

    broken: str
    authenticates: bool
    authorizes: bool
    beyond_proxy: str
    fail_open: bool


def effective_policies(edge: Iterable[Attached], route: Sequence[Attached]) -> tuple[str, ...]:
    """Names of the policies in force, in order of attachment."""
    replaced = any(policy.enforces for policy in route)
    inherited = (policy.name for policy in edge if not (policy.overridable and replaced))
    return tuple(dict.fromkeys([*inherited, *(policy.name for policy in route)]))


def join(policies: Iterable[str]) -> str:
    """The name of an Auth."""
    return "+".join(policies)


def _combine(cells: Cells, name: str) -> Combination:
    found = [(policy, cells.read(POLICY, policy) or _missing(policy)) for policy in name.split("+")]
    broken = next((translation.broken for _, translation in found if translation.broken), "")
    if broken:
        return Combination(None, broken)
    base: Authentication | None = None
    yields = False
    weakened: list[tuple[str, str]] = []
    trials: list[ir.Trial] = []
    for policy, translation in found:
        own = translation.authentication
        if own is None:
            continue
        # In force it would take the place of one that is overridable.
        fault = "" if own.shadow and yields else _weakness(own, base)
        if fault:
            weakened.append((policy, fault))
        elif own.shadow:
            trials.append(ir.Trial(policy=policy, mode=own.mode, providers=own.providers))
        else:
            base, yields = own, translation.overridable
    providers = base.providers if base is not None else ()
    auth = ir.Auth(
        name=name,
        mode=base.mode if base is not None else ir.Mode.NONE,
        providers=providers,
        authorizations=tuple(t.authorization for _, t in found if t.authorization is not None),
        fail_open=_fails_open([translation for _, translation in found]),
        trials=tuple(trials),
    )
    return Combination(auth, weakened=tuple(weakened))


def _fails_open(found: Sequence[PolicyTranslation]) -> bool:
    """Not with passwords: these are slow to verify, and many keep the decision service from answering in time. Nor with
    logins, for an issuer may be slow as well. Nor where a service must be asked: without the decision service nobody
    asks it.
    """
    enforcing = [translation for translation in found if not translation.tries]
    if not enforcing:
        return True
    asked = (each.authentication for each in found)
    kinds = (one.kind for each in asked if each is not None for one in each.providers)
    slow = any(isinstance(kind, ir.BasicPasswords | ir.OidcLogin) for kind in kinds)
    return not slow and all(translation.fail_open and not _must_ask(translation) for translation in enforcing)


def _must_ask(translation: PolicyTranslation) -> bool:
    asked = translation.authorization
    return asked is not None and asked.external is not None and not (asked.external.fail_open or asked.shadow)


def _missing(policy: str) -> PolicyTranslation:
    """Closed: whoever named the policy meant it to protect."""
    return PolicyTranslation(broken=f"AuthPolicy {policy} was not found")


def _weakness(own: Authentication, inherited: Authentication | None) -> str:
    """How an authentication is weaker than the inherited one; empty when it is not."""
    if inherited is None or inherited.mode is ir.Mode.NONE:
        return ""
    if _STRENGTH[own.mode] < _STRENGTH[inherited.mode]:
        return f"Mode {own.mode} is weaker than the inherited {inherited.mode}, which stays."
    for provider in own.providers:
        if not any(provider.is_as_strong_as(other) for other in inherited.providers):
            simple = provider.name.rpartition("/")[2]
            return f"Provider {simple} is none of the inherited ones, which stay."
    return ""


def _combination_gifts(combination: Combination, name: str) -> Iterable[Gift]:
    for policy in name.split("+") if combination.auth is not None else ():
        yield (AUTHS_OF, policy), name
    for policy, sentence in combination.weakened:
        yield (WEAKENED, policy), sentence


def abroad_gifts(auths: Iterable[str], kind: str, name: str) -> Iterator[Gift]:
    """Which policies of these Auths are in force on an Edge or Gateway of another namespace."""
    home = f"{name.partition('/')[0]}/"
    for policy in {policy for auth in auths for policy in auth.split("+") if policy}:
        if not policy.startswith(home):
            yield (ABROAD, policy), f"{kind} {name}"


def _make_traits(cells: Cells, name: str) -> Traits:
    auth, broken, _ = cells.read(AUTH, name)
    if auth is None:
        return Traits(broken, authenticates=False, authorizes=False, beyond_proxy="", fail_open=False)
    return Traits(
        broken="",
        authenticates=auth.mode is not ir.Mode.NONE or bool(auth.trials),
        authorizes=bool(auth.authorizations),
        beyond_proxy=_beyond_proxy(auth),
        fail_open=auth.fail_open,
    )


def _make_known_to_proxy(cells: Cells, name: str) -> tuple[ir.Provider, ...]:
    auth = cells.read(AUTH, name).auth
    return auth.known_to_proxy if auth is not None else ()


def _beyond_proxy(auth: ir.Auth) -> str:
    """Why the proxy can't do all of it; empty when it can."""
    return "" if auth.native else next(_reasons_for_hop(auth))


def _reasons_for_hop(auth: ir.Auth) -> Iterator[str]:
    """Yields what of it the proxy can't do, what weighs most first."""
    if logins := {p.policy for p in auth.providers if isinstance(p.kind, ir.OidcLogin)}:
        yield f"AuthPolicy {_listed(logins)} logs browsers in"
    if passwords := {p.policy for p in auth.providers if isinstance(p.kind, ir.BasicPasswords)}:
        yield f"AuthPolicy {_listed(passwords)} takes passwords"
    if keys := {p.policy for p in auth.providers if isinstance(p.kind, ir.ApiKeyHeader)}:
        yield f"AuthPolicy {_listed(keys)} takes API keys"
    for each in auth.authorizations:
        if each.external is not None:
            yield f"AuthPolicy {each.policy} asks Upstream {each.external.upstream}"
    if tried := {trial.policy for trial in auth.trials}:
        yield f"the authentication of AuthPolicy {_listed(tried)} is only tried"
    if conditions := {a.policy for a in auth.authorizations if any(grant.condition for grant in a.grants)}:
        yield f"AuthPolicy {_listed(conditions)} has CEL conditions"
    claims = {p.policy for p in auth.providers if isinstance(p.kind, ir.Jwt) and not p.kind.tenant_in_header}
    yield f"AuthPolicy {_listed(claims)} has a tenant claim that the proxy can't read"


def _listed(policies: Iterable[str]) -> str:
    return ", ".join(sorted(policies))


AUTH: Rule[Combination] = Rule("combination", _combine, gives=_combination_gifts)
"""(name of the Auth: the policies' names, joined by `+`)."""
TRAITS: Rule[Traits] = Rule("combination traits", _make_traits)
KNOWN_TO_PROXY: Rule[tuple[ir.Provider, ...]] = Rule("providers that the proxy knows", _make_known_to_proxy)
"""Of an Auth: what tenants' tables depend on, whoever's entry it is; other edits of the policies leave it as it is."""
