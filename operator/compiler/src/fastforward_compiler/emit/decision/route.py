"""An entry of a table to a Plan, and the Plan's name.

In: ir.Entry and the ir.Table that holds it. Out: snapshot_pb2.Plan; its name is a hash of its content, so that the
proxy, which forwards the name, and the decision service agree on exactly one meaning. Called by emitter and emit/envoy.
One entry lies in many tables (hosts, tenants): it is serialised once, and each table adds its own name to the hash.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import assert_never
from weakref import ReferenceType, ref

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

from .body import emit_body
from .dispatch import emit_adapter, emit_message

PATH_TYPES = {
    ir.PathType.EXACT: snapshot_pb2.PATH_MATCH_TYPE_EXACT,
    ir.PathType.PREFIX: snapshot_pb2.PATH_MATCH_TYPE_PREFIX,
    ir.PathType.REGEX: snapshot_pb2.PATH_MATCH_TYPE_REGEX,
}
TEXT_TYPES = {
    ir.TextType.EXACT: snapshot_pb2.TEXT_MATCH_TYPE_EXACT,
    ir.TextType.PREFIX: snapshot_pb2.TEXT_MATCH_TYPE_PREFIX,
    ir.TextType.REGEX: snapshot_pb2.TEXT_MATCH_TYPE_REGEX,
    ir.TextType.PRESENT: snapshot_pb2.TEXT_MATCH_TYPE_PRESENT,
}
PLACEMENTS = {
    ir.Placement.NONE: snapshot_pb2.PLACEMENT_NONE,
    ir.Placement.NATIVE: snapshot_pb2.PLACEMENT_NATIVE,
    ir.Placement.INLINE: snapshot_pb2.PLACEMENT_INLINE,
}
# By identity of the entry, which lies in many tables and is asked for by two emitters: serialising is most of the cost.
# An entry that is collected takes its line along.
_digests: dict[int, tuple[ReferenceType[ir.Entry], bytes]] = {}


def content_hash(body: bytes) -> str:
    """128 bits of BLAKE2b, in hexadecimal: short enough for a header, and nobody can make two bodies meet."""
    return blake2b(body, digest_size=16).hexdigest()


def plan_name(entry: ir.Entry, table: ir.Table) -> str:
    """Returns the name of the Plan of `entry` in `table`, without the prefix `plan/`."""
    kept = _digests.get(id(entry))
    digest = kept[1] if kept is not None else _keep_digest(entry, _emit_entry(entry))
    return content_hash(digest + table.name.encode())


def is_named(entry: ir.Entry) -> bool:
    """Whether naming the Plans of `entry` costs next to nothing."""
    return id(entry) in _digests


def _keep_digest(entry: ir.Entry, plan: snapshot_pb2.Plan) -> bytes:
    key, digest = id(entry), blake2b(plan.SerializeToString(deterministic=True), digest_size=16).digest()
    _digests[key] = (ref(entry, lambda _: _digests.pop(key, None)), digest)
    return digest


def select_value(entry: ir.Entry) -> str:
    """Returns the value of the select header that leads the proxy to `entry`; empty without hop conditions."""
    return entry.id if entry.match.needs_hop else ""


def emit_plan(entry: ir.Entry, table: ir.Table) -> snapshot_pb2.Plan:
    """Returns the Plan of `entry` in `table`."""
    plan = _emit_entry(entry)
    if not is_named(entry):
        _keep_digest(entry, plan)
    plan.scope = table.scope
    plan.tenant = table.tenant
    return plan


def _emit_entry(entry: ir.Entry) -> snapshot_pb2.Plan:
    """Returns what the Plans of `entry` have in common in all tables."""
    plan = snapshot_pb2.Plan(
        route=entry.route,
        rule=entry.rule,
        priority=entry.priority,
        match=emit_match(entry.match),
        gate=entry.gate,
        placements=[
            snapshot_pb2.StagePlacement(stage=p.stage, placement=PLACEMENTS[p.placement], why=p.why)
            for p in entry.placements
        ],
        edge_admission=emit_admission(entry.edge_admission),
        admission=emit_admission(entry.admission),
        auth=entry.auth,
        limits=entry.limits,
        select=select_value(entry),
        schedule=entry.schedule,
    )
    emit_destination(entry.destination, plan)
    emit_changes(entry, plan)
    return plan


def emit_match(match: ir.Match) -> snapshot_pb2.Match:
    """Returns the wire form of a match."""
    return snapshot_pb2.Match(
        path_type=PATH_TYPES[match.path_type],
        path=match.path,
        methods=match.methods,
        headers=[emit_text_match(header) for header in match.headers],
        query=[emit_text_match(parameter) for parameter in match.query],
        listener=match.listener,
        api_version=match.api_version,
        roles=match.roles,
        region=match.region,
        flag=match.flag,
    )


def emit_text_match(match: ir.TextMatch) -> snapshot_pb2.TextMatch:
    """Returns the wire form of a condition on a header or a query parameter."""
    return snapshot_pb2.TextMatch(name=match.name, type=TEXT_TYPES[match.type], value=match.value)


def emit_admission(admission: ir.Admission) -> snapshot_pb2.Admission | None:
    """Returns the wire form of an admission; None when it admits everything."""
    if admission == ir.Admission():
        return None
    return snapshot_pb2.Admission(
        allow_addresses=admission.allow_addresses,
        deny_addresses=admission.deny_addresses,
        allow_lists=admission.allow_lists,
        deny_lists=admission.deny_lists,
        max_body_bytes=admission.max_body_bytes,
        content_types=admission.content_types,
        shadow=admission.shadow,
    )


def emit_destination(destination: ir.Destination, plan: snapshot_pb2.Plan) -> None:
    """Writes the destination into `plan`."""
    match destination:
        case ir.Split(shares=shares):
            # With no share the field must be set all the same: it is what the oneof says.
            plan.upstreams.SetInParent()
            plan.upstreams.upstreams.extend(map(emit_share, shares))
        case ir.ShardDispatch(namespace=namespace, purpose=purpose, key=key):
            plan.shards.CopyFrom(snapshot_pb2.ShardDispatch(namespace=namespace, purpose=purpose, key=key))
        case ir.Redirect(status=status, scheme=scheme, host=host, port=port, path=path, prefix=prefix):
            plan.redirect.CopyFrom(
                snapshot_pb2.Redirect(status=status, scheme=scheme, host=host, port=port, path=path, prefix=prefix)
            )
        case ir.Respond(status=status, body=body, content_type=content_type):
            plan.respond.CopyFrom(snapshot_pb2.Respond(status=status, body=body, content_type=content_type))
        case ir.MessageDispatch() as message:
            plan.message.CopyFrom(emit_message(message))
        case ir.AdapterDispatch() as adapter:
            plan.adapter.CopyFrom(emit_adapter(adapter))
        case ir.Unavailable(reason=reason):
            plan.unavailable.CopyFrom(snapshot_pb2.Unavailable(reason=reason))
        case _:
            assert_never(destination)


def emit_share(share: ir.Share) -> snapshot_pb2.WeightedUpstream:
    """Returns the wire form of an Upstream with its share."""
    wire = snapshot_pb2.WeightedUpstream(upstream=share.upstream, weight=share.weight)
    if share.request_headers != ir.HeaderChanges():
        wire.request_headers.CopyFrom(emit_header_changes(share.request_headers))
    if share.response_headers != ir.HeaderChanges():
        wire.response_headers.CopyFrom(emit_header_changes(share.response_headers))
    return wire


def emit_changes(entry: ir.Entry, plan: snapshot_pb2.Plan) -> None:
    """Writes into `plan` what happens to requests and responses on the way."""
    if entry.rewrite is not None:
        plan.rewrite.CopyFrom(emit_rewrite(entry.rewrite))
    if entry.request_headers != ir.HeaderChanges():
        plan.request_headers.CopyFrom(emit_header_changes(entry.request_headers))
    if entry.response_headers != ir.HeaderChanges():
        plan.response_headers.CopyFrom(emit_header_changes(entry.response_headers))
    if entry.cors is not None:
        plan.cors.CopyFrom(emit_cors(entry.cors))
    emit_content(entry, plan)
    if entry.csrf is not None:
        plan.csrf.CopyFrom(snapshot_pb2.Csrf(hosts=entry.csrf.hosts, shadow=entry.csrf.shadow))


def emit_content(entry: ir.Entry, plan: snapshot_pb2.Plan) -> None:
    """Writes into `plan` what bodies must be."""
    if entry.body is not None:
        plan.body.CopyFrom(emit_body(entry.body))
    if entry.response_body is not None:
        plan.response_body.CopyFrom(emit_body(entry.response_body))
    if entry.transcoding is not None:
        plan.transcoding.max_bytes = entry.transcoding.max_bytes


def emit_rewrite(rewrite: ir.Rewrite) -> snapshot_pb2.Rewrite:
    """Returns the wire form of a rewrite."""
    return snapshot_pb2.Rewrite(
        host=rewrite.host,
        prefix=rewrite.prefix,
        path=rewrite.path,
        regex_pattern=rewrite.regex_pattern,
        regex_substitution=rewrite.regex_substitution,
    )


def emit_header_changes(changes: ir.HeaderChanges) -> snapshot_pb2.HeaderChanges:
    """Returns the wire form of header changes."""
    return snapshot_pb2.HeaderChanges(
        remove=changes.remove,
        set=[snapshot_pb2.HeaderValue(name=name, value=value) for name, value in changes.set],
        add=[snapshot_pb2.HeaderValue(name=name, value=value) for name, value in changes.add],
    )


def emit_cors(cors: ir.Cors) -> snapshot_pb2.Cors:
    """Returns the wire form of a CORS policy."""
    return snapshot_pb2.Cors(
        allow_origins=cors.allow_origins,
        allow_methods=cors.allow_methods,
        allow_headers=cors.allow_headers,
        expose_headers=cors.expose_headers,
        max_age_seconds=cors.max_age_ms // 1000,
        allow_credentials=cors.allow_credentials,
        answers_all=cors.answers_all,
    )
