"""What there is to compile: every rule, what an object is made into, and which values the Snapshot has.

In: nothing. Out: tables of rules. Called by compile. Why it exists: the compiler knows how rules are run, and here is
which ones there are; a new kind is a few lines in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from . import ir
from .cells import Index, Key, Rule
from .translate import (
    addresslist,
    authpolicy,
    certificate,
    combination,
    edge,
    eventhook,
    keyset,
    oidc,
    ratelimit,
    reference,
    report,
    route,
    schema,
    service,
    shard,
    table,
    target,
    tenant,
    transcoding,
    upstream,
    users,
    workload,
)
from .translate.gatewayapi import backend, backendtlspolicy, gateway, grpcroute, httproute, section, streamroute
from .translate.gatewayapi import table as gatewaytable
from .translate.gatewayapi.parameters import CLASS_PARAMETERS, PROXIES

ORDER: tuple[Rule[Any], ...] = (
    reference.GRANTS,
    reference.EXISTS,
    certificate.CERTIFICATE,
    certificate.AUTHORITIES,
    keyset.KEYSET,
    keyset.APIKEYS,
    users.USERS,
    addresslist.NETWORKS,
    addresslist.COUNTRIES,
    addresslist.SOURCES,
    addresslist.LIST,
    addresslist.NEEDED,
    addresslist.SURPLUS,
    addresslist.KEPT,
    addresslist.USABLE,
    addresslist.FAULTS,
    edge.EDGE,
    edge.VIEW,
    edge.SETTINGS,
    edge.SERVED,
    service.PORT,
    service.ENDPOINTS,
    upstream.UPSTREAM,
    upstream.TRAITS,
    oidc.OIDC,
    eventhook.KEYS,
    eventhook.EVENTHOOK,
    workload.WORKLOAD,
    workload.PODS,
    workload.OWNER,
    workload.STAGES,
    workload.INGRESS,
    workload.TAKER,
    schema.SCHEMA,
    schema.TRAITS,
    transcoding.SERVICES,
    shard.SHARD,
    shard.PURPOSES,
    tenant.COUNTS_TENANTS,
    tenant.ANY_HOSTS,
    tenant.HOST_OWNER,
    tenant.TENANT,
    tenant.FAMILY,
    ratelimit.LIMIT,
    ratelimit.ATTACHED_LIMITS,
    authpolicy.POLICY,
    authpolicy.ATTACHED_POLICIES,
    combination.AUTH,
    combination.TRAITS,
    combination.KNOWN_TO_PROXY,
    route.ROUTE,
    table.ALIASES,
    table.GATE,
    table.SCOPE,
    table.HOST,
    table.TABLE,
    section.OURS,
    section.SECTIONS,
    CLASS_PARAMETERS,
    PROXIES,
    backendtlspolicy.CLIENT_CERTIFICATE,
    streamroute.TLS_ROUTE,
    streamroute.TCP_ROUTE,
    streamroute.UDP_ROUTE,
    streamroute.STREAMS,
    gateway.PROBLEMS,
    gateway.GATEWAY,
    gateway.PLACE,
    backendtlspolicy.POLICY,
    backendtlspolicy.WINNER,
    backendtlspolicy.BACKEND_TLS,
    backend.BACKEND,
    httproute.HTTP_ROUTE,
    grpcroute.GRPC_ROUTE,
    gatewaytable.SCOPE,
    gatewaytable.TABLE,
    target.TARGET,
    report.REPORT,
)
"""Every rule; each reads only those above it."""

ROOTS: Mapping[str, tuple[Rule[Any], ...]] = {
    "Edge": (edge.EDGE, table.ALIASES),
    "Route": (route.ROUTE,),
    "Upstream": (upstream.UPSTREAM,),
    "Tenant": (tenant.TENANT,),
    "Shard": (shard.SHARD,),
    "Schema": (schema.SCHEMA,),
    "EventHook": (eventhook.EVENTHOOK,),
    "Workload": (workload.WORKLOAD, workload.PODS, workload.STAGES, workload.INGRESS),
    "RateLimit": (ratelimit.LIMIT,),
    "AuthPolicy": (authpolicy.POLICY,),
    "Gateway": (gateway.GATEWAY,),
    "TLSRoute": (streamroute.TLS_ROUTE,),
    "TCPRoute": (streamroute.TCP_ROUTE,),
    "UDPRoute": (streamroute.UDP_ROUTE,),
    "HTTPRoute": (httproute.HTTP_ROUTE,),
    "GRPCRoute": (grpcroute.GRPC_ROUTE,),
}
"""What an object of each kind is made into, whether or not anybody refers to it."""

WANTS: Mapping[Index[Any], Callable[..., Iterable[Key]]] = {
    route.ROUTES_IN: lambda *place: ((table.TABLE, *place),) if place[-1] else (),
    route.FACTS_ON: lambda *host: ((table.SCOPE, *host), (table.TABLE, *host, "")),
    table.ALIASED: lambda *host: ((table.SCOPE, *host), (table.TABLE, *host, "")),
    backend.BACKENDS_OF: backend.wanted_backend,
    gateway.HOSTS_AT: lambda *host: ((gatewaytable.SCOPE, *host), (gatewaytable.TABLE, *host)),
}


PATHS: Mapping[str, frozenset[Rule[Any]]] = {
    "Edge": frozenset(
        {addresslist.SOURCES, addresslist.LIST, addresslist.NEEDED, addresslist.FAULTS}
        | {addresslist.SURPLUS, addresslist.KEPT, addresslist.USABLE}
        | {edge.EDGE, edge.VIEW, report.REPORT}
    ),
    "Upstream": frozenset({upstream.UPSTREAM, report.REPORT}),
    "Shard": frozenset({shard.SHARD, report.REPORT}),
    "Schema": frozenset({schema.SCHEMA, report.REPORT}),
    "EventHook": frozenset({eventhook.EVENTHOOK, report.REPORT}),
    "Tenant": frozenset({reference.EXISTS, tenant.HOST_OWNER, tenant.TENANT, report.REPORT}),
    "RateLimit": frozenset({report.REPORT}),
    "AuthPolicy": frozenset(ORDER)
    - {table.ALIASES, table.SCOPE, table.HOST, table.TABLE, gatewaytable.SCOPE, gatewaytable.TABLE},
}
"""By kind, the rules between an object and its own Problems; all of them for kinds that are not named. Kept short, for
an Edge or a policy concerns every Route: what becomes of those is no question of whether it is sound itself."""


class Noun(NamedTuple):
    """A noun of the Snapshot: the rule that makes it, and how to find the value and its name in what that makes."""

    field: str
    rule: Rule[Any]
    value: Callable[[Any], Any]
    name: Callable[[Any], str]


_NAME: Callable[[Any], str] = attrgetter("name")

NOUNS: tuple[Noun, ...] = (
    Noun("edges", edge.EDGE, attrgetter("edge"), _NAME),
    Noun("scopes", table.SCOPE, attrgetter("scope"), _NAME),
    Noun("tables", table.TABLE, attrgetter("table"), _NAME),
    Noun("upstreams", upstream.UPSTREAM, attrgetter("upstream"), _NAME),
    Noun("auths", combination.AUTH, attrgetter("auth"), _NAME),
    Noun("keysets", keyset.KEYSET, lambda made: made if isinstance(made, ir.KeySet) else None, _NAME),
    Noun("apikeys", keyset.APIKEYS, lambda made: getattr(made, "apikeys", None), _NAME),
    Noun("users", users.USERS, lambda made: getattr(made, "users", None), _NAME),
    Noun("oidc", oidc.OIDC, attrgetter("client"), _NAME),
    Noun("addresslists", addresslist.KEPT, lambda made: made, _NAME),
    Noun("limits", ratelimit.LIMIT, lambda made: made, _NAME),
    Noun("tenants", tenant.TENANT, attrgetter("tenant"), lambda made: f"{made.namespace}/{made.name}"),
    Noun("shards", shard.SHARD, attrgetter("shard"), lambda made: f"{made.namespace}/{made.name}"),
    Noun("schemas", schema.SCHEMA, attrgetter("schema"), _NAME),
    Noun("eventhooks", eventhook.EVENTHOOK, attrgetter("hook"), _NAME),
    Noun("workloads", workload.WORKLOAD, lambda made: made, _NAME),
    Noun("stages", workload.STAGES, attrgetter("stages"), _NAME),
    Noun("upstreams", workload.PODS, lambda made: made, _NAME),
    Noun("edges", gateway.GATEWAY, attrgetter("edge"), _NAME),
    Noun("scopes", gatewaytable.SCOPE, attrgetter("scope"), _NAME),
    Noun("tables", gatewaytable.TABLE, attrgetter("table"), _NAME),
    Noun("upstreams", backend.BACKEND, lambda made: made, _NAME),
)

TABLES = (table.TABLE, gatewaytable.TABLE)
"""Rules that make values of thousands of parts."""
