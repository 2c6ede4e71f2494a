"""Destinations inside the data plane, on the wire. Called by route."""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

_UNKNOWN = {
    "": snapshot_pb2.UNKNOWN_FIELDS_UNSPECIFIED,
    "Keep": snapshot_pb2.UNKNOWN_FIELDS_KEEP,
    "Drop": snapshot_pb2.UNKNOWN_FIELDS_DROP,
    "Refuse": snapshot_pb2.UNKNOWN_FIELDS_REFUSE,
}
_DELIVERIES = {
    # What plans have said from the beginning, so that none of them is another one now.
    "Call": snapshot_pb2.MESSAGE_DELIVERY_UNSPECIFIED,
    "Command": snapshot_pb2.MESSAGE_DELIVERY_COMMAND,
}
_PROTOCOLS = {
    "GraphQL": snapshot_pb2.ADAPTER_PROTOCOL_GRAPHQL,
    "GRPC": snapshot_pb2.ADAPTER_PROTOCOL_GRPC,
    "WebSocket": snapshot_pb2.ADAPTER_PROTOCOL_WEBSOCKET,
}


def emit_message(message: ir.MessageDispatch) -> snapshot_pb2.MessageDispatch:
    """Returns the wire form."""
    return snapshot_pb2.MessageDispatch(
        type=message.type,
        upstream=message.upstream,
        event=message.event,
        request=_emit_ref(message.request),
        reply=_emit_ref(message.reply),
        unknown_fields=_UNKNOWN[message.unknown_fields if message.request is not None else ""],
        key_required=message.key_required,
        gather=None if message.gather is None else _emit_gather(message.gather),
        delivery=_DELIVERIES[message.delivery],
    )


def _emit_gather(gather: ir.Gather) -> snapshot_pb2.Gather:
    parts = [snapshot_pb2.GatherPart(upstream=upstream, member=member) for upstream, member in gather.parts]
    return snapshot_pb2.Gather(parts=parts, deadline_ms=gather.deadline_ms, require=gather.require)


def emit_adapter(adapter: ir.AdapterDispatch) -> snapshot_pb2.AdapterDispatch:
    """Returns the wire form."""
    limits = adapter.graphql
    return snapshot_pb2.AdapterDispatch(
        protocol=_PROTOCOLS[adapter.protocol],
        schema=_emit_ref(adapter.schema),
        host=adapter.host,
        graphql=None
        if limits is None
        else snapshot_pb2.GraphqlLimits(
            depth=limits.depth,
            complexity=limits.complexity,
            aliases=limits.aliases,
            batch=limits.batch,
            page_size=limits.page_size,
            introspection=limits.introspection,
        ),
        origins=adapter.origins,
    )


def _emit_ref(ref: ir.SchemaRef | None) -> snapshot_pb2.SchemaVersionRef | None:
    return None if ref is None else snapshot_pb2.SchemaVersionRef(schema=ref.schema, version=ref.version)
