"""Native rate limits to the filters local_ratelimit, delivered by ECDS.

In: the ir.Limits that are counted in each proxy. Out: the filters `limits` and `limits.shadow` as they travel, and the
metadata by which a route says which limits it has. Called by emitter and entry.

The buckets live in the filter, so a changed route refills none of them; a changed RateLimit refills all. What a route
counts against, it says in metadata: slot -> name of the limit. Limits with the same key parts share slots:
`limit/Tenant,Header:x-a/0` is the first limit by tenant and that header on a route. For each slot the filter builds a
descriptor, `limit=NAME, Tenant=T, Header:x-a=V`; each set of values has a bucket. Envoy drops a descriptor whose header
is absent, which would count nothing: so each slot has further descriptors for absence.

A tenant's own budget is a bucket with the tenant's name in it. Where further parts stay open, Envoy would find the
common bucket as well and take either: such a limit has slots of its own, whose descriptors first say whose budget it
is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from fastforward_compiler import ir

from .chain import KEY_HEADER, LIMITS, METADATA, RETRY_HEADER, SHADOW_LIMITS, SUBJECT_HEADER, TENANT_HEADER
from .protos import (
    EnvoyMessage,
    base_pb2,
    local_rate_limit_pb2,
    metadata_key_pb2,
    percent_pb2,
    ratelimit_pb2,
    route_components_pb2,
    string_pb2,
    token_bucket_pb2,
)
from .wire import SET, extension, header_option, literal_pattern, milliseconds, regex, uint32

ENDPOINT = "endpoint"
"""Route metadata: ROUTE#RULE, where a limit counts by endpoint."""

_RATE_LIMIT = route_components_pb2.RateLimit
_ACTION = _RATE_LIMIT.Action
_HEADER = route_components_pb2.HeaderMatcher
_CONFIG = local_rate_limit_pb2.LocalRateLimit
_ABSENT = "(absent)"
_OWN, _COMMON = "own", "common"
_MIN_INTERVAL_MS = 50
_UINT32_MAX = 0xFFFF_FFFF
_SLOTS = 4
"""Slots for limits with the same key parts, if there are that many; a route that needs further ones makes them."""


def shape(limit: ir.Limit) -> str:
    """Returns the name that limits share whose slots are alike."""
    parts = ",".join(key_of(part) for part in limit.key)
    return f"{'shadow' if limit.shadow else 'limit'}/{parts}" + (f"/{limit.name}" if has_own_slots(limit) else "")


def has_own_slots(limit: ir.Limit) -> bool:
    """Whether tenants have budgets of their own while other key parts stay open."""
    return bool(limit.tenants) and by_tenant(limit) and len(limit.key) > 1


def by_tenant(limit: ir.Limit) -> bool:
    """Whether requests are counted by tenant, among others."""
    return any(part.type == "Tenant" for part in limit.key)


def slots_of(limits: Iterable[ir.Limit]) -> dict[str, str]:
    """Returns what a route with these limits says in its metadata: slot -> name of the limit."""
    slots: dict[str, str] = {}
    taken: dict[str, int] = {}
    for limit in limits:
        if not limit.exact:
            name = shape(limit)
            place = taken[name] = taken.get(name, -1) + 1
            slots[f"{name}/{place}"] = limit.name
    return slots


def count_slots(slots: Iterable[str]) -> dict[str, int]:
    """Returns how many slots of each shape a route needs."""
    needed: dict[str, int] = {}
    for slot in slots:
        name, _, place = slot.rpartition("/")
        needed[name] = max(needed.get(name, 0), int(place) + 1)
    return needed


def emit_limits(limits: Iterable[ir.Limit], needed: Mapping[str, int], buckets: int) -> dict[str, bytes]:
    """Returns both filters; `needed` are the slots that routes need, `buckets` the number kept for each budget."""
    native = sorted((limit for limit in limits if not limit.exact), key=lambda limit: limit.name)
    enforced = [limit for limit in native if not limit.shadow]
    shadow = [limit for limit in native if limit.shadow]
    return {
        LIMITS: extension(LIMITS, emit_filter(enforced, needed, buckets, shadow=False)),
        SHADOW_LIMITS: extension(SHADOW_LIMITS, emit_filter(shadow, needed, buckets, shadow=True)),
    }


def emit_filter(limits: list[ir.Limit], needed: Mapping[str, int], buckets: int, *, shadow: bool) -> EnvoyMessage:
    """Returns one filter. It has no bucket for requests without a limit: that would write headers into every answer."""
    config = _CONFIG(
        stat_prefix=SHADOW_LIMITS if shadow else LIMITS,
        filter_enabled=percent(100),
        filter_enforced=percent(0 if shadow else 100),
        max_dynamic_descriptors=uint32(buckets),
        rate_limited_as_resource_exhausted=True,
    )
    if not shadow:
        config.enable_x_ratelimit_headers = ratelimit_pb2.XRateLimitHeadersRFCVersion.DRAFT_VERSION_03
        config.response_headers_to_add.append(header_option(RETRY_HEADER, "0", SET))
    shapes: dict[str, list[ir.Limit]] = {}
    for limit in limits:
        shapes.setdefault(shape(limit), []).append(limit)
        config.descriptors.extend(emit_descriptors(limit))
    for name, members in sorted(shapes.items()):
        for place in range(max(min(len(members), _SLOTS), needed.get(name, 0))):
            config.rate_limits.extend(emit_slot(f"{name}/{place}", members[0]))
    return config


