"""The WebSocket adapter: frames to messages, replies, errors and events to frames."""

from .adapter import WebSocketAdapter
from .port import Connected, Connections, Live
