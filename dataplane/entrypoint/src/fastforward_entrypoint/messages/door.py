"""Decisions and messages come to the same address: Envoy marks each.

In: requests of Envoy. Out: what the decision endpoint or the adapter says. Called by the HTTP server.
"""

import asyncio

from fastforward_kit.http import Handler, Request, Response
from fastforward_rest.ask import EDGE

from fastforward_entrypoint.ask import PLAN


def door(decisions: Handler, messages: Handler) -> Handler:
    """Returns the handler of both. What Envoy asks a decision about is none, whatever its client says it is."""

    def handle(asked: Request) -> Response | asyncio.Future[Response]:
        is_message = EDGE in asked.headers and PLAN not in asked.headers
        return messages(asked) if is_message else decisions(asked)

    return handle
