"""Decisions and messages come to the same address: Envoy marks each.

In: requests of Envoy. Out: what the decision endpoint says, or the adapter that the rule names; connections are
guarded. Called by the HTTP server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from fastforward_kit.http import Handler, Request, Response
from fastforward_kit.websocket import Admitted, Guard, Refused
from fastforward_pipeline.message import ENTRY

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_entrypoint.ask import PLAN
from fastforward_entrypoint.endpoint import Current
from fastforward_entrypoint.ends import ENDS
from fastforward_entrypoint.responses import MARK

from .handshakes import Handshakes, is_handshake

Adapter = Callable[[Request, snapshot_pb2.AdapterDispatch], Response | asyncio.Future[Response]]
"""Takes a request by what its rule says of the adapter."""


class Ways(NamedTuple):
    """Who takes what."""

    decisions: Handler
    responses: Handler
    """Answers of upstreams."""
    messages: Handler
    adapters: Callable[[snapshot_pb2.AdapterProtocol.ValueType], Adapter]
    ends: Handler
    """Of requests that proxies tell of."""


def door(ways: Ways, snapshots: Current, handshakes: Handshakes, guard: Guard) -> Handler:
    """Returns the handler of all. What Envoy asks a decision about is none, whatever its client says it is.

    A rule that is not known any more is the stages' business: they say so in the words of messages.
    """
    messages, adapters = ways.messages, ways.adapters

    def handle(asked: Request) -> Response | asyncio.Future[Response]:
        alone = _without_message(ways, asked)
        if alone is not None:
            return alone(asked)
        plan = snapshots.current.plans.get(asked.header(ENTRY))
        if plan is None or plan.destination != "adapter":
            return messages(asked)
        adapter = plan.wire.adapter
        if not is_handshake(asked):
            return adapters(adapter.protocol)(asked, adapter)
        return handshakes.open(asked, adapter.protocol, lambda judged: connect(judged, adapter))

    def connect(
        judged: Admitted | Refused, adapter: snapshot_pb2.AdapterDispatch
    ) -> Response | asyncio.Future[Response]:
        if isinstance(judged, Refused):
            return judged.answer
        return guard.over(judged, adapters(adapter.protocol)(judged.asked, adapter))

    return handle


def _without_message(ways: Ways, asked: Request) -> Handler | None:
    """Who takes what is no message: an answer to judge, the end of a request, a question."""
    if MARK in asked.headers:
        return ways.responses
    if ENDS in asked.headers and PLAN not in asked.headers:
        return ways.ends
    return ways.decisions if ENTRY not in asked.headers or PLAN in asked.headers else None


def decide_nothing(_: Request) -> Response:
    """Answers for a process that has adapters alone: to Envoy it is one that fails."""
    return Response(501)
