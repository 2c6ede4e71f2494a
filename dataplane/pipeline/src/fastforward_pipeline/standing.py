"""Whether whoever was let in once would be let in again: connections and listeners outlast the request that began them.

In: the request of that beginning, and any snapshot. Out: a Standing, or a Refusal. Judged by the functions that judge
requests, but nothing is counted: to stay costs no token. Called by EntryPoint when a connection begins, and again when
the snapshot changes or credentials end. Most changes are none of a connection's business: `rests` says so for a tenth
of what judging costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from operator import is_

from fastforward.snapshot.v1 import snapshot_pb2

from .compiled.authpolicy import Identity, JwtProvider, KeyProvider, OidcProvider
from .compiled.route import Plan
from .decision import Refusal
from .effects import Proof, VerifyPassword
from .exchange import Exchange, Outcome
from .reason import Reason
from .request import Request
from .snapshot import Snapshot
from .stages import admission, authentication, authorization, ingress, normalization, routing, tenant
from .stages.normalization import strip_port

_NO_PROOFS: Mapping[VerifyPassword, Proof] = {}
_STEPS: tuple[Callable[[Exchange], Outcome], ...] = (
    normalization.judge,
    ingress.judge,
    routing.match,
    admission.judge,
    authentication.judge,
    tenant.judge,
    routing.rematch,
    authorization.recheck,
    authorization.judge,
)
"""Those of `evaluate` that say yes or no to who it is. Services of others have been asked when it began, and are not
asked again.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Somebody who may stay."""

    plan: Plan
    """The rule that says so."""
    entry: Plan
    """The rule by which it was authenticated."""
    edge: str
    edge_namespace: str
    """Of the Edge that has the host, and so of the tenant."""
    host: str
    tenant: str
    subject: str
    until: float
    """Unix time at which the first of the credentials ends; infinite for never."""
    grounds: tuple[object, ...] = ()
    """The parts of the snapshot that it was judged by."""


def judge_standing(
    snapshot: Snapshot, request: Request, proofs: Mapping[VerifyPassword, Proof] = _NO_PROOFS
) -> Standing | Refusal | VerifyPassword:
    """Judges the request as if it came now. A password that `proofs` say nothing of must be verified first."""
    exchange = Exchange(snapshot, request, None, counting_native=False)
    exchange.proofs.update(proofs)
    for step in _STEPS:
        outcome = step(exchange)
        if isinstance(outcome, Refusal | VerifyPassword):
            return outcome
    standing = Standing(
        plan=exchange.final,
        entry=exchange.entry,
        edge=request.edge,
        edge_namespace=exchange.scope.namespace,
        host=exchange.request.host.lower(),
        tenant=exchange.tenant,
        subject=exchange.identity.subject,
        # What two rules ask for, or two credentials prove, holds for as long as both do.
        until=min((_end_of(snapshot, each) for each in exchange.proved), default=inf),
    )
    return replace(standing, grounds=_gather(snapshot, request, standing))


def rests(snapshot: Snapshot, request: Request, standing: Standing) -> bool:
    """Whether the standing of this request is what judging it by this snapshot would yield, until it ends."""
    found = _gather(snapshot, request, standing)
    return len(found) == len(standing.grounds) and all(map(is_, found, standing.grounds))


def judge_handshake(
    snapshot: Snapshot,
    request: Request,
    protocol: snapshot_pb2.AdapterProtocol.ValueType,
    proofs: Mapping[VerifyPassword, Proof] = _NO_PROOFS,
) -> Standing | Refusal | VerifyPassword:
    """Judges the request that begins a connection to this adapter, its Origin included (RFC 6455, section 10.2).

    Pages of other origins have no business with a connection, unless the rule names them: a browser would lend them
    what it knows of its user. Clients that are no browsers send no Origin.
    """
    standing = judge_standing(snapshot, request, proofs)
    if not isinstance(standing, Standing):
        return standing
    plan = standing.plan
    if plan.destination != "adapter" or plan.wire.adapter.protocol != protocol:
        detail = "the rule hands such requests to no adapter of this protocol any more"
        return Refusal(reason=Reason.NO_ROUTE, detail=detail, object=f"Route {plan.route}")
    origin = request.text("origin")
    if origin and not _is_own(origin, request) and not (plan.origins is not None and plan.origins.holds(origin)):
        detail = f"the origin is {origin[:100]}"
        field = f"rules[{plan.rule}].adapter.origins"
        return Refusal(reason=Reason.ORIGIN_DENIED, detail=detail, object=f"Route {plan.route}", field=field)
    return standing


def find_handshake(
    snapshot: Snapshot, request: Request, proofs: Mapping[VerifyPassword, Proof] = _NO_PROOFS
) -> Request:
    """Returns the request as it is to be judged from now on, given one whose `plan` the proxy has found.

    By its path, so that it takes whatever rule takes that path later. Where the proxy has rewritten the path, that
    leads elsewhere: then by the Plan, for as long as that is there.
    """
    plan = snapshot.plans.get(request.plan)
    by_path = replace(request, plan="")
    if plan is not None:
        for asked in (by_path, request):
            found = judge_standing(snapshot, asked, proofs)
            if isinstance(found, Standing) and found.plan.endpoint == plan.endpoint:
                return asked
    return by_path


def _gather(snapshot: Snapshot, request: Request, standing: Standing) -> tuple[object, ...]:
    """Returns all that the steps look at, in the snapshot, for such a request of such a caller. What is the same there
    is one and the same object.
    """
    entry, tables = standing.entry, snapshot.tables
    if request.plan:
        scope = snapshot.scopes.get(entry.scope)
    else:
        scope = ingress.find_scope(snapshot, standing.edge, standing.host)
    name, namespace = ("", "") if scope is None else (scope.name, scope.namespace)
    found: list[object] = [
        scope,
        snapshot.plans.get(request.plan),
        tables.get(f"{name}#"),
        tables.get(f"{name}#{standing.tenant}"),
        snapshot.tenants.get(f"{namespace}/{standing.tenant}"),
    ]
    admissions = (*entry.admissions, *standing.plan.admissions)
    lists = {name: None for each in admissions for name in (*each.allow_lists, *each.deny_lists)}
    found.extend(map(snapshot.addresslists.get, lists))
    for named in map(snapshot.auths.get, dict.fromkeys((entry.auth, standing.plan.auth))):
        found.append(named)
        for auth in (named, *named.trials) if named is not None else ():
            found.extend(snapshot.keysets.get(provider.keyset) for provider in auth.jwt)
            found.extend(snapshot.apikeys.get(keys) for provider in auth.keys for keys in provider.apikeys)
            found.extend(snapshot.users.get(users) for provider in auth.basic for users in provider.users)
            found.append(None if auth.oidc is None else snapshot.oidc.get(auth.oidc.name))
    return tuple(found)


def _is_own(origin: str, request: Request) -> bool:
    """Whether the page is of the host itself. Ports are not looked at: the proxy strips the host's. A page that came
    without TLS is nobody's where connections have it.
    """
    scheme, _, host = origin.partition("://")
    return strip_port(host).lower() == strip_port(request.host).lower() and scheme in {"https", request.scheme}


def _end_of(snapshot: Snapshot, identity: Identity) -> float:
    match identity.provider:
        case JwtProvider(skew_s=skew_s):
            expires = identity.claims.get("exp")
            # Its last second is one in which it is valid still.
            return int(expires) + skew_s + 1.0 if isinstance(expires, int | float) and expires else inf
        case KeyProvider(apikeys=names):
            sets = (snapshot.apikeys[name] for name in names if name in snapshot.apikeys)
            ends = (known.keys[identity.key_id].not_after for known in sets if identity.key_id in known.keys)
            return min((float(end) for end in ends if end), default=inf)
        case OidcProvider():
            return float(identity.until)
        case _:
            return inf
