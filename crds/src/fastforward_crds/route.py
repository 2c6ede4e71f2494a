"""Route: which requests go where, and what happens to them on the way.

In: a Route document. Out: `Route`. Called by parse and by the compiler's translate/route.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .body import BodyRules
from .csrf import Csrf
from .dispatch import AdapterDispatch, MessageDispatch, ShardDispatch
from .disturbance import Fault, MirrorTo
from .durations import Duration, Period
from .edge import Admission
from .formats import (
    CONTENT_TYPE,
    ORIGIN,
    SUBSTITUTION,
    ExactHost,
    HeaderName,
    HeaderText,
    Host,
    Label,
    PathText,
    RegexText,
)
from .lists import Items
from .match import Match, Method
from .meta import Model, Port, Ref, Resource, Rule, count_set

_GATEWAYS_OWN = "^(?i)(host|connection|transfer-encoding|content-length|x-ff-.*|x-envoy-.*)$"
_OWN_HEADER = re.compile(_GATEWAYS_OWN.replace("^(?i)", ""), re.IGNORECASE)

_HAS_UPSTREAMS = "(has(self.upstreams) && size(self.upstreams) > 0)"


class EdgeRef(Ref):
    """The Edge that a Route attaches to."""

    listener: Label | None = None
    """One listener of the Edge by name; every listener when absent."""


class HeaderValue(Model):
    """A header to write."""

    name: HeaderName
    """Header name, but none of the gateway's own: `host`, `connection`, `x-ff-*`, `x-envoy-*` and the like."""
    value: HeaderText
    """Literal value."""

    rules_cel = (
        Rule(
            f"!self.name.matches('{_GATEWAYS_OWN}')",
            "This header belongs to the gateway.",
            "name",
            lambda s: _OWN_HEADER.fullmatch(s.name) is None,
        ),
    )


class HeaderChanges(Model):
    """Changes to a message's headers, in the order remove, set, add."""

    set: Annotated[tuple[HeaderValue, ...], Items(most=32, key="name")] = ()
    """Headers to write over."""
    add: Annotated[tuple[HeaderValue, ...], Items(most=32)] = ()
    """Headers to append a value to."""
    remove: Annotated[tuple[HeaderName, ...], Items(most=32, distinct=True)] = ()
    """Headers to remove."""

    rules_cel = (
        Rule(
            f"!has(self.remove) || self.remove.all(h, !h.matches('{_GATEWAYS_OWN}'))",
            "These headers belong to the gateway.",
            "remove",
            lambda s: not any(_OWN_HEADER.fullmatch(name) for name in s.remove),
        ),
    )


class RegexRewrite(Model):
    """A rewrite by regular expression (RE2)."""

    pattern: RegexText
    """What to replace, everywhere in the path."""
    substitution: Annotated[str, SUBSTITUTION]
    r"""Replacement; `\1` is the first group."""


class Rewrite(Model):
    """What the upstream sees instead."""

    host: ExactHost | None = None
    """Host header."""
    replace_prefix: PathText | None = None
    """What the matched prefix becomes; needs a Prefix match."""
    replace_path: PathText | None = None
    """The whole path; the query stays."""
    regex: RegexRewrite | None = None
    """Replacement in the path by regular expression."""
    template: PathText | None = None
    """The whole path, with `{name}` for what the match, a Template, has caught; the query stays."""

    rules_cel = (
        Rule(
            "[has(self.replacePrefix), has(self.replacePath), has(self.regex), has(self.template)]"
            ".filter(x, x).size() <= 1",
            "Only one way to rewrite the path.",
            "",
            lambda s: count_set(s.replace_prefix, s.replace_path, s.regex, s.template) <= 1,
        ),
    )


class Redirect(Model):
    """An answer that sends the client elsewhere (RFC 9110, section 15.4)."""

    scheme: Literal["http", "https"] | None = None
    """Scheme of the location; the request's own when absent."""
    host: ExactHost | None = None
    """Host of the location; the request's own when absent."""
    port: Port | None = None
    """Port of the location."""
    path: PathText | None = None
    """Path of the location; the request's own when absent."""
    status: Literal[301, 302, 303, 307, 308] = 302
    """Status code."""


