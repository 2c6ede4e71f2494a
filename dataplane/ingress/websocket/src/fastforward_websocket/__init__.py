"""The WebSocket adapter: frames to messages, replies, errors and events to frames."""

from .adapter import WebSocketAdapter
from .frames import write_push
from .port import Connected, Connections, Live
