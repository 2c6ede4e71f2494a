"""What answers cost, found in the answers: a Lua script that reads them as they pass, and what routes tell it.

In: the ir.Limits of a route. Out: the script, which the filter `fallback` holds, and per-route configuration. Called by
resolver and entry. Source: Envoy, "Lua". The filter `fallback` has nothing else to do where a route was found, and is
there on every listener: so no listener changes when a limit by cost comes.

The script holds nothing back: it sees each part of a body when it has been sent on, and knows JSON just enough to tell
which number stands where; of a stream of events each line begins anew. What it finds goes into dynamic metadata: the
last number told at a place is the one that counts, so that of a stream which is cut off there is what was told so far.
Envoy's own filters are no choice: `json_to_metadata` holds an answer until it is complete, and fails one that is larger
than a connection's buffer; both it and `sse_to_metadata` are the same for all routes of a listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf import struct_pb2

from fastforward_compiler import ir

from .protos import EnvoyMessage, lua_pb2

COST = "cost"
"""The script's name in the filter."""
COST_METADATA = "fastforward.cost"
"""Namespace of what it finds: by path in JSON, or `header:NAME`."""
ENCODING_HEADER = "accept-encoding"
"""Not sent on where answers are read: what is compressed tells nothing."""

COST_LIBRARY = rf"""
local find, sub = string.find, string.sub
local DEEPEST, LONGEST, MOST = 32, 128, 1e15
local SIGN, NUMBERS_END = '["{{}}%[%]:,\n%d-]', "[^%d.eE+-]"

local function scanner(wanted, lines)
  local keys, depth = {{}}, 0
  local inside, escaped, text, path, number = false, false, "", nil, nil

  local function is_object() return depth > 0 and depth <= DEEPEST and keys[depth] ~= "[" end

  local function begin(sign)
    local whole = is_object() and table.concat(keys, ".", 1, depth)
    if wanted[whole] then path, number = whole, sign end
    return path
  end

  local function read_text(chunk, at, last)
    local stop = find(chunk, '["\\\n]', at) or last + 1
    if #text < LONGEST then text = text .. sub(chunk, at, math.min(stop - 1, at + LONGEST)) end
    local sign = sub(chunk, stop, stop)
    if sign == '"' then inside = false end
    if sign == "\\" then escaped, text = true, text .. sign end
    if sign == "\n" and lines then inside, depth = false, 0 end
    return stop + 1
  end

  local function read_number(chunk, at, last, tell)
    local stop = find(chunk, NUMBERS_END, at)
    number = number .. sub(chunk, at, (stop or last + 1) - 1)
    if stop then
      tell(path, tonumber(number))
      path = nil
    end
    return stop or last + 1
  end

  local function read_sign(chunk, at, last)
    local stop = find(chunk, SIGN, at)
    if not stop then return last + 1 end
    local sign = sub(chunk, stop, stop)
    if sign == '"' then inside, text = true, ""
    elseif sign == "{{" or sign == "[" then
      depth = depth + 1
      if depth <= DEEPEST then keys[depth] = sign end
    elseif sign == "}}" or sign == "]" then depth = math.max(depth - 1, 0)
    elseif sign == ":" then if is_object() then keys[depth] = text end
    elseif sign == "," then if is_object() then keys[depth] = "{{" end
    elseif sign == "\n" then if lines then depth = 0 end
    elseif not begin(sign) then return find(chunk, NUMBERS_END, stop) or last + 1
    end
    return stop + 1
  end

  return function(chunk, tell)
    local at, last = 1, #chunk
    while at <= last do
      if escaped then escaped, at = false, at + 1
      elseif inside then at = read_text(chunk, at, last)
      elseif path then at = read_number(chunk, at, last, tell)
      else at = read_sign(chunk, at, last)
      end
    end
  end
end

local function each(context, name) return string.gmatch(context:get(name) or "", "%S+") end

local function begin_cost(handle)
  local context, headers, found = handle:filterContext(), handle:headers(), {{}}
  local function tell(name, units)
    if units and units >= 0 and units <= MOST and found[name] ~= units then
      found[name] = units
      handle:streamInfo():dynamicMetadata():set("{COST_METADATA}", name, units)
    end
  end
  if handle:streamInfo():dynamicMetadata():get("{COST_METADATA}") then return end
  tell("read", 1)
  for name in each(context, "headers") do tell("header:" .. name, tonumber(headers:get(name) or "")) end
  local wanted = {{}}
  for path in each(context, "paths") do wanted[path] = true end
  if not next(wanted) or headers:get("content-encoding") then return end
  local kind = string.lower(headers:get("content-type") or "")
  local read = scanner(wanted, find(kind, "text/event-stream", 1, true) == 1)
  return function(bytes) read(bytes, tell) end
end
"""
"""Begins to read an answer; the filter is there twice, and the second to see an answer finds it read."""

COST_SOURCE = f"""{COST_LIBRARY}
function envoy_on_response(handle)
  local read = begin_cost(handle)
  if not read then return end
  for chunk in handle:bodyChunks() do read(chunk:getBytes(0, chunk:length())) end
end
"""


def cost_context(limits: Iterable[ir.Limit]) -> Mapping[str, str]:
    """Returns what a route with these limits tells the script; empty where no answer's cost is asked for."""
    costs = [limit.cost for limit in limits if limit.cost is not None]
    if not costs:
        return {}
    return {
        "paths": " ".join(sorted({cost.path for cost in costs if cost.path})),
        "headers": " ".join(sorted({cost.header for cost in costs if cost.header})),
    }


def emit_cost(limits: Iterable[ir.Limit]) -> EnvoyMessage | None:
    """Returns the configuration of such a route; None where no answer's cost is asked for."""
    said = cost_context(limits)
    if not said:
        return None
    context = struct_pb2.Struct()
    context.update(said)
    return lua_pb2.LuaPerRoute(name=COST, filter_context=context)


def reads_bodies(limits: Iterable[ir.Limit]) -> bool:
    """Whether the script reads what the answers of a route with these limits say."""
    return any(limit.cost is not None and limit.cost.path for limit in limits)
