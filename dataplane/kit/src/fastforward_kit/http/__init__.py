"""A small HTTP/1.1 server: Envoy's decision requests over a Unix socket, health and metrics over TCP."""

from fastforward_kit.http.address import Address, parse_address
from fastforward_kit.http.listener import Listener
from fastforward_kit.http.message import Handler, Occupant, Request, Response, StreamedResponse, Takeover
from fastforward_kit.http.server import HttpServer
from fastforward_kit.http.splice import Splice

__all__ = [
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
    "parse_address",
]