def percent(value: int) -> EnvoyMessage:
    """Returns a share of the requests."""
    return base_pb2.RuntimeFractionalPercent(default_value=percent_pb2.FractionalPercent(numerator=value))


def emit_slot(slot: str, limit: ir.Limit) -> list[EnvoyMessage]:
    """Returns the descriptors that a slot may yield; for each request one of them does, if the route uses it."""
    alternatives = [[route_metadata("limit", slot)]]
    if has_own_slots(limit):
        alternatives.append(emit_budget_owners(limit))
    alternatives += [emit_part(part) for part in limit.key]
    return [_RATE_LIMIT(actions=actions) for actions in product(*alternatives)]


def emit_budget_owners(limit: ir.Limit) -> list[EnvoyMessage]:
    """Returns the actions that say whose budget it is: the tenant's own, or everybody's."""
    names = "|".join(literal_pattern(name) for name, _ in limit.tenants)
    listed = string_pb2.StringMatcher(safe_regex=regex(names))
    matcher = _HEADER(name=TENANT_HEADER, string_match=listed)
    return [
        header_check("budget", _OWN, matcher, expected=True),
        header_check("budget", _COMMON, matcher, expected=False),
    ]


def emit_part(part: ir.KeyPart) -> list[EnvoyMessage]:
    """Returns the actions that yield a key part, one for presence, one for absence where it may be absent."""
    match part.type:
        case "Address":
            return [_ACTION(remote_address=_ACTION.RemoteAddress())]
        case "Endpoint":
            return [route_metadata(key_of(part), ENDPOINT)]
        case _:
            name = header_of(part)
            present = _ACTION.RequestHeaders(header_name=name, descriptor_key=key_of(part))
            there = _HEADER(name=name, present_match=True)
            return [_ACTION(request_headers=present), header_check(key_of(part), _ABSENT, there, expected=False)]


def key_of(part: ir.KeyPart) -> str:
    """Returns the name of a descriptor's entry; for addresses Envoy has fixed it."""
    if part.type == "Address":
        return "remote_address"
    return f"Header:{part.header}" if part.type == "Header" else part.type


def header_of(part: ir.KeyPart) -> str:
    """Returns the request header that holds a key part."""
    return {"Tenant": TENANT_HEADER, "Subject": SUBJECT_HEADER, "ApiKey": KEY_HEADER}.get(part.type, part.header)


def route_metadata(key: str, name: str) -> EnvoyMessage:
    """Returns the action that yields what the route says under `name`; without that, there is no descriptor."""
    segment = metadata_key_pb2.MetadataKey.PathSegment(key=name)
    where = metadata_key_pb2.MetadataKey(key=METADATA, path=[segment])
    source = _ACTION.MetaData.ROUTE_ENTRY
    return _ACTION(metadata=_ACTION.MetaData(descriptor_key=key, metadata_key=where, source=source))


def header_check(key: str, value: str, matcher: EnvoyMessage, *, expected: bool) -> EnvoyMessage:
    """Returns the action that yields `value` when the header matches, or when it does not."""
    check = _ACTION.HeaderValueMatch(descriptor_key=key, descriptor_value=value, headers=[matcher])
    check.expect_match.value = expected
    return _ACTION(header_value_match=check)


def emit_descriptors(limit: ir.Limit) -> list[EnvoyMessage]:
    """Returns the budgets of a limit: the common one, and one for each tenant with its own."""
    own_slots = has_own_slots(limit)
    budgets = {"": limit.budget}
    if by_tenant(limit):
        budgets |= dict(reversed(limit.tenants))
    return [emit_descriptor(limit, tenant, budget, own_slots=own_slots) for tenant, budget in budgets.items()]


def emit_descriptor(limit: ir.Limit, tenant: str, budget: ir.Budget, *, own_slots: bool) -> EnvoyMessage:
    """Returns one budget; an entry without value stands for any, each with a bucket."""
    entry = ratelimit_pb2.RateLimitDescriptor.Entry
    entries = [entry(key="limit", value=limit.name)]
    if own_slots:
        entries.append(entry(key="budget", value=_OWN if tenant else _COMMON))
    entries += [entry(key=key_of(part), value=tenant if part.type == "Tenant" else "") for part in limit.key]
    return ratelimit_pb2.LocalRateLimitDescriptor(entries=entries, token_bucket=emit_bucket(budget))


def emit_bucket(budget: ir.Budget) -> EnvoyMessage:
    """Returns the token bucket; Envoy refills it evenly, and wants an interval of 50 ms at least."""
    times = -(-_MIN_INTERVAL_MS // budget.window_ms) if budget.window_ms < _MIN_INTERVAL_MS else 1
    return token_bucket_pb2.TokenBucket(
        max_tokens=budget.burst,
        tokens_per_fill=uint32(min(budget.requests * times, _UINT32_MAX)),
        fill_interval=milliseconds(budget.window_ms * times),
    )
