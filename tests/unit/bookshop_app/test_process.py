"""How the bookshop starts and stops."""

import http.client
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

import grpc
import pytest
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from support.bookshop import STOP_SECONDS, Bookshop, running


@contextmanager
def chatting(shop: Bookshop) -> Generator[None]:
    """A gRPC stream that stays open while the block runs."""
    messages: queue.SimpleQueue[catalog_pb2.ChatRequest | None] = queue.SimpleQueue()
    with grpc.insecure_channel(f"127.0.0.1:{shop.grpc_port}") as channel:
        conversation = catalog_pb2_grpc.CatalogStub(channel).Chat(iter(messages.get, None), timeout=10)
        messages.put(catalog_pb2.ChatRequest(text="Austen"))
        next(conversation)
        yield
        messages.put(None)


def test_sigterm_stops_it_within_two_seconds_whatever_is_still_open() -> None:
    with running() as shop, chatting(shop), connect(f"ws://127.0.0.1:{shop.rest_port}/ws/prices", proxy=None) as prices:
        prices.recv(timeout=5)
        slow = http.client.HTTPConnection("127.0.0.1", shop.rest_port)
        slow.request("GET", "/slow?seconds=30")
        shop.process.terminate()
        sent = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            prices.recv(timeout=5)
        assert shop.process.wait(STOP_SECONDS + 1) == 0
        assert time.monotonic() - sent < STOP_SECONDS
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        slow.close()


def test_ctrl_c_stops_it_after_the_request_in_flight_is_answered() -> None:
    with running() as shop:
        quick = http.client.HTTPConnection("127.0.0.1", shop.rest_port, timeout=5)
        quick.request("GET", "/slow?seconds=0.4")
        shop.request("GET", "/health")
        shop.process.send_signal(signal.SIGINT)
        assert quick.getresponse().status == 200
        quick.close()
        assert shop.process.wait(STOP_SECONDS) == 0


def refused_start(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "bookshop_app", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert result.stdout == ""
    return result.returncode, result.stderr


@pytest.mark.parametrize("flag", ["--rest-port", "--grpc-port"])
def test_a_busy_port_is_one_sentence_and_exit_code_1(flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        code, text = refused_start("--rest-port=0", "--grpc-port=0", f"{flag}={port}")
    assert code == 1
    assert text == f"bookshop: can't listen on 127.0.0.1:{port} (Address already in use); choose another {flag}.\n"


def test_a_wrong_option_is_refused_with_exit_code_2() -> None:
    code, text = refused_start("--rest-port=70000")
    assert code == 2
    assert text.endswith("argument --rest-port: a port is a whole number from 0 to 65535\n")
