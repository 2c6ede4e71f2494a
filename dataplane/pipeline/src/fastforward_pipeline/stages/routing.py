"""Stage 6, routing: which rule the request takes, and which shard.

In: the scope, and later the tenant. Leaves: `entry` (the rule for everybody, which settles how the caller is
authenticated), `final` (the rule that governs the rest), `candidates` and `shard`. Rules with conditions on roles,
regions or flags can be judged only when the caller is known, and a tenant's own rules come before everybody's.
"""

from __future__ import annotations

from fastforward_pipeline.compiled.route import Candidate, Plan
from fastforward_pipeline.compiled.shard import Shard, ShardSet
from fastforward_pipeline.compiled.table import Table
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.trail import MAX_NEAR_MISSES, NearMiss, Verdict

_EVERYBODY = ""
_UNKNOWN_HOME = "~"


def match(exchange: Exchange) -> Refusal | None:
    """Finds the rule for everybody, unless the proxy has.

    When the proxy comes with a tenant's rule, it has authenticated the caller as everybody's rule says, and so must we.
    """
    if exchange.request.plan:
        if not exchange.entry.tenant:
            return None
        exchange.asked = exchange.entry
    table = _table(exchange, _EVERYBODY)
    plan = None if table is None else table.match(exchange.facts, hop=False)
    if plan is not None:
        exchange.entry = plan
    elif exchange.asked is None:
        return _refuse_unmatched(exchange, table, hop=False)
    return None


def rematch(exchange: Exchange) -> Refusal | None:
    """Finds the rule of the caller's tenant, or the rule for everybody now that the caller is known."""
    plan = _find_final(exchange)
    if plan is None or plan.gate:
        table = _table(exchange, exchange.tenant) or _table(exchange, _EVERYBODY)
        return _refuse_unmatched(exchange, table, hop=True)
    exchange.final = plan
    if exchange.trail is not None:
        _tell_match(exchange, plan)
    return None


def _find_final(exchange: Exchange) -> Plan | None:
    entry, asked, tenant = exchange.entry, exchange.asked, exchange.tenant
    own = _table(exchange, tenant) if tenant else None
    if own is not None:
        # Found by the proxy, and nothing that only shows now could lead elsewhere.
        if asked is not None and not own.conditional:
            return asked
        found = own.match(exchange.facts, hop=True)
        if found is not None:
            return found
    table = _table(exchange, _EVERYBODY)
    if asked is not None or (table is not None and table.conditional):
        return None if table is None else table.match(exchange.facts, hop=True)
    return entry


def place(exchange: Exchange) -> Refusal | None:
    """Finds who gets the request: the Upstreams by weight, or the one of its shard."""
    plan = exchange.final
    if plan.destination in {"upstreams", "message"}:
        exchange.candidates = plan.candidates
    elif plan.destination == "shards":
        return _place_shard(exchange, plan)
    return None


def _place_shard(exchange: Exchange, plan: Plan) -> Refusal | None:
    """The tenant's home shard if it has one, else the shard that the key hashes to."""
    wire = plan.wire.shards
    shards = exchange.snapshot.shards.get(wire.namespace)
    home, foreign = _home(exchange, wire.namespace)
    key = ""
    if not home:
        key = _shard_key(exchange, wire.key)
        if not key:
            return _refuse(exchange, Reason.SHARD_KEY_MISSING, f"the request has no {wire.key} to hash", "shards.key")
    if home == _UNKNOWN_HOME:
        detail = f"the home shard of tenant {exchange.tenant} is not known: an ancestor is missing, or its own ancestor"
        return _refuse(exchange, Reason.SHARD_UNAVAILABLE, detail, "shards")
    shard = _find_shard(shards, home, key, exchange.facts.region)
    if shard is None or wire.purpose not in shard.upstreams:
        named = f"shard {home}" if shard is None else f"shard {shard.name}"
        detail = f"{named} in {wire.namespace} has no upstream for {wire.purpose}"
        return _refuse(exchange, Reason.SHARD_UNAVAILABLE, detail, "shards.upstream")
    exchange.shard = shard.name
    exchange.candidates = (Candidate(upstream=shard.upstreams[wire.purpose], share=1.0),)
    if exchange.trail is not None:
        how = f"the home of tenant {exchange.tenant}" if home else f"where {wire.key} {key!r} hashes to{foreign}"
        exchange.trail.note("routing", Verdict.PASSED, f"it is {how}", object=f"Shard {wire.namespace}/{shard.name}")
    return None


