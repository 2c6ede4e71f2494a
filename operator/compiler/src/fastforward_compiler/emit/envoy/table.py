"""A Table to a scope with its table inline: a tree over the path, the conditions in its leaves, a Route in each.

In: ir.Table and what it names. Out: the serialised ScopedRouteConfiguration. Called by emitter.

Precedence (the order of the entries) becomes structure: a level for each priority; in it the exact paths, then the
regular expressions one by one, then the prefixes, longest first. A leaf whose conditions fail falls back to the next of
them, as nested matchers do; a list of routes would end in 404 there. The tree sees the path without its query.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b
from itertools import groupby

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import select_value

from .chain import (
    BODY,
    CLOSED,
    CLUSTER_HEADER,
    FALLBACK,
    HEADERS,
    KEY_HEADER,
    LISTENER_HEADER,
    NO_TABLE,
    OPEN,
    PATH_END,
    PATH_HEADER,
    RESOLVE,
    SCOPE_HEADER,
    SELECT_HEADER,
    TABLE_HEADER,
)
from .headers import emit_host_tenant
from .matching import TEXT, every, pattern, test
from .predicate import PATH_INPUT, emit_predicate
from .protos import (
    EnvoyMessage,
    buffer_pb2,
    ext_authz_pb2,
    lua_pb2,
    route_components_pb2,
    route_pb2,
    scoped_route_pb2,
    xds_extension_pb2,
    xds_matcher_pb2,
)
from .refusal import NO_ROUTE, NO_ROUTE_NAME
from .wire import boolean, pack, serialise, uint32

_MATCHER = xds_matcher_pb2.Matcher
_ON_MATCH = _MATCHER.OnMatch
_LIST = _MATCHER.MatcherList
_TREE = _MATCHER.MatcherTree
_SCOPE = scoped_route_pb2.ScopedRouteConfiguration
_INTERNAL_HEADERS = (
    SCOPE_HEADER,
    TABLE_HEADER,
    SELECT_HEADER,
    LISTENER_HEADER,
    PATH_HEADER,
    CLUSTER_HEADER,
    KEY_HEADER,
)
_MAX_BODY_BYTES = 4 * 4096
"""Bodies of direct responses: 4096 characters, in UTF-8."""
_ALWAYS = test(PATH_INPUT, TEXT(prefix="/"))

EmitEntry = Callable[[ir.Entry], EnvoyMessage]
"""Returns the Route of an entry, complete with what its filters need."""


def scope_name(table: str) -> str:
    """Returns what Envoy knows the scope of a table by: 128 bits of the table's name, in base64url (RFC 4648).

    With each scope that changes Envoy copies a map of all their names. Texts of up to 22 bytes lie in such a map
    itself; each longer one is an allocation, which at 20,000 tables made 6 of the 10 ms that a change took.
    """
    return urlsafe_b64encode(blake2b(table.encode(), digest_size=16).digest()).rstrip(b"=").decode()


def emit_table(table: ir.Table, edge: ir.Edge, scope: ir.Scope, emit_entry: EmitEntry) -> bytes:
    """Returns the serialised scope of a table.

    What is alike in many tables is serialised once; bytes of messages may be concatenated, that merges them.
    """
    fragments = [_SCOPE.Key.Fragment(string_key=key) for key in (table.scope, table.tenant or NO_TABLE)]
    routes = {id(entry): emit_entry(entry) for entry in table.entries}
    host = route_components_pb2.VirtualHost(name="v", domains=["*"])
    if table.tenant:
        share_configs(routes.values(), host)
    host.matcher.CopyFrom(emit_tree(table, edge, lambda entry: routes[id(entry)]))
    own = _SCOPE(
        name=scope_name(table.name),
        key=_SCOPE.Key(fragments=fragments),
        route_configuration=route_pb2.RouteConfiguration(name=table.name, virtual_hosts=[host]),
    )
    if scope.host_tenant:
        own.route_configuration.typed_per_filter_config[HEADERS].CopyFrom(emit_host_tenant(scope.host_tenant))
    if edge.tenant_header:
        own.route_configuration.request_headers_to_remove.append(edge.tenant_header)
    follows = scope.tenant_tables or any(FALLBACK in route.typed_per_filter_config for route in routes.values())
    return (_ALIKE_FOLLOWED if follows else _ALIKE) + serialise(own)


def share_configs(routes: Collection[EnvoyMessage], host: EnvoyMessage) -> None:
    """Moves what all Routes have filters do into the virtual host: Envoy reads it once, not once a Route.

    For tenants' tables only: in the table for everybody it would hold for the answer to unknown paths as well.
    """
    first, *others = (route.typed_per_filter_config for route in routes)
    for name, config in sorted(first.items()):
        if all(name in other and other[name] == config for other in others):
            host.typed_per_filter_config[name].CopyFrom(config)
    for route in routes:
        for name in host.typed_per_filter_config:
            del route.typed_per_filter_config[name]


def emit_tree(table: ir.Table, edge: ir.Edge, emit_entry: EmitEntry) -> EnvoyMessage:
    """Returns the tree; in the table for everybody it has a Route for every path, so that the host counts as known."""

    def leaf(entries: Iterable[ir.Entry]) -> EnvoyMessage:
        return emit_leaf([(conditions(entry, edge), emit_entry(entry)) for entry in entries])

    def listed(entry: ir.Entry) -> EnvoyMessage:
        path = test(PATH_INPUT, pattern(f"(?:{entry.match.path}){PATH_END}"))
        own = conditions(entry, edge)
        # Any text fits some expressions; what is no path of a rule does not begin so.
        predicate = every([_ALWAYS, path] if own is None else [_ALWAYS, path, own])
        return _LIST.FieldMatcher(predicate=predicate, on_match=action(emit_entry(entry)))

    levels = [emit_level(list(group), leaf, listed) for _, group in groupby(table.entries, key=lambda e: e.priority)]
    last = None if table.tenant else _NOT_FOUND
    if len(levels) > 1:
        # A list, not a chain: Envoy refuses trees that are some 50 levels deep.
        outcomes = [_ON_MATCH(matcher=chain(level, None)) for level in levels]
        matchers = [_LIST.FieldMatcher(predicate=_ALWAYS, on_match=outcome) for outcome in outcomes]
        levels = [[_MATCHER(matcher_list=_LIST(matchers=matchers))]]
    return chain([matcher for level in levels for matcher in level], last)


def conditions(entry: ir.Entry, edge: ir.Edge) -> EnvoyMessage | None:
    """Returns what the entry asks besides the path."""
    return emit_predicate(entry.match, select_value(entry), edge.api_version_header, edge.api_version_default)


def emit_level(
    entries: list[ir.Entry],
    leaf: Callable[[Iterable[ir.Entry]], EnvoyMessage],
    listed: Callable[[ir.Entry], EnvoyMessage],
) -> list[EnvoyMessage]:
    """Returns the matchers of one priority, in the order in which they are asked.

    A prefix `/a` is the path `/a` and the paths that begin with `/a/`: with PATH_END, those that begin with `/a/`.
    """
    exact: dict[str, list[ir.Entry]] = {}
    prefixes: dict[str, list[ir.Entry]] = {}
    for entry in entries:
        path = entry.match.path
        if entry.match.path_type is ir.PathType.EXACT:
            exact.setdefault(path + PATH_END, []).append(entry)
        elif entry.match.path_type is ir.PathType.PREFIX:
            prefixes.setdefault(path if path == "/" else path + PATH_END, []).append(entry)
    regexes = [listed(entry) for entry in entries if entry.match.path_type is ir.PathType.REGEX]
    matchers = [
        path_tree(exact, leaf),
        _MATCHER(matcher_list=_LIST(matchers=regexes)) if regexes else None,
        prefix_tree(prefixes, leaf),
    ]
    return [matcher for matcher in matchers if matcher is not None]


def path_tree(
    paths: dict[str, list[ir.Entry]], leaf: Callable[[Iterable[ir.Entry]], EnvoyMessage]
) -> EnvoyMessage | None:
    """Returns the matcher of whole paths."""
    if not paths:
        return None
    leaves = _TREE.MatchMap(map={path: leaf(entries) for path, entries in paths.items()})
    return _MATCHER(matcher_tree=_TREE(input=PATH_INPUT, exact_match_map=leaves))


def prefix_tree(
    prefixes: dict[str, list[ir.Entry]], leaf: Callable[[Iterable[ir.Entry]], EnvoyMessage]
) -> EnvoyMessage | None:
    """Returns the matcher of prefixes, longest first."""
    if not prefixes:
        return None
    leaves = _TREE.MatchMap(map={prefix: leaf(entries) for prefix, entries in prefixes.items()})
    return _MATCHER(matcher_tree=_TREE(input=PATH_INPUT, prefix_match_map=leaves))


def emit_leaf(candidates: list[tuple[EnvoyMessage | None, EnvoyMessage]]) -> EnvoyMessage:
    """Returns the first candidate whose conditions hold; what follows one without any is out of reach."""
    conditional = []
    for predicate, route in candidates:
        if predicate is None:
            if not conditional:
                return action(route)
            return _ON_MATCH(matcher=_MATCHER(matcher_list=_LIST(matchers=conditional), on_no_match=action(route)))
        conditional.append(_LIST.FieldMatcher(predicate=predicate, on_match=action(route)))
    return _ON_MATCH(matcher=_MATCHER(matcher_list=_LIST(matchers=conditional)))


def action(route: EnvoyMessage) -> EnvoyMessage:
    """Returns the outcome of a match."""
    return _ON_MATCH(action=xds_extension_pb2.TypedExtensionConfig(name="route", typed_config=pack(route)))


def chain(matchers: list[EnvoyMessage], last: EnvoyMessage | None) -> EnvoyMessage:
    """Returns the matchers as one: each is asked when those before it found nothing; `last` is the final outcome."""
    following = last
    for matcher in reversed(matchers):
        if following is not None:
            matcher.on_no_match.CopyFrom(following)
        following = _ON_MATCH(matcher=matcher)
    return matchers[0] if matchers else _MATCHER(on_no_match=last)


def not_found() -> EnvoyMessage:
    """Returns the Route of a known host for paths that no rule has; listeners know its name and write the answer."""
    route = route_components_pb2.Route(name=NO_ROUTE_NAME, match=route_components_pb2.RouteMatch(prefix=""))
    route.direct_response.status = NO_ROUTE.status
    return action(route)


def emit_alike(fallback: EnvoyMessage) -> bytes:
    """Returns the part that tables share: filters off until a route wants them, internal headers kept inside."""
    off = pack(ext_authz_pb2.ExtAuthzPerRoute(disabled=True))
    free = pack(buffer_pb2.BufferPerRoute(disabled=True))
    configuration = route_pb2.RouteConfiguration(
        request_headers_to_remove=_INTERNAL_HEADERS,
        response_headers_to_remove=["x-envoy-upstream-service-time"],
        validate_clusters=boolean(False),
        max_direct_response_body_size_bytes=uint32(_MAX_BODY_BYTES),
        typed_per_filter_config={RESOLVE: _NEVER_CREATED, FALLBACK: fallback, CLOSED: off, OPEN: off, BODY: free},
    )
    return serialise(_SCOPE(route_configuration=configuration))


# Judged once a request, on the first route: good for what can't follow a tenant, and cheap.
_NEVER_CREATED = pack(route_components_pb2.FilterConfig(disabled=True))
_ALIKE = emit_alike(_NEVER_CREATED)
# Judged on the route of the moment: `fallback` must run where a tenant's table has no route, and where a rule that is
# found later judges answers, or reads what they cost.
_ALIKE_FOLLOWED = emit_alike(pack(lua_pb2.LuaPerRoute(disabled=True)))
_NOT_FOUND = not_found()
