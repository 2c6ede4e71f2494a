"""Route: which requests go where, and what happens to them on the way.

In: a Route document. Out: `Route`. Called by parse and by the compiler's translate/route.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .body import BodyRules
from .changes import HeaderChanges, Rewrite
from .cors import Cors
from .csrf import Csrf
from .dispatch import AdapterDispatch, MessageDispatch, ShardDispatch
from .disturbance import Fault, MirrorTo
from .edge import Admission
from .formats import CONTENT_TYPE, ExactHost, Host, Label, PathText
from .lists import Items
from .match import Match
from .meta import Model, Port, Ref, Resource, Rule, count_set
from .responsebody import ResponseBodyRules
from .schedule import Schedule
from .transcode import Transcode
from .tries import Retry, RuleTimeout

_HAS_UPSTREAMS = "(has(self.upstreams) && size(self.upstreams) > 0)"


class EdgeRef(Ref):
    """The Edge that a Route attaches to."""

    listener: Label | None = None
    """One listener of the Edge by name; every listener when absent."""


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


def _rewrites_path(rewrite: Rewrite) -> bool:
    return count_set(rewrite.replace_prefix, rewrite.replace_path, rewrite.regex, rewrite.template) > 0


def _asks_who(match: Match) -> bool:
    return bool(match.tenants or match.roles) or count_set(match.region, match.flag) > 0


class RouteRule(Model):
    """Matches, what happens to the request, and one destination."""

    name: Label | None = None
    """Name, unique in the Route; policies may aim at it; `rule-N` by position when absent."""
    matches: Annotated[tuple[Match, ...], Items(least=1, most=16)] = (Match(),)
    """Ways to match; any one suffices."""
    schedule: Schedule | None = None
    """When the rule holds; always when absent."""
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
    transcode: Transcode | None = None
    """Requests in JSON for upstreams that speak gRPC; the Edge needs `grpc.transcoding`."""
    rewrite: Rewrite | None = None
    """What the upstream sees instead."""
    request_headers: HeaderChanges | None = None
    """Changes before the upstream."""
    response_headers: HeaderChanges | None = None
    """Changes before the client."""
    body: BodyRules | None = None
    """What the request's body must be."""
    response_body: ResponseBodyRules | None = None
    """What the upstream's answer must be."""
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
            f"!has(self.transcode) || {_HAS_UPSTREAMS} || has(self.shards)",
            "Calls in gRPC need an upstream.",
            "transcode",
            lambda s: s.transcode is None or _is_proxied(s),
        ),
        Rule(
            "!has(self.transcode) || !has(self.rewrite) || (!has(self.rewrite.replacePrefix) && "
            "!has(self.rewrite.replacePath) && !has(self.rewrite.regex) && !has(self.rewrite.template))",
            "The path says which call it is: with `transcode` only the host can be rewritten.",
            "rewrite",
            lambda s: s.transcode is None or s.rewrite is None or not _rewrites_path(s.rewrite),
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
            f"!has(self.responseBody) || {_HAS_UPSTREAMS} || has(self.shards)",
            "Rules for answers need an upstream; the content of replies to messages has `message.reply`.",
            "responseBody",
            lambda s: s.response_body is None or _is_proxied(s),
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
