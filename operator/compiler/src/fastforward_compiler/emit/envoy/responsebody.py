"""Answers of upstreams that a rule holds to a schema: the proxy holds them, the decision service judges them.

In: an ir.Entry and its table. Out: per-route configuration of the filter `fallback`, which runs SCRIPT in
place of its own where a route says so. Called by entry and resolver.
Source: Envoy's documentation of the Lua filter (httpCall, body, bodyChunks, filterContext).
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import struct_pb2

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import plan_name

from . import session
from .chain import DECISION, DECISION_CLUSTER, REASON_HEADER, SHADOW_HEADER
from .cost import COST, COST_LIBRARY, COST_SOURCE
from .protos import EnvoyMessage, base_pb2, lua_pb2

NAME, NAME_WITH_COST = "response-body", "response-body.cost"
_ENCODINGS = ("accept-encoding", "range", "if-range")
"""By these a request lets the upstream answer with what can't be judged."""
_NOTES = "fastforward.response"
_UNJUDGED = "normalization/reply-unjudged"
_TIMEOUT_MS = 1000

# The filter is in the chain twice. Whichever sees the answer first judges it, the other one passes it on. Envoy lets an
# answer pass when a script fails: so whatever may fail is called where a failure refuses. In the shadow only what is
# known to be small is held; of what says no length, a copy is judged when its end has come.
SCRIPT = f"""
function envoy_on_request(handle)
  local notes, headers = handle:streamInfo():dynamicMetadata(), handle:headers()
  notes:set("{_NOTES}", "method", headers:get(":method"))
  notes:set("{_NOTES}", "id", headers:get("x-request-id") or "")
end

local function ask(handle, notes, said, content)
  local asked = {{
    [":method"] = "POST", [":path"] = "/", [":authority"] = "decision",
    ["x-ff-response"] = "1", ["x-ff-plan"] = handle:filterContext():get("plan"), ["x-request-id"] = notes["id"],
    ["content-type"] = said.kind, ["content-encoding"] = said.encoding,
  }}
  return handle:httpCall("{DECISION_CLUSTER}", asked, content, {_TIMEOUT_MS})
end

-- What is too large is not sent whole to be told so.
local function too_large(most)
  return string.rep(" ", most + 1)
end

local function tell(handle, route, verdict)
  local told = verdict["{SHADOW_HEADER}"]
  if verdict[":status"] ~= "200" then told = "Route " .. route .. " {_UNJUDGED}" end
  if told then handle:streamInfo():dynamicMetadata():set("{DECISION}", "{SHADOW_HEADER}", told) end
end

local function pieces(handle, most, read)
  local held, copied = 0, {{}}
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    held = held + length
    if read then read(chunk:getBytes(0, length)) end
    if held <= most and length > 0 then copied[#copied + 1] = chunk:getBytes(0, length) end
  end
  return held > most and too_large(most) or table.concat(copied)
end

local function watch(handle, notes, said)
  local context, content = handle:filterContext(), nil
  local most, route = context:get("most"), context:get("route")
  if not said.length then
    content = pieces(handle, most, said.read)
  elseif said.length > most then
    content = too_large(most)
  else
    content = handle:body(true):getBytes(0, said.length)
    if said.read then said.read(content) end
  end
  tell(handle, route, (ask(handle, notes, said, content)))
end

local function refuse(handle, reason, document)
  -- What Envoy hands out is gone after a call: it is asked for again.
  handle:body(true):setBytes(document)
  local headers = handle:headers()
  headers:replace(":status", "502")
  headers:replace("content-type", "application/problem+json")
  headers:replace("content-length", tostring(#document))
  headers:replace("cache-control", "no-store")
  headers:replace("{REASON_HEADER}", reason)
  for _, name in ipairs({{"content-encoding", "content-disposition", "etag", "last-modified", "expires"}}) do
    headers:remove(name)
  end
end

local function refuse_unjudged(handle, id)
  refuse(handle, "{_UNJUDGED}",
    '{{"type":"about:blank","title":"The answer could not be judged","status":502,"stage":"normalization",'
    .. '"reason":"reply-unjudged","requestId":"' .. string.gsub(id, "[^%w-]", "") .. '"}}')
end

local function judge(handle, notes, said)
  local body, most = handle:body(true), handle:filterContext():get("most")
  local length = body:length()
  local content = length > most and too_large(most) or body:getBytes(0, length)
  if said.read then said.read(content) end
  local verdict, document = ask(handle, notes, said, content)
  if verdict[":status"] == "200" then return end
  local reason = verdict["{REASON_HEADER}"]
  if reason then refuse(handle, reason, document) else refuse_unjudged(handle, notes["id"]) end
end

local function look(handle, notes)
  local headers = handle:headers()
  local said = {{ kind = headers:get("content-type"), encoding = headers:get("content-encoding"),
    length = tonumber(headers:get("content-length") or ""), read = notes["read"] }}
  local act = handle:filterContext():get("shadow") and watch or judge
  act(handle, notes, said)
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local notes, status = metadata:get("{_NOTES}"), handle:headers():get(":status")
  -- What earlier filters answer was never asked for: the request did not come by.
  if not notes or notes["judged"] then return end
  metadata:set("{_NOTES}", "judged", true)
  local begun, read = pcall(begin_cost, handle)
  notes["read"] = begun and read
  if string.sub(status, 1, 1) ~= "2" or status == "204" or notes["method"] == "HEAD" then return end
  local id = notes["id"]
  if not pcall(look, handle, notes) and not handle:filterContext():get("shadow") then refuse_unjudged(handle, id) end
end
"""


def emit_response_body(entry: ir.Entry, table: ir.Table, cost: Mapping[str, str]) -> EnvoyMessage | None:
    """Returns the configuration; None where answers are not judged. `cost` is what else to read in them."""
    rules = entry.response_body
    if rules is None:
        return None
    context = struct_pb2.Struct()
    # The name of a Plan costs its serialisation: only rules that tell it pay for that.
    plan = plan_name(entry, table)
    context.update({"plan": plan, "route": entry.route, "most": rules.max_bytes, "shadow": rules.shadow, **cost})
    return lua_pb2.LuaPerRoute(name=NAME_WITH_COST if cost else NAME, filter_context=context)


def emit_identity(route: EnvoyMessage) -> None:
    """Writes that the upstream is asked for answers that can be judged: whole, and in no encoding."""
    route.request_headers_to_remove.extend(_ENCODINGS)


def scripts() -> dict[str, EnvoyMessage]:
    """Returns what the filter may run besides its own."""
    alone = {
        NAME: f"local function begin_cost() end\n{SCRIPT}",
        COST: COST_SOURCE,
        NAME_WITH_COST: f"{COST_LIBRARY}\n{SCRIPT}",
    }
    beside = {f"{name}.{session.NAME}": session.beside(source) for name, source in alone.items()}
    return {
        name: base_pb2.DataSource(inline_string=source)
        for name, source in {**alone, **beside, session.NAME: session.SCRIPT}.items()
    }
