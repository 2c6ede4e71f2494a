"""An EventHook as EntryPoint sees it. In: ir.EventHook. Out: snapshot_pb2.EventHook. Called by emitter."""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir


def emit_eventhook(hook: ir.EventHook) -> snapshot_pb2.EventHook:
    """Returns the wire form."""
    wire = snapshot_pb2.EventHook(
        events=hook.events,
        endpoints=[snapshot_pb2.Endpoint(address=each.address, port=each.port) for each in hook.endpoints],
        path=hook.path,
        secrets=hook.secrets,
        tls=hook.tls,
        server_name=hook.server_name,
        timeout_ms=hook.timeout_ms,
        tries=hook.tries,
        first_wait_ms=hook.first_wait_ms,
        longest_wait_ms=hook.longest_wait_ms,
        dead_letters=hook.dead_letters,
    )
    if hook.dns is not None:
        wire.dns_host, wire.dns_port = hook.dns.host, hook.dns.port
    return wire
