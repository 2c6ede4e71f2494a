"""WebSocket (RFC 6455) on connections that the HTTP server hands over; no extensions."""

from fastforward_kit.websocket.handshake import accept
from fastforward_kit.websocket.socket import Bounds, ClosedError, WebSocket

__all__ = ["Bounds", "ClosedError", "WebSocket", "accept"]
