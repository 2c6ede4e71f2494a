"""One request, judged as live traffic is, without any traffic.

In: a decision snapshot and a request as people write it. Out: the Decision, the Trail, and what upstream and client
would see. Called by explain and route_test. It is the evaluator that the decision service runs, so what is said here is
true there; limits that the proxies count by themselves are counted as well.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from fastforward_pipeline import (
    Decision,
    Refusal,
    Request,
    Snapshot,
    TokenBuckets,
    Trail,
    client_headers,
    decide,
    make_headers,
    normalize,
    run,
    upstream_request,
)
from fastforward_pipeline.compiled.table import Scope
from fastforward_pipeline.ends import give_back, settle_ends

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A method or the name of a header (RFC 9110, section 5.6.2)."""
_PORT = re.compile(r":([0-9]{1,5})$")
_PORTS = {"http": 80, "https": 443}
"""Where a URL names none."""
_HANDED_ON = {"message": "sent as a message", "adapter": "handed to an adapter"}
"""By destination: what decision services do with it."""
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no value of a header can hold."""


class RequestError(ValueError):
    """What was written is no request; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest(Request):
    """A request to a URL."""

    port: int
    """Which is connected to, whatever port a Host header names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A request and what becomes of it."""

    request: Request
    decision: Decision
    trail: Trail

    @property
    def proxied(self) -> bool:
        """Whether it goes to an upstream, as it is; a message does not."""
        decision = self.decision
        goes_on = decision.plan is not None and decision.plan.proxied and bool(decision.candidates)
        return decision.allowed and goes_on

    @property
    def becomes(self) -> str:
        """What becomes of an allowed request, in words; empty of one that is refused."""
        decision = self.decision
        if not decision.allowed:
            return ""
        if self.proxied:
            return "proxied"
        destination = "" if decision.plan is None else decision.plan.destination
        return _HANDED_ON.get(destination, f"answered here with {decision.status}")

    def upstream_view(self) -> dict[str, Any]:
        """What the upstream sees of the request; empty where it goes nowhere, or a message in its place."""
        canonical = normalize(self.request)
        if not self.proxied or isinstance(canonical, Refusal):
            return {}
        seen = upstream_request(self.decision, canonical)
        headers = {name: ",".join(values) for name, values in seen.headers.items()}
        # Backends of a Gateway get the host as the client wrote it, port and all.
        kept = "@" in self.request.edge and seen.host == canonical.host
        host = self.request.host if kept else seen.host
        return {"method": seen.method, "host": host, "path": seen.path, "headers": headers}

    def answer_headers(self) -> Mapping[str, str]:
        """What the gateway itself writes into the answer."""
        headers: dict[str, str] = {}
        for name, value in client_headers(self.decision, ()):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers


def make_request(
    method: str, url: str, headers: Iterable[tuple[str, str]], *, address: str, listener: str = "", body_bytes: int = 0
) -> SentRequest:
    """A request that begins now; raises RequestError."""
    try:
        parts = urlsplit(url)
        host, scheme = parts.netloc.rpartition("@")[2], parts.scheme
        named, port = bool(parts.hostname), parts.port
    except ValueError as error:
        raise RequestError(f"{url!r} is no URL: {error}.") from None
    if scheme not in ("http", "https") or not named or port == 0 or _UNSENDABLE.search(url):
        raise RequestError(f"{url!r} is no URL with scheme and host, such as http://bookshop.localhost/books.")
    _check_address(address)
    sent = make_headers(_checked(headers))
    if _TOKEN.fullmatch(method) is None:
        raise RequestError(f"{method!r} is no method, such as GET.")
    return SentRequest(
        method=method.upper(),
        # As with curl: a Host header says another host than the one that is connected to.
        host=sent.get("host", (host,))[-1],
        path=f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}",
        scheme=scheme,
        port=port or _PORTS[scheme],
        now=time.time(),
        headers={name: values for name, values in sent.items() if name != "host"},
        address=address,
        peer=address,
        listener=listener,
        body_bytes=body_bytes,
    )


def _check_address(address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise RequestError(f"{address!r} is no address of a client, such as 192.0.2.7 or 2001:db8::7.") from None


def _checked(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        if _TOKEN.fullmatch(name) is None:
            raise RequestError(f"{name!r} is no name of a header: letters, digits and - are.")
        if _UNSENDABLE.search(value):
            raise RequestError(f"The value of header {name} has control characters: no request can carry them.")
        yield name, value


def judge(snapshot: Snapshot, request: Request, buckets: TokenBuckets, *, external: int = 200) -> Judged:
    """Decide, with a Trail. Services that would be asked are taken to answer with the status `external`.

    The request has ended afterwards, with an answer that tells no cost.
    """
    trail, request = Trail(), on_its_port(snapshot, request)
    steps = decide(snapshot, request, trail=trail, counting_native=True)
    decision = run(steps, buckets, request.now, external=external)
    if decision.ends:
        ended = settle_ends(decision.ends, decision.status, {}) if decision.allowed else give_back(decision.ends)
        buckets.take(ended, request.now)
    return Judged(request=request, decision=decision, trail=trail)


def on_its_port(snapshot: Snapshot, request: Request) -> Request:
    """At the Edge, or at the Gateway's port, that it comes to by scheme and port: several may have the host."""
    if request.edge:
        return request
    best = find_best(snapshot, {scope.edge for scope in snapshot.scopes.values()}, request)
    return request if best is None else replace(request, edge=best.edge)


def port_of(request: Request) -> int:
    """The port that it is sent to; where nobody knows, the one that the host names, else its scheme's."""
    if isinstance(request, SentRequest):
        return request.port
    port = _PORT.search(request.host)
    return int(port[1]) if port is not None else _PORTS.get(request.scheme, 80)


def find_best(snapshot: Snapshot, edges: Iterable[str], request: Request) -> Scope | None:
    """The request's host on whichever of these Edges listens where it is sent to; of several, or where none does for
    proxies may be told other ports (FF_PORTS), on the one that names the host most exactly.
    """
    canonical = normalize(request)
    if isinstance(canonical, Refusal):
        return None
    host = canonical.host.lower()
    found = (snapshot.find_scope(edge, host) for edge in sorted(edges))
    scopes = [scope for scope in found if scope is not None]
    return max(scopes, key=lambda scope: (_fit(scope, request), scope.host == host, len(scope.host)), default=None)


def _fit(scope: Scope, request: Request) -> int:
    """2 for one that listens on the request's port, by its scheme; 1 for its scheme alone, as far as that is known."""
    port = port_of(request)
    _, is_gateway, own = scope.edge.partition("@")
    if is_gateway:
        return 2 if own == str(port) else 1
    fitting = [
        each for each in scope.entrances if each.scheme == request.scheme and request.listener in ("", each.listener)
    ]
    if any(each.port == port for each in fitting):
        return 2
    return 1 if fitting or not scope.entrances else 0
