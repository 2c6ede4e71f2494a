"""W3C trace context (https://www.w3.org/TR/trace-context/) as one small Lua filter.

Out: its configuration. Called by chain. A valid `traceparent` passes as it is, with its `tracestate`; a request without
one begins a trace here, unsampled, whose id is the request id without its dashes: logs of both kinds find each other.
Why not Envoy's tracer: it asks for an exporter, and costs several times as much a request.
"""

from __future__ import annotations

from .protos import EnvoyMessage, base_pb2, lua_pb2

_SOURCE = """
local function valid(parent)
  local version, trace, span, flags, rest = string.match(parent,
    "^([0-9a-f][0-9a-f])%-([0-9a-f]+)%-([0-9a-f]+)%-([0-9a-f][0-9a-f])(.*)$")
  return version and version ~= "ff" and #trace == 32 and #span == 16
    and string.find(trace, "[^0]") and string.find(span, "[^0]")
    and (rest == "" or version ~= "00" and string.sub(rest, 1, 1) == "-")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local parent = headers:get("traceparent")
  if parent and valid(parent) then return end
  local trace = string.gsub(headers:get("x-request-id") or "", "-", "")
  headers:remove("tracestate")
  if #trace == 32 then
    headers:replace("traceparent", "00-" .. trace .. "-" .. string.sub(trace, 17) .. "-00")
  else
    headers:remove("traceparent")
  end
end
"""


def trace_context() -> EnvoyMessage:
    """Returns the filter's configuration."""
    return lua_pb2.Lua(default_source_code=base_pb2.DataSource(inline_string=_SOURCE))
