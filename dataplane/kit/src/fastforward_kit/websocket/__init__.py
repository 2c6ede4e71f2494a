"""WebSocket (RFC 6455) on connections that the HTTP server hands over; no extensions."""

from fastforward_kit.websocket.guard import Admitted, Guard, Refused, Stands
from fastforward_kit.websocket.handshake import accept
from fastforward_kit.websocket.socket import Bounds, ClosedError, WebSocket

__all__ = ["Admitted", "Bounds", "ClosedError", "Guard", "Refused", "Stands", "WebSocket", "accept"]
