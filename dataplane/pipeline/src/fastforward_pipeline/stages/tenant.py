"""Whose request it is: what the credentials, the host and a trusted peer say must agree. Told with authentication.

In: `identity`, `scope`. Leaves: `tenant`, `tenant_facts`, and the facts that conditions on the caller look at.
"""

from __future__ import annotations

from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.trail import Verdict


def judge(exchange: Exchange) -> Refusal | None:
    """Resolves the tenant; two different answers are a refusal."""
    said = _claims(exchange)
    names = {name for _, name in said}
    if len(names) > 1:
        detail = "; ".join(f"{source} says {name}" for source, name in said)
        return Refusal(reason=Reason.TENANT_CONFLICT, detail=detail, object=f"Edge {exchange.scope.edge}")
    tenant = said[0][1] if said else ""
    asked = exchange.asked
    if asked is not None and asked.tenant != tenant:
        detail = f"the rule is the tenant {asked.tenant}'s, the request is {tenant or 'nobody'}'s"
        return Refusal(reason=Reason.TENANT_GUARD, detail=detail, object=f"Route {asked.route}")
    settle(exchange, tenant)
    if exchange.trail is not None and tenant:
        sources = " and ".join(source for source, _ in said)
        exchange.trail.note(
            "authentication",
            Verdict.PASSED,
            f"the request is the tenant {tenant}'s: {sources} says so",
            object=f"Tenant {exchange.scope.namespace}/{tenant}",
        )
    return None


def _claims(exchange: Exchange) -> list[tuple[str, str]]:
    """Returns who says what: credentials, host, trusted peer."""
    identity = exchange.identity
    own = [("the API key" if identity.key_id else "the token", identity.tenant)] if identity.tenant else []
    return own + said_beside(exchange)


def said_beside(exchange: Exchange) -> list[tuple[str, str]]:
    """Returns who says what, besides credentials: host, trusted peer."""
    scope, said = exchange.scope, []
    if scope.host_tenant:
        said.append((f"the host {scope.host}", scope.host_tenant))
    if scope.tenant_header and scope.trusted is not None and exchange.request.peer in scope.trusted:
        named = exchange.request.text(scope.tenant_header)
        if named:
            said.append((f"the trusted header {scope.tenant_header}", named))
    return said


def settle(exchange: Exchange, tenant: str) -> None:
    """Writes down whose request it is, and what follows from that."""
    exchange.tenant = tenant
    facts = exchange.facts
    facts.roles = exchange.identity.roles
    facts.region = exchange.scope.region
    if tenant:
        known = exchange.snapshot.tenants.get(f"{exchange.scope.namespace}/{tenant}")
        exchange.tenant_facts = known
        if known is not None:
            facts.flags = known.flags
            facts.region = known.region or facts.region
