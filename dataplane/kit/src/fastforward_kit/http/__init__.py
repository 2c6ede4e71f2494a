"""A small HTTP/1.1 server: Envoy's decision requests over a Unix socket, health and metrics over TCP."""

from fastforward_kit.http.address import Address, parse_address
from fastforward_kit.http.events import ALIVE, EVENT_STREAM, QUIET_S, kept_alive, write_event
from fastforward_kit.http.listener import Listener
from fastforward_kit.http.message import Handler, Occupant, Request, Response, StreamedResponse, Takeover
from fastforward_kit.http.server import HttpServer
from fastforward_kit.http.splice import Splice

__all__ = [
    "ALIVE",
    "EVENT_STREAM",
    "QUIET_S",
    "Address",
    "Handler",
    "HttpServer",
    "Listener",
    "Occupant",
    "Request",
    "Response",
    "Splice",
    "StreamedResponse",
    "Takeover",
    "kept_alive",
    "parse_address",
    "write_event",
]