class Respond(Model):
    """An answer given by the edge itself."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    """Status code."""
    body: Annotated[str, StringConstraints(max_length=4096)] = ""
    """Body text."""
    content_type: Annotated[str, CONTENT_TYPE] = "text/plain"
    """Content-Type of the body."""


class Cors(Model):
    """Cross-origin requests (Fetch standard); preflights are answered at the edge."""

    allow_origins: Annotated[
        tuple[Annotated[str, ORIGIN], ...],
        Items(least=1, most=64, distinct=True),
    ]
    """Origins, `https://shop.example.com`, `https://*.example.com`, or `*`."""
    allow_methods: Annotated[tuple[Method, ...], Items(most=9, distinct=True)] = ("GET", "HEAD", "POST")
    """Methods that a preflight grants."""
    allow_headers: Annotated[tuple[HeaderName, ...], Items(most=64, distinct=True)] = ()
    """Request headers that a preflight grants."""
    expose_headers: Annotated[tuple[HeaderName, ...], Items(most=64, distinct=True)] = ()
    """Response headers that scripts may read."""
    max_age: Duration = "10m"
    """How long a browser may keep a preflight's answer."""
    allow_credentials: bool = False
    """Whether cookies and authorization may be sent; not together with `*`."""

    rules_cel = (
        Rule(
            "!self.allowCredentials || !('*' in self.allowOrigins)",
            "Credentials can't be granted to every origin.",
            "allowCredentials",
            lambda s: not s.allow_credentials or "*" not in s.allow_origins,
        ),
    )


class RuleTimeout(Model):
    """How long the upstream may take."""

    request: Duration | None = None
    """Whole request with its retries; 15s when absent, no bound for gRPC and WebSocket; 504 after."""
    idle: Duration | None = None
    """Stream without any byte; the edge's `streamIdle` when absent."""


class Retry(Model):
    """When to try again; the Upstream's retry budget bounds all retries together."""

    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """Retries after the first try."""
    retry_on: Annotated[
        tuple[
            Literal[
                "5xx",
                "gateway-error",
                "reset",
                "connect-failure",
                "retriable-4xx",
                "refused-stream",
                "unavailable",
                "resource-exhausted",
            ],
            ...,
        ],
        Items(least=1, most=8, distinct=True),
    ] = ("connect-failure", "refused-stream", "unavailable")
    """Conditions, in Envoy's words (x-envoy-retry-on, x-envoy-retry-grpc-on)."""
    per_try_timeout: Period | None = None
    """Bound on each try."""
    backoff: Period = "25ms"
    """Base of the jittered exponential backoff; at most ten times as long."""
    hedge: bool = False
    """After `perTryTimeout` a try goes on beside the next one, and the first good answer is taken."""

    rules_cel = (
        Rule(
            "!has(self.hedge) || !self.hedge || has(self.perTryTimeout)",
            "Hedging begins after perTryTimeout: say how long that is.",
            "perTryTimeout",
            lambda s: not s.hedge or s.per_try_timeout is not None,
        ),
    )


class UpstreamShare(Ref):
    """An Upstream and its share of the requests."""

    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """Share in proportion to the sum of the weights; 0 takes none."""


def _is_proxied(rule: RouteRule) -> bool:
    return bool(rule.upstreams) or rule.shards is not None


def _only_prefixes(rule: RouteRule) -> bool:
    return all(match.path.type == "Prefix" for match in rule.matches)


def _is_one_template(rule: RouteRule) -> bool:
    return [match.path.type for match in rule.matches] == ["Template"]


def _asks_who(match: Match) -> bool:
    return bool(match.tenants or match.roles) or count_set(match.region, match.flag) > 0


