"""A Plan as requests are judged by it. Made by `snapshot`; read by every stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.facts import Facts

from .address import AddressSet
from .body import BodyRules, compile_body
from .condition import Condition, compile_conditions, compile_hop_conditions
from .cors import Cors, compile_cors
from .csrf import Csrf, compile_csrf
from .origin import Origins, compile_origins
from .pattern import Pattern

_PLACEMENTS = {
    snapshot_pb2.PLACEMENT_NONE: "none",
    snapshot_pb2.PLACEMENT_NATIVE: "native",
    snapshot_pb2.PLACEMENT_INLINE: "inline",
}
_PROXIED = frozenset({"upstreams", "shards"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Admission:
    """What one object admits: everybody without `allow` and `allow_lists`, any body without `max_body_bytes`."""

    object: str
    allow: AddressSet | None
    deny: AddressSet | None
    allow_lists: tuple[str, ...]
    deny_lists: tuple[str, ...]
    max_body_bytes: int | None
    content_types: frozenset[str]
    shadow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An Upstream (NAMESPACE/NAME; empty for one that is not there) and its share of the requests, 0 to 1."""

    upstream: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """One rule of one Route on one host, ready to judge. `wire` holds what is seldom asked for."""

    name: str
    route: str
    rule: str
    scope: str
    tenant: str
    priority: int
    gate: bool
    hop: bool
    """Whether the proxy asks a decision service."""
    auth: str
    limits: tuple[str, ...]
    select: str
    admissions: tuple[Admission, ...]
    pattern: Pattern | None
    """Of a path by regular expression."""
    conditions: tuple[Condition, ...]
    hop_conditions: tuple[Condition, ...]
    cors: Cors | None
    body: BodyRules | None
    """Of proxied requests."""
    response_body: BodyRules | None
    """Of what upstreams answer."""
    csrf: Csrf | None
    max_json_bytes: int | None
    """Where JSON becomes calls in gRPC: the largest body."""
    origins: Origins | None
    """Others than its own host's, whose pages may open connections to an adapter."""
    destination: str
    """Name of the field in `wire` that holds the destination."""
    candidates: tuple[Candidate, ...]
    """Upstreams by weight."""
    wire: snapshot_pb2.Plan

    @property
    def proxied(self) -> bool:
        """Whether requests go to an Upstream, rather than being answered by the gateway."""
        return self.destination in _PROXIED

    @property
    def gathers(self) -> bool:
        """Whether a message goes to several at once."""
        return self.destination == "message" and self.wire.message.HasField("gather")

    @property
    def endpoint(self) -> str:
        """ROUTE#RULE: what requests are counted by as Endpoint."""
        return f"{self.route}#{self.rule}"

    @property
    def placements(self) -> Mapping[str, tuple[str, str]]:
        """Where each stage runs, and why."""
        return {p.stage: (_PLACEMENTS.get(p.placement, ""), p.why) for p in self.wire.placements}

    def failing(self, facts: Facts, *, hop: bool) -> Condition | None:
        """Returns the first condition that does not hold; those of the hop do not unless `hop`."""
        for condition in self.conditions:
            if not condition.holds(facts):
                return condition
        for condition in self.hop_conditions:
            if not hop or not condition.holds(facts):
                return condition
        return None


def compile_plan(name: str, wire: snapshot_pb2.Plan) -> Plan:
    """Returns the compiled Plan. Raises ValueError on what can't be judged."""
    match = wire.match
    destination = wire.WhichOneof("destination")
    if destination is None and not wire.gate:
        raise ValueError(f"plan {name} of {wire.route} has no destination")
    return Plan(
        name=name,
        route=wire.route,
        rule=wire.rule,
        scope=wire.scope,
        tenant=wire.tenant,
        priority=wire.priority,
        gate=wire.gate,
        hop=any(placement.placement == snapshot_pb2.PLACEMENT_INLINE for placement in wire.placements),
        auth=wire.auth,
        limits=tuple(wire.limits),
        select=wire.select,
        admissions=_compile_admissions(wire),
        pattern=Pattern(match.path) if match.path_type == snapshot_pb2.PATH_MATCH_TYPE_REGEX else None,
        conditions=compile_conditions(match),
        hop_conditions=compile_hop_conditions(match),
        # The proxy applies it to no answer of its own.
        cors=compile_cors(wire.cors) if wire.HasField("cors") and destination in _PROXIED else None,
        body=compile_body(wire.body) if wire.HasField("body") and destination in _PROXIED else None,
        response_body=_compile_response_body(wire),
        csrf=compile_csrf(wire.csrf, wire.scope.partition("|")[2]) if wire.HasField("csrf") else None,
        max_json_bytes=wire.transcoding.max_bytes if wire.HasField("transcoding") else None,
        origins=compile_origins(wire.adapter.origins) if destination == "adapter" else None,
        destination=destination or "",
        candidates=_compile_candidates(wire, destination),
        wire=wire,
    )


def _compile_response_body(wire: snapshot_pb2.Plan) -> BodyRules | None:
    proxied = wire.WhichOneof("destination") in _PROXIED
    return compile_body(wire.response_body) if wire.HasField("response_body") and proxied else None


def _compile_candidates(wire: snapshot_pb2.Plan, destination: str | None) -> tuple[Candidate, ...]:
    if destination == "message":
        message = wire.message
        takers = [part.upstream for part in message.gather.parts] or [message.upstream]
        # Each of them gets every message.
        return tuple(Candidate(upstream=taker, share=1.0) for taker in takers if taker)
    return _compile_split(wire.upstreams) if destination == "upstreams" else ()


def _compile_split(wire: snapshot_pb2.Split) -> tuple[Candidate, ...]:
    total = sum(upstream.weight for upstream in wire.upstreams) or 1
    return tuple(Candidate(upstream=upstream.upstream, share=upstream.weight / total) for upstream in wire.upstreams)


def _compile_admissions(wire: snapshot_pb2.Plan) -> tuple[Admission, ...]:
    """Returns the Edge's admission and the Route's, as far as they say anything."""
    edge = wire.scope.partition("|")[0]
    sources = (("edge_admission", f"Edge {edge}"), ("admission", f"Route {wire.route}"))
    return tuple(_compile_admission(getattr(wire, field), owner) for field, owner in sources if wire.HasField(field))


def _compile_admission(wire: snapshot_pb2.Admission, owner: str) -> Admission:
    return Admission(
        object=owner,
        allow=AddressSet(wire.allow_addresses) if wire.allow_addresses else None,
        deny=AddressSet(wire.deny_addresses) if wire.deny_addresses else None,
        allow_lists=tuple(wire.allow_lists),
        deny_lists=tuple(wire.deny_lists),
        max_body_bytes=wire.max_body_bytes if wire.HasField("max_body_bytes") else None,
        content_types=frozenset(wire.content_types),
        shadow=wire.shadow,
    )
