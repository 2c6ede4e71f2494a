"""Handshakes of connections: judged when they come, and again for as long as the connection lasts.

In: requests that Envoy has let in and hands to an adapter. Out: what the Guard of connections wants to know; for the
adapter, whose connection it is. Called by door. Envoy has judged the policies already: it is done again here because
only what is judged here can be judged again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from fastforward_kit import http
from fastforward_kit.websocket import Admitted, Refused, Stands
from fastforward_pipeline import FACTS, Proof, Reason, Refusal, Request, VerifyPassword
from fastforward_pipeline.message.intake import ADDRESS, EDGE, ENTRY, PEER, VIA
from fastforward_pipeline.problem import CONTENT_TYPE, refusal_json
from fastforward_pipeline.standing import Standing, find_handshake, judge_handshake, rests

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_entrypoint.answer import REASON, TENANT
from fastforward_entrypoint.ask import REQUEST_ID, SCHEME
from fastforward_entrypoint.endpoint import Current
from fastforward_entrypoint.passwords import PasswordVerifier

SUBJECT = "x-ff-subject"
Protocol = snapshot_pb2.AdapterProtocol.ValueType
Answer = http.Response | asyncio.Future[http.Response]
Connect = Callable[[Admitted | Refused], Answer]


def is_handshake(asked: http.Request) -> bool:
    """Whether the request wants to become a connection."""
    return asked.header("upgrade").lower() == "websocket"


@dataclass(slots=True)
class _Kept:
    """What is kept of a handshake for as long as its connection lasts."""

    request: Request
    protocol: Protocol
    standing: Standing
    proofs: Mapping[VerifyPassword, Proof]


_CHANGED = Refusal(reason=Reason.PASSWORD_WRONG, detail="the password has changed")


class Handshakes:
    """Judges by the current snapshot; `clock` tells Unix time."""

    def __init__(self, snapshots: Current, clock: Callable[[], float], passwords: PasswordVerifier) -> None:
        self._snapshots = snapshots
        self._clock = clock
        self._passwords = passwords

    def open(self, asked: http.Request, protocol: Protocol, connect: Connect) -> Answer:
        """Returns what `connect` makes of a handshake for the adapter of this protocol, once it is judged."""
        judged = self._judge(asked, protocol, {})
        if isinstance(judged, VerifyPassword):
            return asyncio.ensure_future(self._open_later(asked, protocol, connect, judged))
        return connect(judged)

    async def _open_later(
        self, asked: http.Request, protocol: Protocol, connect: Connect, unproven: VerifyPassword
    ) -> http.Response:
        """The password was right when the decision was taken, and is mostly remembered; maybe by another process."""
        proofs: dict[VerifyPassword, Proof] = {}
        judged: Admitted | Refused | VerifyPassword = unproven
        while isinstance(judged, VerifyPassword):
            found = self._passwords.verify(judged)
            proofs[judged] = await found if isinstance(found, asyncio.Future) else found
            judged = self._judge(asked, protocol, proofs)
        answer = connect(judged)
        return await answer if isinstance(answer, asyncio.Future) else answer

    def _judge(
        self, asked: http.Request, protocol: Protocol, proofs: Mapping[VerifyPassword, Proof]
    ) -> Admitted | Refused | VerifyPassword:
        """A password that `proofs` don't know must be verified first."""
        snapshot, now = self._snapshots.current, self._clock()
        request = find_handshake(snapshot, _read(asked, now), proofs)
        standing = judge_handshake(snapshot, request, protocol, proofs)
        if isinstance(standing, VerifyPassword):
            return standing
        if isinstance(standing, Refusal):
            return _refuse(standing, request)
        told = {TENANT: standing.tenant, SUBJECT: standing.subject}
        headers = {name: values for name, values in asked.headers.items() if name not in told}
        headers.update((name, (value,)) for name, value in told.items() if value)
        again = partial(self._again, _Kept(request, protocol, standing, proofs))
        return Admitted(asked._replace(headers=headers), _stands(standing), again)

    def _again(self, kept: _Kept) -> Stands | Refused:
        snapshot, now = self._snapshots.current, self._clock()
        if now < kept.standing.until and rests(snapshot, kept.request, kept.standing):
            return _stands(kept.standing)
        request = replace(kept.request, now=now)
        standing = judge_handshake(snapshot, request, kept.protocol, kept.proofs)
        if not isinstance(standing, Standing):
            return _refuse(standing if isinstance(standing, Refusal) else _CHANGED, request)
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
