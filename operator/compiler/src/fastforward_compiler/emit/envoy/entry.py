"""An Entry to its complete Route: what it does, what it is called in logs, and what each filter must do for it.

In: ir.Entry, and the Setting that it stands in. Out: a Route. Called by emitter, through table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf import any_pb2, struct_pb2

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import plan_name

from .admission import emit_admission, emit_body_bound, not_admitted
from .authpolicy import emit_jwt_requirement, verified_by_proxy
from .body import emit_question, held_bytes
from .chain import (
    ADDRESS_HEADER,
    AUTHORIZATION,
    CLIENT_ADDRESS,
    CLOSED,
    CORS,
    CSRF,
    EDGE_HEADER,
    ENTRY_HEADER,
    FALLBACK,
    FAULT,
    HEADERS,
    HOST_HEADER,
    JWT,
    LISTENER_HEADER,
    METADATA,
    OPEN,
    PEER_ADDRESS,
    PEER_HEADER,
    VIA_HEADER,
)
from .concurrency import emit_exemption
from .cors import emit_cors
from .cost import ENCODING_HEADER, cost_context, emit_cost, reads_bodies
from .csrf import emit_csrf
from .external import extra_ms, patient_service, write_told
from .fault import emit_fault
from .grant import emit_grants
from .grpcweb import emit_no_grpc_web
from .headers import LIMIT_HEADERS
from .protos import EnvoyMessage
from .ratelimit import ENDPOINT, slots_of
from .refusal import UNAVAILABLE, emit_refusal
from .responsebody import emit_identity, emit_response_body
from .route import emit_route
from .session import emit_kept
from .transcoding import emit_transcoding
from .wire import header_option, header_value, pack

GrantsKey = tuple[str, bool, str]
"""Name of the Auth, whether there is a hop, namespace of the Edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the entries of one table depend on besides themselves; `auths` and `limits` are everybody's, by name."""

    table: ir.Table
    edge: ir.Edge
    scope: ir.Scope
    auths: Mapping[str, ir.Auth]
    limits: Mapping[str, ir.Limit]
    decision_timeout_ms: int = 500
    grants: dict[GrantsKey, any_pb2.Any | None] = field(default_factory=dict)
    """Memo. Shared by tables that are nobody's in particular."""

    @property
    def namespace(self) -> str:
        """The Edge's, whose tenants are meant here."""
        return self.edge.name.partition("/")[0]


def emit_entry(entry: ir.Entry, setting: Setting) -> EnvoyMessage:
    """Returns the Route of an entry. One whose policies are not to be had answers 500: it fails closed."""
    auth = setting.auths.get(entry.auth)
    route = emit_route(entry)
    if entry.auth and auth is None:
        route.ClearField("action")
        emit_refusal(route, UNAVAILABLE)
    becomes_message = isinstance(entry.destination, ir.MessageDispatch)
    # What is judged when the message passes EntryPoint, the proxy does not judge as well.
    limits = [setting.limits[name] for name in entry.limits if name in setting.limits and not becomes_message]
    slots = slots_of(limits)
    # A tenant's entry is found after the filter `admission` has passed: `authorization` judges it there.
    configs = emit_body_bound(entry) | ({} if setting.table.tenant else emit_admission(entry))
    configs |= emit_policies(entry, auth, setting) | emit_own(entry, setting.scope.host)
    configs |= emit_exemption(entry, setting.edge) | emit_no_grpc_web(entry, setting.edge)
    if slots:
        configs[HEADERS] = LIMIT_HEADERS[any(limit.exact for limit in limits)]
    for name, config in configs.items():
        route.typed_per_filter_config[name].CopyFrom(config)
    emit_script(route, entry, setting, limits)
    if entry.hop and isinstance(entry.destination, ir.Split | ir.ShardDispatch):
        write_told(auth, route)
    if entry.body is not None:
        route.request_body_buffer_limit.value = held_bytes(entry.body)
    if isinstance(entry.destination, ir.MessageDispatch | ir.AdapterDispatch):
        route.request_headers_to_add.extend(header_option(*each) for each in inside_headers(entry, setting.edge))
    route.metadata.filter_metadata[METADATA].CopyFrom(emit_metadata(entry, setting, slots, limits))
    return route


def emit_script(route: EnvoyMessage, entry: ir.Entry, setting: Setting, limits: list[ir.Limit]) -> None:
    """Writes what the filter `fallback` runs: to judge answers, read what they cost, keep sessions."""
    judged = emit_response_body(entry, setting.table, cost_context(limits))
    if judged is not None:
        emit_identity(route)
    elif reads_bodies(limits):
        route.request_headers_to_remove.append(ENCODING_HEADER)
    script = emit_kept(entry, judged or emit_cost(limits))
    if script is not None:
        route.typed_per_filter_config[FALLBACK].CopyFrom(pack(script))


