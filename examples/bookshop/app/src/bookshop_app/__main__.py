"""`python -m bookshop_app`: serves one bookshop until SIGTERM or Ctrl-C.

In: the command line. Out: one line on stdout once the ports answer, exit code 0 after a stop; when a port can't be
had, one sentence on stderr and exit code 1. Whoever wants a canary or a second shard starts this twice.
"""

import argparse
import asyncio
import re
import signal
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from bookshop_app.catalog import Bookshop
from bookshop_app.rest import build_app
from bookshop_app.websocket import WebSockets

# Requests in flight may take this long to finish, so that a stop takes less than two seconds.
GRACE_SECONDS = 1.2
# Larger than any gateway's limits: what the gateway lets through must also arrive here.
MAX_HEADER_BYTES = 128 * 1024
MAX_HEADERS = 1_000
Cleanups = list[Callable[[], Awaitable[None]]]


async def serve(options: argparse.Namespace) -> None:
    """Start HTTP, and gRPC when it has a port; say so; wait for the signal; stop both at once."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    bookshop, cleanups = Bookshop(options.name, options.shard), []
    try:
        places = [f"http://{options.host}:{await start_http(bookshop, options, cleanups)}"]
        if options.grpc_port is not None:
            places.append(f"gRPC on {options.host}:{await start_grpc(bookshop, options, cleanups)}")
        print(f"bookshop {options.name} (shard {options.shard}): {' and '.join(places)}", flush=True)
        await stop.wait()
    finally:
        await asyncio.gather(*(cleanup() for cleanup in cleanups))


async def start_http(bookshop: Bookshop, options: argparse.Namespace, cleanups: Cleanups) -> int:
    """Serve REST and WebSocket; returns the port."""
    check_port(options.host, options.rest_port, "--rest-port")
    app = build_app(bookshop)
    if options.ws:
        WebSockets(bookshop).add_to(app)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=GRACE_SECONDS / 2,  # aiohttp waits twice: before and after it cancels a handler
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
        auto_decompress=False,  # /echo shows the body as it arrived
    )
    cleanups.append(runner.cleanup)
    await runner.setup()
    await web.TCPSite(runner, options.host, options.rest_port).start()
    return int(runner.addresses[0][1])


async def start_grpc(bookshop: Bookshop, options: argparse.Namespace, cleanups: Cleanups) -> int:
    """Serve gRPC; returns the port."""
    from bookshop_app.rpc import build_server  # noqa: PLC0415 - a bookshop without gRPC starts faster without it

    check_port(options.host, options.grpc_port, "--grpc-port")
    server = await build_server(bookshop)
    cleanups.append(partial(server.stop, GRACE_SECONDS))
    port = server.add_insecure_port(f"{options.host}:{options.grpc_port}")
    await server.start()
    return port


def check_port(host: str, port: int, flag: str) -> None:
    """Try the port first, because gRPC reports a busy one with several lines of its own."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        # A SystemExit with a text prints it to stderr and exits with code 1.
        raise SystemExit(
            f"bookshop: can't listen on {host}:{port} ({error.strerror}); choose another {flag}."
        ) from None


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bookshop_app", description="A small bookshop: the sample upstream.")
    parser.add_argument("--rest-port", type=_port, required=True, metavar="N", help="HTTP port; 0 takes a free one")
    parser.add_argument("--grpc-port", type=_port, metavar="N", help="gRPC port; without it there is no gRPC")
    parser.add_argument("--ws", action=argparse.BooleanOptionalAction, default=True, help="WebSockets on the HTTP port")
    parser.add_argument("--name", type=_name, default="catalog-v1", help="sent as x-served-by (%(default)s)")
    parser.add_argument("--shard", type=_name, default="main", help="sent as x-shard (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    return parser.parse_args()


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a whole number from 0 to 65535")
    return int(text)


def _name(text: str) -> str:
    # It travels in a response header.
    if not re.fullmatch("[A-Za-z0-9._-]{1,63}", text):
        raise argparse.ArgumentTypeError("a name has 1 to 63 letters, digits, '.', '_' or '-'")
    return text


if __name__ == "__main__":
    asyncio.run(serve(parse_options()))
