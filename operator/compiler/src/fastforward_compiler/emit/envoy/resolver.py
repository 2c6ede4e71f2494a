"""The two Lua filters that lead a request to its table when the first look-up does not.

In: the scopes of wildcard hosts. Out: serialised Lua filters, delivered by ECDS. Called by emitter.

`resolve` runs only where no table matched (each table disables it, and the table for everybody has a route for every
path): it lowers the case of the host, takes the longest wildcard that fits, and marks a host that nobody has. A host
with a sign that no name has, as an address of IPv6 is, has no wildcard but `*`: it is no name below another.
`fallback` runs only where a tenant has no table, or its table no route: it goes back to the table for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .chain import FALLBACK, NO_SCOPE, NO_TABLE, RESOLVE, SCOPE_HEADER, TABLE_HEADER
from .protos import EnvoyMessage, base_pb2, lua_pb2
from .responsebody import scripts
from .wire import extension

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-./|*")
# Envoy looks a route up again when it is next asked for; `metadata` asks, the first time it is called. That one look
# goes to the first candidate, so that a host in upper case, or a wildcard whose table is still on its way, finds what
# it found before.
_RESOLVE_SOURCE = """
local wildcards = {%s}

local function take(handle, scope, asked)
  handle:headers():replace("%s", scope)
  handle:clearRouteCache()
  if asked then return true end
  handle:metadata()
  return handle:streamInfo():routeName() ~= ""
end

local function find(handle, scope)
  local bar = scope and string.find(scope, "|", 1, true)
  if not bar then return end
  local edge = string.sub(scope, 1, bar)
  local host = string.lower(string.match(scope, "^[^:]*", bar + 1))
  local asked = false
  if edge .. host ~= scope then
    if take(handle, edge .. host, asked) then return true end
    asked = true
  end
  local dot = not string.find(host, "[^a-z0-9._-]") and string.find(host, ".", 1, true)
  while dot do
    local wildcard = edge .. "*" .. string.sub(host, dot)
    if wildcards[wildcard] then
      if take(handle, wildcard, asked) then return true end
      asked = true
    end
    dot = string.find(host, ".", dot + 1, true)
  end
  return wildcards[edge .. "*"] and take(handle, edge .. "*", true)
end

function envoy_on_request(handle)
  if not find(handle, handle:headers():get("%s")) then handle:headers():replace("%s", "%s") end
end
"""

_FALLBACK_SOURCE = f"""
function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get("{TABLE_HEADER}") == "{NO_TABLE}" then return end
  headers:replace("{TABLE_HEADER}", "{NO_TABLE}")
  handle:clearRouteCache()
end
"""


def emit_resolve(wildcards: Iterable[str]) -> dict[str, bytes]:
    """Returns the filter `resolve`; `wildcards` are the names of the scopes of wildcard hosts."""
    known = ",".join(f"[{lua_string(name)}]=true" for name in sorted(wildcards))
    source = _RESOLVE_SOURCE % (known, SCOPE_HEADER, SCOPE_HEADER, SCOPE_HEADER, NO_SCOPE)
    return {RESOLVE: emit_lua(RESOLVE, source)}


def emit_fallback() -> dict[str, bytes]:
    """Returns the filter `fallback`, and what routes have it run instead."""
    return {FALLBACK: emit_lua(FALLBACK, _FALLBACK_SOURCE, scripts())}


def lua_string(text: str) -> str:
    """Returns `text` as a Lua literal; everything but letters, digits and harmless signs is written as its number."""
    return '"' + "".join(chr(b) if chr(b) in _PLAIN else f"\\{b:03d}" for b in text.encode()) + '"'


def emit_lua(name: str, source: str, others: Mapping[str, EnvoyMessage] | None = None) -> bytes:
    """Returns one serialised Lua filter; `others` are scripts that routes may name."""
    own = base_pb2.DataSource(inline_string=source)
    return extension(name, lua_pb2.Lua(default_source_code=own, source_codes=others))
