"""Decisions and messages come to the same address: Envoy marks each.

In: requests of Envoy. Out: what the decision endpoint says, or the adapter that the rule names. Called by the HTTP
server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fastforward_kit.http import Handler, Request, Response
from fastforward_pipeline.message import ENTRY

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_entrypoint.ask import PLAN
from fastforward_entrypoint.endpoint import Current

Adapter = Callable[[Request, snapshot_pb2.AdapterDispatch], Response | asyncio.Future[Response]]
"""Takes a request by what its rule says of the adapter."""


def door(
    decisions: Handler,
    messages: Handler,
    adapters: Mapping[snapshot_pb2.AdapterProtocol.ValueType, Adapter],
    snapshots: Current,
) -> Handler:
    """Returns the handler of all. What Envoy asks a decision about is none, whatever its client says it is.

    A rule that is not known any more is the stages' business: they say so in the words of messages.
    """

    def handle(asked: Request) -> Response | asyncio.Future[Response]:
        if ENTRY not in asked.headers or PLAN in asked.headers:
            return decisions(asked)
        plan = snapshots.current.plans.get(asked.header(ENTRY))
        if plan is None or plan.destination != "adapter":
            return messages(asked)
        adapter = plan.wire.adapter
        return adapters[adapter.protocol](asked, adapter)

    return handle
