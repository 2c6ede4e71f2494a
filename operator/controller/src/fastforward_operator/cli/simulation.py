"""One request, judged as live traffic is, without any traffic.

In: a decision snapshot and a request as people write it. Out: the Decision, the Trail, and what upstream and client
would see. Called by explain and route_test. It is the evaluator that the decision service runs, so what is said here is
true there; limits that the proxies count by themselves are counted as well.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastforward_pipeline import (
    Decision,
    Refusal,
    Request,
    Snapshot,
    TokenBuckets,
    Trail,
    decide,
    make_headers,
    normalize,
    run,
    upstream_request,
)


class RequestError(ValueError):
    """What was written is no request; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A request and what becomes of it."""

    request: Request
    decision: Decision
    trail: Trail

    @property
    def proxied(self) -> bool:
        """Whether it goes to an upstream."""
        return self.decision.allowed and bool(self.decision.candidates)

    def upstream_view(self) -> dict[str, Any]:
        """What the upstream sees; empty when the request goes nowhere."""
        canonical = normalize(self.request)
        if not self.proxied or isinstance(canonical, Refusal):
            return {}
        seen = upstream_request(self.decision, canonical)
        headers = {name: ",".join(values) for name, values in seen.headers.items()}
        return {"method": seen.method, "host": seen.host, "path": seen.path, "headers": headers}

    def answer_headers(self) -> Mapping[str, str]:
        """What the gateway itself writes into the answer."""
        headers: dict[str, str] = {}
        for name, value in self.decision.response_headers:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        plan = self.decision.plan
        if plan is not None and self.decision.allowed:
            changes = plan.wire.response_headers
            for name in changes.remove:
                headers.pop(name, None)
            headers |= {header.name: header.value for header in changes.set}
            for header in changes.add:
                headers[header.name] = ",".join(filter(None, (headers.get(header.name), header.value)))
        return headers


def make_request(
    method: str, url: str, headers: Iterable[tuple[str, str]], *, address: str, listener: str = "", body_bytes: int = 0
) -> Request:
    """A request that begins now; raises RequestError."""
    try:
        parts = urlsplit(url)
        host, scheme = parts.netloc.rpartition("@")[2], parts.scheme
        ipaddress.ip_address(address)
    except ValueError as error:
        raise RequestError(f"{error}.") from None
    if scheme not in ("http", "https") or not host:
        raise RequestError(f"{url} is no URL with scheme and host, such as http://bookshop.localhost/books.")
    return Request(
        method=method.upper(),
        host=host,
        path=f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}",
        scheme=scheme,
        now=time.time(),
        headers=make_headers(headers),
        address=address,
        peer=address,
        listener=listener,
        body_bytes=body_bytes,
    )


def judge(snapshot: Snapshot, request: Request, buckets: TokenBuckets) -> Judged:
    """Decide, with a Trail."""
    trail = Trail()
    decision = run(decide(snapshot, request, trail=trail, counting_native=True), buckets, request.now)
    return Judged(request=request, decision=decision, trail=trail)
