"""Where each stage of a rule runs, and why: the cheapest place that is exactly right, one decision hop at most.

In: what a rule asks for. Out: a placement a stage, whether there is a hop, whether it fails open. Called by route and
table. The sentences are what `explain` shows, so they name the objects that made the choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from fastforward_compiler import ir

NONE, NATIVE, INLINE = ir.Placement.NONE, ir.Placement.NATIVE, ir.Placement.INLINE


class Needs(NamedTuple):
    """What decides the placement of one entry."""

    admission: bool = False
    """Whether there are addresses, sizes or content types to check."""
    lists: bool = False
    """Whether addresses are looked up in lists or countries."""
    auth: str = ""
    """Name of the Auth; empty for none."""
    authenticates: bool = False
    authorizes: bool = False
    beyond_proxy: str = ""
    """Why the proxy can't do all of the Auth; empty when it can."""
    auth_open: bool = False
    native_limits: tuple[str, ...] = ()
    exact_limits: tuple[str, ...] = ()
    limits_open: bool = False
    """Whether every exact limit fails open."""
    ends: tuple[str, ...] = ()
    """Limits that count by what is told when requests end."""
    conditions: tuple[str, ...] = ()
    """Conditions of its match that only the decision service can judge."""
    overtaken: bool = False
    """Whether a rule with such conditions may take its requests."""
    shards: bool = False
    message: bool = False
    """Whether the request becomes a message."""
    proxied: bool = True
    """Whether the request goes to an upstream, rather than being answered by the edge."""
    sessions: bool = False
    """Whether clients stay with the endpoint that they began with."""
    near: tuple[str, ...] = ()
    """Upstreams of which the endpoints of the proxy's own zone are asked, where there are enough of them."""
    adapter: str = ""
    """Protocol of the adapter that takes the request; empty for none."""
    tenant_header: bool = False
    """Whether a trusted peer may name the tenant in a header."""
    transcoded: str = ""
    """What JSON becomes calls in gRPC by; empty for nothing."""
    grpc_web: bool = False
    """Whether calls in gRPC-Web become calls in gRPC."""
    body: str = ""
    """What judges the body; empty for nothing."""
    body_open: bool = False
    """Whether that is in the shadow, so that nothing is lost without it."""


class Placed(NamedTuple):
    """The outcome."""

    placements: tuple[ir.StagePlacement, ...]
    hop: bool
    fail_open: bool


@lru_cache(maxsize=8192)
def place_stages(needs: Needs) -> Placed:
    """The placement of each stage, in order."""
    if needs.message:
        return _place_message(needs)
    hop = _hop_reason(needs)
    placed = (
        (NATIVE, "The proxy takes in every request."),
        _place_admission(needs),
        _place_authentication(needs, hop),
        _place_normalization(needs),
        _place_authorization(needs, hop),
        _place_routing(needs),
        (NONE, "A proxied request leaves nothing to track."),
        (NATIVE, _destination(needs)),
    )
    return Placed(
        placements=_staged(placed),
        hop=bool(hop),
        fail_open=bool(hop) and _fails_open(needs),
    )


def _destination(needs: Needs) -> str:
    called = "; calls in gRPC-Web become calls in gRPC" if needs.grpc_web else ""
    called += f"; JSON becomes calls in gRPC by {needs.transcoded}" if needs.transcoded else ""
    if needs.adapter:
        return f"The proxy hands the request to the {needs.adapter} adapter{called}."
    if needs.near:
        called += f"; of {', '.join(needs.near)} the endpoints of its own zone, where enough are healthy"
    if needs.sessions:
        return f"The proxy sends the request to the endpoint of its session, or else to the upstream{called}."
    return f"The proxy sends the request to the upstream{called}." if needs.proxied else "The proxy answers by itself."


def _staged(placed: Iterable[tuple[ir.Placement, str]]) -> tuple[ir.StagePlacement, ...]:
    """The places and reasons, in the order of the stages."""
    return tuple(
        ir.StagePlacement(stage=stage, placement=placement, why=why)
        for stage, (placement, why) in zip(ir.STAGES, placed, strict=True)
    )


