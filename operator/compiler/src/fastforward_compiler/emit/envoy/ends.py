"""The ends of requests, told to the decision service: an access log that goes there.

Out: the access log of a listener. Called by edge, where some limit of the Edge asks for it. Told are the requests alone
of which the decision said, in metadata, what is to be done at their end. Source: Envoy, "OpenTelemetry Access Log": one
POST for each, in OTLP, to the same address as decisions. A request that is cut off, by whomever, is told as well.
"""

from __future__ import annotations

from google.protobuf import struct_pb2

from .chain import DECISION, DECISION_CLUSTER, ENDS
from .cost import COST_METADATA
from .protos import EnvoyMessage, accesslog_pb2, typed_struct_pb2
from .wire import pack

ENDS_HEADER = "x-ff-ends"
"""Marks what tells of ends: clients can't write it."""

_TYPE = "type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig"
"""Newer than the published package: hence as a Struct."""
_TOLD = (
    ("ends", f"%DYNAMIC_METADATA({DECISION}:{ENDS})%"),
    ("status", "%RESPONSE_CODE%"),
    ("cost", f"%DYNAMIC_METADATA({COST_METADATA})%"),
)
_TIMEOUT = "2s"


def emit_ends() -> EnvoyMessage:
    """Returns the access log."""
    attributes = [{"key": name, "value": {"string_value": form}} for name, form in _TOLD]
    config = struct_pb2.Struct()
    config.update(
        {
            "http_service": {
                "http_uri": {"uri": "http://decision/ends", "cluster": DECISION_CLUSTER, "timeout": _TIMEOUT},
                "request_headers_to_add": [{"header": {"key": ENDS_HEADER, "value": "1"}}],
            },
            "log_name": "ends",
            "disable_builtin_labels": True,
            # Each at once: whoever waits for a place should not wait for others to end.
            "buffer_size_bytes": 1,
            "attributes": {"values": attributes},
        }
    )
    asked = accesslog_pb2.MetadataFilter(match_if_key_not_found={"value": False})
    asked.matcher.filter = DECISION
    asked.matcher.path.add(key=ENDS)
    asked.matcher.value.present_match = True
    return accesslog_pb2.AccessLog(
        name="ends",
        filter=accesslog_pb2.AccessLogFilter(metadata_filter=asked),
        typed_config=pack(typed_struct_pb2.TypedStruct(type_url=_TYPE, value=config)),
    )
