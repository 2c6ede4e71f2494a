"""A service that is asked whether requests may pass, to its wire form. Called by authpolicy."""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir


def emit_external(external: ir.External) -> snapshot_pb2.ExternalAuthorization:
    """Returns the wire form."""
    return snapshot_pb2.ExternalAuthorization(
        upstream=external.upstream,
        path=external.path,
        append_path=external.append_path,
        request_headers=external.request_headers,
        answer_headers=external.answer_headers,
        timeout_ms=external.timeout_ms,
        opa=external.opa,
        fail_open=external.fail_open,
    )
