"""The opening handshake: a request becomes a connection, or is refused (RFC 6455, section 4.2).

In: a request, and who is to serve the connection. Out: the answer. Called by adapters.
"""

from collections.abc import Sequence

from websockets.datastructures import Headers
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from fastforward_kit.http import Request, Response, Takeover
from fastforward_kit.websocket.socket import Bounds, Serve, WebSocket

_OURS = frozenset({"connection", "content-length", "date"})


def accept(asked: Request, subprotocols: Sequence[str], serve: Serve, bounds: Bounds | None = None) -> Response:
    """Returns a Takeover that begins `serve` once the connection is there, or the answer that refuses.

    The client must offer one of `subprotocols`, if there are any; the first one that it offers too is used.
    """
    headers = Headers()
    for name, values in asked.headers.items():
        for value in values:
            headers[name] = value
    wire = ServerProtocol(subprotocols=[Subprotocol(each) for each in subprotocols] or None)
    answer = wire.accept(Handshake(asked.target, headers, method=asked.method))
    told = tuple((name, value) for name, value in answer.headers.raw_items() if name.lower() not in _OURS)
    if answer.status_code != 101:
        return Response(answer.status_code, told, bytes(answer.body))
    return Takeover(
        101, told, protocol=lambda: WebSocket(serve, bounds or Bounds(), subprotocol=wire.subprotocol or "")
    )
