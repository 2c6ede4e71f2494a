"""Sessions: which endpoint a client began with, told by a cookie or a header that tells no address.

In: ir.Session of Upstreams. Out: what routes, clusters and endpoints say of it. Called by entry, route, table, upstream
and resolver. Each endpoint is a subset of its own by a mark; the filter `fallback` writes the mark that a client sent
where the balancer looks, and a header of the answer says which one it was. Source: Envoy's documentation of "Load
Balancer Subsets" (FALLBACK_LIST) and of the Lua filter (filterContext); why not its `stateful_session` is in ADR 42.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from google.protobuf import struct_pb2

from fastforward_compiler import ir

from .protos import EnvoyMessage, base_pb2, cluster_pb2, lua_pb2, subset_pb2
from .wire import ADD, SET

NAME = "session"
_BALANCER = "envoy.lb"
"""Namespace of metadata that Envoy's balancers look at."""
_MARK = "ff-session"
_SENT = "fastforward.session"
"""Namespace of what the client sent."""
_MARKED = f"xds.upstream_host_metadata.filter_metadata['{_BALANCER}']['{_MARK}']"

_KEEP = f"""
local function sent_cookie(cookies, name)
  for key, value in string.gmatch(cookies or "", "([^=; ]+)=([^; ]*)") do
    if key == name then return value end
  end
end

local function keep(handle)
  local metadata, headers, marks = handle:streamInfo():dynamicMetadata(), handle:headers(), {{}}
  for _, key in ipairs(handle:filterContext():get("sessions")) do
    local kind, name = string.match(key, "^(%a+):(.+)$")
    local sent = kind == "cookie" and sent_cookie(headers:get("cookie"), name) or kind == "header" and headers:get(name)
    if sent and string.find(sent, "^%x+$") and #sent == 16 then
      metadata:set("{_SENT}", key, sent)
      marks[#marks + 1] = {{["{_MARK}"] = sent}}
    else
      metadata:set("{_SENT}", key, "")
    end
  end
  if #marks > 0 then
    -- The last one is nobody's: whichever endpoint there is.
    marks[#marks + 1] = {{["{_MARK}-any"] = "1"}}
    metadata:set("{_BALANCER}", "fallback_list", marks)
  end
end
"""
SCRIPT = f"""{_KEEP}
function envoy_on_request(handle) keep(handle) end
"""


def beside(script: str) -> str:
    """Returns a script that does what `script` does, and this."""
    return f"""{script}
{_KEEP}
local others = envoy_on_request
function envoy_on_request(handle)
  if others then others(handle) end
  keep(handle)
end
"""


def emit_kept(entry: ir.Entry, other: EnvoyMessage | None) -> EnvoyMessage | None:
    """Returns what the filter `fallback` does on a route: `other`, and keep sessions; None for neither."""
    keys = [session.key for session in entry.sessions]
    if not keys:
        return other
    made = lua_pb2.LuaPerRoute(name=NAME)
    if other is not None:
        made.CopyFrom(other)
        made.name = f"{other.name}.{NAME}"
    made.filter_context.update({"sessions": keys})
    return made


def emit_told(session: ir.Session | None, target: EnvoyMessage) -> None:
    """Writes the header of answers that says which endpoint it was; `target` is a Route or one of its clusters.

    Where the client knows it already it is said again only to put off the end of a cookie. Envoy leaves out a header
    without a value, and what CEL can't find is none.
    """
    if session is None:
        return
    told = f"metadata.filter_metadata['{_SENT}']['{session.key}']"
    again = session.max_age_s is not None and session.renewed
    new = f"{_MARKED} != ''" if again else f"{_MARKED} != {told}"
    mark = f"%CEL({new} ? {_MARKED} : '')%"
    if session.header:
        target.response_headers_to_add.append(option(session.header, mark, SET))
        return
    age = "" if session.max_age_s is None else f"; Max-Age={session.max_age_s}"
    attributes = f"; Path={session.path}{age}; HttpOnly; SameSite={session.same_site}"
    secure = f"%CEL({new} && request.headers['x-forwarded-proto'] == 'https' ? '; Secure' : '')%"
    value = f"%CEL({new} ? '{session.cookie}=' : '')%{mark}%CEL({new} ? '{attributes}' : '')%{secure}"
    target.response_headers_to_add.append(option("set-cookie", value, ADD))


def option(name: str, value: str, action: int) -> EnvoyMessage:
    """Returns a header to write, unless its value is empty."""
    return base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=name, value=value), append_action=action)


def emit_subsets(upstream: ir.Upstream, cluster: EnvoyMessage) -> None:
    """Writes that each endpoint is a subset of its own. One that is gone or fails leaves its clients to all others."""
    if upstream.keeps_clients:
        cluster.lb_subset_config.CopyFrom(_subsets(cluster_pb2.Cluster.LbSubsetConfig))


def among_sessions(policy: EnvoyMessage) -> EnvoyMessage:
    """Returns the same as an extension for load balancing; `policy` chooses where there is no session yet."""
    made = _subsets(subset_pb2.Subset)
    made.subset_lb_policy.CopyFrom(policy)
    return made


def _subsets(message: Any) -> EnvoyMessage:  # noqa: ANN401 - a class of Envoy's; both have the same fields
    selector = message.LbSubsetSelector
    return message(
        fallback_policy=message.ANY_ENDPOINT,
        metadata_fallback_policy=message.FALLBACK_LIST,
        # A mark that nobody here has is that of another Upstream, maybe: the next one is tried.
        subset_selectors=[selector(keys=[_MARK], fallback_policy=selector.NO_FALLBACK)],
    )


def emit_mark(endpoint: ir.Endpoint, target: EnvoyMessage) -> None:
    """Writes what an endpoint is called by. Of a pod nobody can find out more: its UID is chance."""
    said = endpoint.uid or f"{endpoint.address}:{endpoint.port}"
    mark = blake2b(said.encode(), digest_size=8).hexdigest()
    target.metadata.filter_metadata[_BALANCER].CopyFrom(
        struct_pb2.Struct(fields={_MARK: struct_pb2.Value(string_value=mark)})
    )