def _home(exchange: Exchange, namespace: str) -> tuple[str, str]:
    """The tenant's home among the Shards of a namespace, empty for none; and what to tell of a home elsewhere."""
    home = "" if exchange.tenant_facts is None else exchange.tenant_facts.shard
    own = exchange.scope.namespace
    if not home or own == namespace:
        return home, ""
    # Shards of other namespaces only share the name, if even that.
    return "", f": the home of tenant {exchange.tenant} is among the Shards of {own}"


def _find_shard(shards: ShardSet | None, home: str, key: str, region: str) -> Shard | None:
    if shards is None:
        return None
    return shards.shards.get(home) if home else shards.of(key, region)


def _shard_key(exchange: Exchange, key: str) -> str:
    if key == "tenant":
        return exchange.tenant
    if key == "subject":
        return exchange.identity.subject
    return exchange.request.text(key.partition(":")[2])


def _table(exchange: Exchange, tenant: str) -> Table | None:
    return exchange.snapshot.tables.get(f"{exchange.scope.name}#{tenant}")


def _refuse(exchange: Exchange, reason: Reason, detail: str, field: str) -> Refusal:
    plan = exchange.final
    return Refusal(reason=reason, detail=detail, object=f"Route {plan.route}", field=f"rules[{plan.rule}].{field}")


def _refuse_unmatched(exchange: Exchange, table: Table | None, *, hop: bool) -> Refusal:
    if exchange.trail is not None and table is not None:
        _tell_misses(exchange, table, hop=hop)
    scope = exchange.scope
    detail = f"no rule on {scope.host} takes {exchange.request.method} {exchange.facts.path}"
    return Refusal(reason=Reason.NO_ROUTE, detail=detail, object=f"Edge {scope.edge}")


def _tell_match(exchange: Exchange, plan: Plan) -> None:
    if exchange.trail is None:
        return
    whose = f"tenant {plan.tenant}'s table" if plan.tenant else "everybody's table"
    match_ = plan.wire.match
    exchange.trail.note(
        "routing",
        Verdict.PASSED,
        f"{match_.path} matches, in {whose}",
        object=f"Route {plan.route}",
        field=f"rules[{plan.rule}]",
    )
    table = _table(exchange, plan.tenant)
    if table is not None:
        _tell_misses(exchange, table, hop=True, until=plan)


def _tell_misses(exchange: Exchange, table: Table, *, hop: bool, until: Plan | None = None) -> None:
    """Tells the rules whose path fits and that would have come first; without a match, also the likeliest paths."""
    facts, told = exchange.facts, set()
    for plan in table.candidates(facts.path):
        if plan is until:
            return
        failing = plan.failing(facts, hop=hop)
        told.add(plan)
        if failing is not None and not plan.gate:
            got = failing.got(facts) if hop or failing in plan.conditions else "not known before authentication"
            _miss(exchange, plan, failing.field, failing.expected, got)
    others = [plan for plan in table.plans if plan not in told and not plan.gate]
    others.sort(key=lambda plan: _likeness(plan.wire.match.path, facts.path), reverse=True)
    for plan in others[:MAX_NEAR_MISSES]:
        _miss(exchange, plan, "path", plan.wire.match.path, facts.path)


def _likeness(one: str, other: str) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _miss(exchange: Exchange, plan: Plan, field: str, expected: str, got: str) -> None:
    if exchange.trail is not None:
        exchange.trail.miss(
            NearMiss(
                stage="routing",
                object=f"Route {plan.route}",
                field=f"rules[{plan.rule}].{field}",
                expected=expected,
                got=got,
            )
        )
