"""Handshakes of connections: judged when they come, and again for as long as the connection lasts.

In: requests that Envoy has let in and hands to an adapter. Out: what the Guard of connections wants to know; for the
adapter, whose connection it is. Called by door. Envoy has judged the policies already: it is done again here because
only what is judged here can be judged again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from fastforward_kit import http
from fastforward_kit.websocket import Admitted, Refused, Stands
from fastforward_pipeline import FACTS, Refusal, Request
from fastforward_pipeline.message.intake import ADDRESS, EDGE, ENTRY, PEER, VIA
from fastforward_pipeline.problem import CONTENT_TYPE, refusal_json
from fastforward_pipeline.standing import Standing, find_handshake, judge_handshake, rests

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_entrypoint.answer import REASON, TENANT
from fastforward_entrypoint.ask import REQUEST_ID, SCHEME
from fastforward_entrypoint.endpoint import Current

SUBJECT = "x-ff-subject"
Protocol = snapshot_pb2.AdapterProtocol.ValueType


def is_handshake(asked: http.Request) -> bool:
    """Whether the request wants to become a connection."""
    return asked.header("upgrade").lower() == "websocket"


@dataclass(slots=True)
class _Kept:
    """What is kept of a handshake for as long as its connection lasts."""

    request: Request
    protocol: Protocol
    standing: Standing


class Handshakes:
    """Judges by the current snapshot; `clock` tells Unix time."""

    def __init__(self, snapshots: Current, clock: Callable[[], float]) -> None:
        self._snapshots = snapshots
        self._clock = clock

    def judge(self, asked: http.Request, protocol: Protocol) -> Admitted | Refused:
        """Judges a handshake for the adapter of this protocol."""
        snapshot, now = self._snapshots.current, self._clock()
        request = find_handshake(snapshot, _read(asked, now))
        standing = judge_handshake(snapshot, request, protocol)
        if isinstance(standing, Refusal):
            return _refuse(standing, request)
        told = {TENANT: standing.tenant, SUBJECT: standing.subject}
        headers = {name: values for name, values in asked.headers.items() if name not in told}
        headers.update((name, (value,)) for name, value in told.items() if value)
        again = partial(self._again, _Kept(request, protocol, standing))
        return Admitted(asked._replace(headers=headers), _stands(standing), again)

    def _again(self, kept: _Kept) -> Stands | Refused:
        snapshot, now = self._snapshots.current, self._clock()
        if now < kept.standing.until and rests(snapshot, kept.request, kept.standing):
            return _stands(kept.standing)
        request = replace(kept.request, now=now)
        standing = judge_handshake(snapshot, request, kept.protocol)
        if isinstance(standing, Refusal):
            return _refuse(standing, request)
        kept.standing = standing
        return _stands(standing)


def _stands(standing: Standing) -> Stands:
    return Stands((standing.tenant, standing.subject), standing.until)


def _read(asked: http.Request, now: float) -> Request:
    header = asked.header
    return Request(
        method=asked.method,
        host=header("host"),
        path=asked.target,
        now=now,
        scheme=header(SCHEME) or "http",
        headers=asked.headers,
        address=header(ADDRESS),
        peer=header(PEER),
        listener=header(VIA),
        edge=header(EDGE),
        plan=header(ENTRY),
        body_bytes=0,
        request_id=header(REQUEST_ID),
    )


def _refuse(refusal: Refusal, request: Request) -> Refused:
    reason = refusal.reason
    headers = (("content-type", CONTENT_TYPE), (REASON, reason.value), *refusal.headers)
    body = refusal_json(reason, request.request_id)
    return Refused(http.Response(FACTS[reason].status, headers, body), reason.value)
