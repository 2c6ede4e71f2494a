"""The adapter as an ASGI application (https://asgi.readthedocs.io): one request, one message, one answer.

In: requests that Envoy hands on, whose `x-ff-...` headers are Envoy's own. Out: answers. Called by the HTTP server of
EntryPoint, which runs the adapter in its own process, or by a workload of its own.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from fastforward_pipeline.message import Answered, Failed

from fastforward.message.v1 import envelope_pb2

from .answer import Answer, make_answer, make_problem, too_large
from .ask import make_envelope

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
MAX_BODY_BYTES = 4 * 1024 * 1024
"""Of a message; rules may allow less. What is larger goes to an Upstream, not through the stages."""


class Exchange(Protocol):
    """Whatever takes messages through the stages."""

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        """Returns the reply, or why there is none."""
        ...


class ClientGoneError(Exception):
    """The client has closed the connection before its request was complete."""


class RestApp:
    """`clock` tells Unix time, `make_id` makes the id of a message."""

    def __init__(self, exchange: Exchange, clock: Callable[[], float], make_id: Callable[[], str]) -> None:
        self._exchange = exchange
        self._clock = clock
        self._make_id = make_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        try:
            body = await _read(receive)
        except ClientGoneError:
            return
        if body is None:
            await _write(send, too_large(), scope["method"])
            return
        envelope = make_envelope(scope, body, message_id=self._make_id(), now=self._clock())
        outcome = await self._exchange.exchange(envelope)
        answer = make_problem(outcome, envelope) if isinstance(outcome, Failed) else make_answer(outcome, envelope)
        await _write(send, answer, scope["method"])


async def _read(receive: Receive) -> bytes | None:
    """Returns the body; None when it is too large, the rest unread."""
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            return None
        if not event.get("more_body", False):
            return b"".join(parts)


async def _write(send: Send, answer: Answer, method: str) -> None:
    headers = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