class RouteRule(Model):
    """Matches, what happens to the request, and one destination."""

    name: Label | None = None
    """Name, unique in the Route; policies may aim at it; `rule-N` by position when absent."""
    matches: Annotated[tuple[Match, ...], Items(least=1, most=16)] = (Match(),)
    """Ways to match; any one suffices."""
    upstreams: Annotated[tuple[UpstreamShare, ...], Items(most=16)] = ()
    """Destination: Upstreams, split by weight."""
    shards: ShardDispatch | None = None
    """Destination: the request's Shard."""
    redirect: Redirect | None = None
    """Destination: elsewhere, by a redirect."""
    respond: Respond | None = None
    """Destination: an answer given here."""
    message: MessageDispatch | None = None
    """Destination: a workload that takes messages."""
    adapter: AdapterDispatch | None = None
    """Destination: the rules of the operations that an adapter finds in the request."""
    rewrite: Rewrite | None = None
    """What the upstream sees instead."""
    request_headers: HeaderChanges | None = None
    """Changes before the upstream."""
    response_headers: HeaderChanges | None = None
    """Changes before the client."""
    body: BodyRules | None = None
    """What the request's body must be."""
    cors: Cors | None = None
    """Cross-origin requests."""
    csrf: Csrf | None = None
    """Requests that pages of others forge; nobody's are refused when absent."""
    timeout: RuleTimeout | None = None
    """How long the upstream may take."""
    retry: Retry | None = None
    """When to try again; never when absent."""
    mirrors: Annotated[tuple[MirrorTo, ...], Items(most=4)] = ()
    """Upstreams that get copies of the requests."""
    fault: Fault | None = None
    """Faults put in on purpose."""

    rules_cel = (
        Rule(
            f"[{_HAS_UPSTREAMS}, has(self.shards), has(self.redirect), has(self.respond), has(self.message), "
            "has(self.adapter)].filter(x, x).size() == 1",
            "A rule has exactly one destination: upstreams, shards, redirect, respond, message or adapter.",
            "",
            lambda s: count_set(s.upstreams or None, s.shards, s.redirect, s.respond, s.message, s.adapter) == 1,
        ),
        Rule(
            f"!has(self.rewrite) || {_HAS_UPSTREAMS} || has(self.shards)",
            "A rewrite needs an upstream.",
            "rewrite",
            lambda s: s.rewrite is None or _is_proxied(s),
        ),
        Rule(
            f"!has(self.retry) || {_HAS_UPSTREAMS} || has(self.shards)",
            "A retry needs an upstream.",
            "retry",
            lambda s: s.retry is None or _is_proxied(s),
        ),
        Rule(
            f"!has(self.mirrors) || size(self.mirrors) == 0 || {_HAS_UPSTREAMS} || has(self.shards)",
            "Mirrors need an upstream: the proxy copies only what it forwards.",
            "mirrors",
            lambda s: not s.mirrors or _is_proxied(s),
        ),
        Rule(
            "!has(self.fault) || (!has(self.message) && !has(self.adapter))",
            "Faults are for what the proxy serves by itself, not for messages.",
            "fault",
            lambda s: s.fault is None or (s.message is None and s.adapter is None),
        ),
        Rule(
            f"!has(self.timeout) || {_HAS_UPSTREAMS} || has(self.shards)",
            "A timeout needs an upstream.",
            "timeout",
            lambda s: s.timeout is None or _is_proxied(s),
        ),
        Rule(
            f"!has(self.requestHeaders) || {_HAS_UPSTREAMS} || has(self.shards)",
            "Changes to request headers need an upstream.",
            "requestHeaders",
            lambda s: s.request_headers is None or _is_proxied(s),
        ),
        Rule(
            f"!has(self.cors) || {_HAS_UPSTREAMS} || has(self.shards)",
            "Cross-origin rules need an upstream: the proxy applies them to no answer of its own.",
            "cors",
            lambda s: s.cors is None or _is_proxied(s),
        ),
        Rule(
            f"!has(self.body) || {_HAS_UPSTREAMS} || has(self.shards)",
            "Rules for bodies need an upstream; the content of messages has `message.request`.",
            "body",
            lambda s: s.body is None or _is_proxied(s),
        ),
        Rule(
            "!has(self.body) || self.matches.all(m, (!has(m.tenants) || size(m.tenants) == 0) && "
            "(!has(m.roles) || size(m.roles) == 0) && !has(m.region) && !has(m.flag))",
            "Bodies are held before it is known whose they are: no match may ask for tenants, roles, region or flag.",
            "body",
            lambda s: s.body is None or not any(_asks_who(match) for match in s.matches),
        ),
        Rule(
            "!has(self.rewrite) || !has(self.rewrite.replacePrefix) || self.matches.all(m, m.path.type == 'Prefix')",
            "replacePrefix needs every match to be a Prefix.",
            "rewrite.replacePrefix",
            lambda s: s.rewrite is None or s.rewrite.replace_prefix is None or _only_prefixes(s),
        ),
        Rule(
            "!has(self.rewrite) || !has(self.rewrite.template) || "
            "(self.matches.size() == 1 && self.matches[0].path.type == 'Template')",
            "A rewrite by template needs exactly one match, whose path is a Template.",
            "rewrite.template",
            lambda s: s.rewrite is None or s.rewrite.template is None or _is_one_template(s),
        ),
    )


class RouteSpec(Model):
    """What a Route says."""

    edges: Annotated[tuple[EdgeRef, ...], Items(least=1, most=8)]
    """Edges to attach to."""
    hosts: Annotated[tuple[Host, ...], Items(most=64, distinct=True)] = ()
    """Hosts, within the Edge's; all of the Edge's when empty."""
    priority: Annotated[int, Field(ge=-10, le=10)] = 0
    """Higher comes first, before any other order."""
    admission: Admission = Admission()
    """Who may knock; holds together with the Edge's."""
    rules: Annotated[tuple[RouteRule, ...], Items(least=1, most=64)]
    """Rules; which one a request takes depends on their specificity, not on their position."""

    rules_cel = (
        Rule(
            "self.rules.filter(r, has(r.name))"
            ".all(r, self.rules.filter(o, has(o.name) && o.name == r.name).size() == 1)",
            "Rule names are unique.",
            "rules",
            lambda s: len(names := [rule.name for rule in s.rules if rule.name]) == len(set(names)),
        ),
    )


class Route(Resource):
    """Which requests go where."""

    kind: Literal["Route"] = "Route"
    spec: RouteSpec
