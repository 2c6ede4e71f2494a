"""The access log: one JSON line a request.

Out: the access log configuration of a listener. Called by edge. Values of absent things are null.
"""

from __future__ import annotations

from google.protobuf import struct_pb2

from .chain import ADMISSION_SHADOW, DECISION, LISTED, METADATA, RBAC, REASON_HEADER, SHADOW_HEADER, TENANT_HEADER
from .protos import EnvoyMessage, accesslog_pb2, file_pb2, substitution_format_string_pb2
from .wire import pack

# The decision service tells whose request it refuses in metadata alone: what it refuses gets no further headers.
_REFUSED = f"metadata.filter_metadata['{DECISION}']['{TENANT_HEADER}']"
_TENANT = f"'{TENANT_HEADER}' in request.headers ? request.headers['{TENANT_HEADER}'] : {_REFUSED}"

FIELDS = (
    ("time", "%START_TIME%"),
    ("requestId", "%REQ(X-REQUEST-ID)%"),
    ("traceparent", "%REQ(TRACEPARENT)%"),
    ("address", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
    ("method", "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%"),
    ("host", "%REQ(:AUTHORITY)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("tenant", f"%CEL({_TENANT})%"),
    ("route", f"%METADATA(ROUTE:{METADATA}:route)%"),
    ("rule", f"%METADATA(ROUTE:{METADATA}:rule)%"),
    ("policies", f"%METADATA(ROUTE:{METADATA}:policies)%"),
    ("status", "%RESPONSE_CODE%"),
    ("refusal", f"%RESP({REASON_HEADER})%"),
    ("failedOpen", "%REQ(X-ENVOY-AUTH-FAILURE-MODE-ALLOWED)%"),
    ("shadow", "%DYNAMIC_METADATA(envoy.filters.http.rbac:shadow_effective_policy_id)%"),
    ("shadowAdmission", f"%DYNAMIC_METADATA(envoy.filters.http.rbac:{ADMISSION_SHADOW}shadow_effective_policy_id)%"),
    ("shadowDecision", f"%DYNAMIC_METADATA({DECISION}:{SHADOW_HEADER})%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("upstream", "%UPSTREAM_CLUSTER%"),
    ("endpoint", "%UPSTREAM_HOST%"),
    ("attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
    ("durationMs", "%DURATION%"),
    ("upstreamMs", "%RESPONSE_DURATION%"),
    ("received", "%BYTES_RECEIVED%"),
    ("sent", "%BYTES_SENT%"),
    ("userAgent", "%REQ(USER-AGENT)%"),
)
"""(field, format); `refusal` is STAGE/REASON."""


def emit_access_log(path: str, edge: str, listener: str, *, lists: bool = False) -> EnvoyMessage:
    """Returns the access log of one listener; with `lists`, it tells which ones the client's address is in."""
    line = struct_pb2.Struct()
    line.update(dict(FIELDS) | {"edge": edge, "listener": listener})
    if lists:
        line.update({"addressLists": f"%DYNAMIC_METADATA({RBAC}:{LISTED}shadow_effective_policy_id)%"})
    form = substitution_format_string_pb2.SubstitutionFormatString(json_format=line)
    return accesslog_pb2.AccessLog(name="line", typed_config=pack(file_pb2.FileAccessLog(path=path, log_format=form)))