def emit_own(entry: ir.Entry, host: str) -> dict[str, any_pb2.Any]:
    """Returns what the rule says by itself of pages that send requests, and of faults that are put in."""
    configs: dict[str, any_pb2.Any] = {}
    if entry.cors is not None:
        configs[CORS] = pack(emit_cors(entry.cors))
    if entry.csrf is not None and not isinstance(entry.destination, ir.MessageDispatch):
        configs[CSRF] = pack(emit_csrf(entry.csrf, host))
    configs |= emit_transcoding(entry)
    if entry.fault is not None:
        configs[FAULT] = pack(emit_fault(entry.fault))
    return configs


def inside_headers(entry: ir.Entry, edge: ir.Edge) -> tuple[tuple[str, str], ...]:
    """Returns what EntryPoint is told of a request that becomes a message, or goes to an adapter."""
    is_call = isinstance(entry.destination, ir.AdapterDispatch) and entry.destination.protocol == "GRPC"
    return (
        (ENTRY_HEADER, f"%METADATA(ROUTE:{METADATA}:plan)%"),
        (EDGE_HEADER, header_value(edge.name)),
        (VIA_HEADER, f"%REQ({LISTENER_HEADER})%"),
        (ADDRESS_HEADER, CLIENT_ADDRESS),
        (PEER_HEADER, PEER_ADDRESS),
        *(((HOST_HEADER, "%REQ(:AUTHORITY)%"),) if is_call else ()),
    )


def emit_policies(entry: ir.Entry, auth: ir.Auth | None, setting: Setting) -> dict[str, any_pb2.Any]:
    """Returns who judges the caller: the decision service, asked once, or the proxy.

    A tenant's table is reached after authentication, and its guard holds in either case.
    """
    configs: dict[str, any_pb2.Any] = {}
    if entry.hop:
        more_ms, logs_in = extra_ms(auth), auth is not None and auth.logs_in
        service = patient_service(setting.decision_timeout_ms, more_ms, logs_in=logs_in) if more_ms else None
        configs[OPEN if entry.fail_open else CLOSED] = emit_question(entry, service)
    elif auth is not None and not (setting.table.tenant or entry.served_inside) and verified_by_proxy(auth):
        configs[JWT] = emit_jwt_requirement(auth, setting.scope)
    refused = not_admitted(entry) if setting.table.tenant else {}
    shadow = not_admitted(entry, shadow=True) if setting.table.tenant else {}
    key = entry.auth, entry.served_inside, setting.namespace
    if refused or shadow or key not in setting.grants:
        grants = grants_of(auth, setting, refused, shadow, hop=entry.served_inside)
        if not (refused or shadow):
            setting.grants[key] = grants
    else:
        grants = setting.grants[key]
    if grants is not None:
        configs[AUTHORIZATION] = grants
    return configs


def grants_of(
    auth: ir.Auth | None,
    setting: Setting,
    refused: Mapping[str, EnvoyMessage],
    shadow: Mapping[str, EnvoyMessage],
    *,
    hop: bool,
) -> any_pb2.Any | None:
    """Returns grants, guard, and what is `refused` besides, or would be, in the `shadow`.

    After a hop, in a tenant's table, without the grants.
    """
    if setting.table.tenant:
        providers = believed(auth, setting)
    elif hop or auth is None:
        return None
    else:
        providers = auth.providers
    speaking = tuple(provider.at(setting.namespace) for provider in providers)
    return emit_grants(None if hop else auth, speaking, setting.table, setting.scope, (refused, shadow))


def believed(auth: ir.Auth | None, setting: Setting) -> tuple[ir.Provider, ...]:
    """Returns the providers whose tokens open an entry of a tenant's table.

    Everybody's entry has authenticated the caller; it may believe providers that this one does not.
    """
    named = (setting.auths[name] for name in setting.scope.auths if name in setting.auths)
    found = {p.name: p for known in named for p in known.known_to_proxy}.values()
    if auth is None or auth.mode is ir.Mode.NONE:
        return tuple(found)
    return tuple(provider for provider in found if any(provider.is_as_strong_as(own) for own in auth.providers))


def emit_metadata(
    entry: ir.Entry, setting: Setting, slots: Mapping[str, str], limits: list[ir.Limit]
) -> struct_pb2.Struct:
    """Returns what logs, limits and the decision service are told of the entry."""
    texts = {"route": entry.route, "rule": entry.rule, **slots}
    if entry.reaches_inside:
        texts["plan"] = plan_name(entry, setting.table)
    if any(part.type == "Endpoint" for limit in limits for part in limit.key):
        texts[ENDPOINT] = f"{entry.route}#{entry.rule}"
    fields = {name: struct_pb2.Value(string_value=text) for name, text in texts.items()}
    policies = [f"RateLimit {name}" for name in entry.limits]
    if entry.auth:
        policies = [f"AuthPolicy {name}" for name in entry.auth.split("+")] + policies
    if policies:
        names = struct_pb2.ListValue(values=[struct_pb2.Value(string_value=name) for name in policies])
        fields["policies"] = struct_pb2.Value(list_value=names)
    return struct_pb2.Struct(fields=fields)