def _place_message(needs: Needs) -> Placed:
    """All but ingress is EntryPoint's: the request goes there anyway, so nothing is judged twice."""
    guarded = needs.admission or needs.native_limits or needs.exact_limits
    placed = (
        (NATIVE, "The proxy takes in every request."),
        (INLINE, "EntryPoint admits the message and counts its rate limits.")
        if guarded
        else (NONE, "No admission settings and no rate limits apply."),
        (INLINE, f"EntryPoint verifies the caller as {needs.auth} says.")
        if needs.authenticates
        else (NONE, "No AuthPolicy asks who the caller is."),
        (INLINE, "EntryPoint brings the content into its canonical form."),
        (INLINE, "EntryPoint judges the caller, and signs what it allows."),
        (INLINE, "EntryPoint finds the rule and its target."),
        (INLINE, "EntryPoint handles a message with an idempotency key once."),
        (INLINE, "EntryPoint sends the message to its target and the reply back."),
    )
    return Placed(
        placements=_staged(placed),
        hop=False,
        fail_open=False,
    )


def _hop_reason(needs: Needs) -> str:
    """Why there is a hop; empty when there is none."""
    if needs.beyond_proxy:
        return needs.beyond_proxy
    if needs.exact_limits:
        return f"RateLimit {', '.join(needs.exact_limits)} counts exactly, over all proxies"
    if needs.shards:
        return "the shard is chosen by the decision service"
    if needs.body:
        return f"the body is judged by {needs.body}"
    if needs.conditions or needs.overtaken:
        return "a rule with conditions on roles, regions or flags may take its requests"
    return "a trusted peer may name the tenant in a header" if needs.tenant_header else ""


def _fails_open(needs: Needs) -> bool:
    """Only where every policy that needs the hop says so, and the proxy alone can still route."""
    asked = (
        (needs.auth, needs.auth_open),
        (needs.exact_limits, needs.limits_open),
        (needs.body, needs.body_open),
    )
    said = [is_open for asks, is_open in asked if asks]
    return bool(said) and all(said) and not needs.shards


def _place_normalization(needs: Needs) -> tuple[ir.Placement, str]:
    if needs.body:
        return INLINE, f"The proxy holds the body, and the decision service judges it by {needs.body}."
    return NATIVE, "The proxy normalises hosts, paths and headers."


def _place_admission(needs: Needs) -> tuple[ir.Placement, str]:
    if needs.exact_limits:
        told = f" The proxy tells it when requests end, for {', '.join(needs.ends)}." if needs.ends else ""
        return INLINE, f"RateLimit {', '.join(needs.exact_limits)} counts exactly, over all proxies.{told}"
    if needs.native_limits:
        return NATIVE, f"RateLimit {', '.join(needs.native_limits)} counts in each proxy."
    if needs.lists:
        return NATIVE, "The proxy looks addresses up in the Edge's lists, and checks sizes and content types."
    if needs.admission:
        return NATIVE, "The proxy checks addresses, sizes and content types."
    return NONE, "No admission settings and no rate limits apply."


def _place_authentication(needs: Needs, hop: str) -> tuple[ir.Placement, str]:
    if not needs.authenticates:
        return NONE, "No AuthPolicy asks who the caller is."
    if not hop:
        return NATIVE, f"The proxy verifies the JSON Web Tokens of {needs.auth}."
    return INLINE, f"{needs.auth} is judged in the decision hop: {hop}."


def _place_authorization(needs: Needs, hop: str) -> tuple[ir.Placement, str]:
    if not needs.authorizes:
        return NONE, "No AuthPolicy restricts what the caller may do."
    if not hop:
        return NATIVE, f"The proxy compares the verified claims with the grants of {needs.auth}."
    return INLINE, f"{needs.auth} is judged in the decision hop: {hop}."


def _place_routing(needs: Needs) -> tuple[ir.Placement, str]:
    if needs.shards:
        return INLINE, "The decision service chooses the shard."
    if needs.conditions:
        return INLINE, f"Only the decision service can judge {', '.join(needs.conditions)}."
    if needs.overtaken:
        return INLINE, "A rule with conditions that only the decision service can judge may take its requests."
    return NATIVE, "The proxy finds the rule in the host's table."
